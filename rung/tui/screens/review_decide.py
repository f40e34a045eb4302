"""Deciding in the Review screen: approve, reject with a reason, skip, not sure, undo, and two decisions that met."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual import on, work
from textual.message import Message
from textual.widgets import Static

from curation.review import Decided, Item
from curation.review.standing import Standing
from curation.review.votes import FINAL
from rung.tui.item_words import VERBS, answer, clock_of
from rung.tui.screens.review_edit import EditScreen
from rung.tui.screens.review_fetch import BUSY
from rung.tui.sitting import Sitting
from rung.tui.text import shown
from rung.tui.widgets.answer import Face
from workspace.errors import Refusal, RungError


@dataclass(frozen=True, slots=True)
class Try:
    """A decision on its way."""

    item: Item
    verdict: str
    text: str | None = None
    reason: str = ""
    remark: str = ""


class DecideScreen(EditScreen):
    """An item that is decided on."""

    class Ruled(Message):
        """A decision was written, or refused; `other` is who decided the row meanwhile."""

        def __init__(self, tried: Try, made: Decided | None, error: RungError | None, other: Standing | None) -> None:
            super().__init__()
            self.tried, self.made, self.error, self.other = tried, made, error, other

    def __init__(self) -> None:
        super().__init__()
        self.rejecting = False
        self.refused: tuple[Try, Standing] | None = None
        """A decision that came too late, and the one that stands."""

    # Deciding

    def action_approve(self) -> None:
        """Approve as it stands; in a series take the repair."""
        if self.can(self.action_approve) and self.item is not None:
            series = self.sitting.series if self.sitting else None
            repaired = series.proposal(answer(self.item) or "") if series else None
            if series is None or repaired is None:
                self.decide("approve")
            else:
                series.taken += 1
                self.remark = self.remark or f"same repair as {series.repair.row}"
                self.decide("edit", text=repaired)

    def action_skip(self) -> None:
        """Skip; in a series leave the row in the queue as it is."""
        if self.can(self.action_skip):
            if self.sitting is not None and self.sitting.series is not None:
                self.wait_for("Fetching the next row …")
                self._leave_as_it_is(self.sitting, self.item)
            else:
                self.decide("skip")

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _leave_as_it_is(self, sitting: Sitting, item: Item | None) -> None:
        sitting.leave(item)
        self.take(sitting.take, "left as it is, in the queue")

    def action_unsure(self) -> None:
        """Not sure: to a second person. Of two decisions that met: both to a third one."""
        if self.state == "conflict" and self.refused is not None and self.sitting is not None:
            self._contest(self.sitting, *self.refused)
        elif self.can(self.action_unsure):
            self.decide("unsure")

    def action_flag(self) -> None:
        """Flag the row: who settles disagreements decides it."""
        if self.can(self.action_flag):
            self.decide("flag")

    def decide(self, verdict: str, *, text: str | None = None, reason: str = "") -> None:
        """Write a decision and go on; the item stays until it is written."""
        if self.item is None or self.sitting is None:
            return
        self.show_reasons(False)
        self.wait_for("Not saved yet, trying again (…). Your decision is kept here.")
        self._rule(self.sitting, Try(self.item, verdict, text, reason, self.remark))

    @work(thread=True, exit_on_error=False, group="rule")
    def _rule(self, sitting: Sitting, tried: Try) -> None:
        while self.app.is_running:
            try:
                made = sitting.decide(
                    tried.item, tried.verdict, text=tried.text, reason=tried.reason, remark=tried.remark
                )
                self.post_message(self.Ruled(tried, made, None, None))
                also = "   b same for similar" if tried.verdict == "edit" and not self.in_series else ""
                self.take(lambda: sitting.take(tried.item), f"{VERBS[tried.verdict]} {made.id}   u undo{also}")
                return
            except RungError as error:
                if BUSY in error.found:
                    continue  # another program's change: it ends, and the decision is still here
                other = sitting.decided_by(tried.item) if isinstance(error, Refusal) else None
                self.post_message(self.Ruled(tried, None, error, other))
                return

    @on(Ruled)
    def _ruled(self, message: Ruled) -> None:
        tried, error = message.tried, message.error
        self.since = None
        if message.made is not None:
            self.remark = ""
            self.wait_for("Fetching the next row …")
        elif message.other is not None and tried.verdict in FINAL:
            self._show_conflict(tried, message.other)
        elif isinstance(error, Refusal) and self.sitting is not None:
            self._take_again(self.sitting, tried.item, error.message)
        elif error is not None:
            self.busy = False
            self.tell(error.message)

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _take_again(self, sitting: Sitting, item: Item, problem: str) -> None:
        """A lease that ended: the row is taken again if nobody has it, else the next one."""
        self.take(lambda: sitting.again(item.id) or sitting.take(item), problem)

    @property
    def in_series(self) -> bool:
        """Whether rows are shown for the same repair."""
        return self.sitting is not None and self.sitting.series is not None

    # Two decisions that met

    def _show_conflict(self, tried: Try, other: Standing) -> None:
        self.busy, self.state, self.refused = False, "conflict", (tried, other)
        who = shown(other.reviewer)
        mine = tried.text if tried.text is not None else answer(tried.item) or ""
        self.panel.show_two(
            Face(
                f"{who}, {VERBS.get(other.verdict, other.verdict)} at {clock_of(other.at)}",
                "-",
                self.cover(other.answer or "-"),
            ),
            Face(f"Yours, {VERBS[tried.verdict]}", "+", self.cover(mine)),
        )
        kept = " Your edit is kept as a draft." if tried.verdict == "edit" else ""
        self.query_one("#label", Static).update(Text(f"{who} decided this row while it was open here.{kept}"))
        self.next = f"Next: keep what {who} decided.   Enter"
        self.tell("yours was not counted")
        self.refresh_frame()

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _contest(self, sitting: Sitting, tried: Try, other: Standing) -> None:
        try:
            sitting.contest(tried.item, tried.verdict, tried.text, tried.reason)
            note = f"{tried.item.id} goes to a third person, with both"
        except RungError as error:
            note = error.message
        self.take(lambda: sitting.take(tried.item), note)

    # Rejecting

    def action_reject(self) -> None:
        """List the reasons; a digit rejects. Also while the next row is on its way: the digit waits for it."""
        if self.is_editing or self.kept is not None or self.state != "item" or self.item is None:
            return
        self.show_reasons(True)

    def show_reasons(self, on: bool) -> None:
        """Show or hide the list of reasons."""
        self.rejecting = on
        lines = [
            "",
            "Reject because",
            *(f" {n}  {shown(each)}" for n, each in enumerate(self._reasons, 1)),
            "",
            " Esc no",
        ]
        field = self.query_one("#reasons", Static)
        field.update(Text("\n".join(lines)))
        field.display = on
        self.query_one("#guideline").display = not on
        self.set_class(on, "rejecting")
        self.call_after_refresh(self.draw_sides)
        self.refresh_frame()

    @property
    def _reasons(self) -> tuple[str, ...]:
        return self.item.reasons[:9] if self.item else ()

    @property
    def reason_digits(self) -> str:
        """`1-4`."""
        return f"1-{len(self._reasons)}" if len(self._reasons) > 1 else "1"

    def action_reason(self, number: int) -> None:
        """Reject with this reason."""
        if self.rejecting and number <= len(self._reasons):
            self._reject(self._reasons[number - 1])
        elif self.rejecting:
            self.tell(f"no reason {number}: {self.reason_digits}, or Esc")

    def _reject(self, reason: str) -> None:
        if self.can(lambda: self._reject(reason)):
            self.decide("reject", reason=reason)

    # Undo

    def action_undo(self) -> None:
        """Take the last decision of this sitting back and show that row again."""
        if self.busy and self.kept is None:
            self.kept = self.action_undo
        elif not self.busy and self.sitting is not None and not self.is_editing:
            self.show_reasons(False)
            self.wait_for("Fetching the row again …")
            self._undo(self.sitting, self.item)

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _undo(self, sitting: Sitting, item: Item | None) -> None:
        taken = sitting.undo()
        if taken is None:
            self.take(lambda: sitting.again(item.id) if item else sitting.take(), "nothing to undo")
            return
        sitting.leave(item)
        self.take(lambda: sitting.again(taken.id), f"{taken.id} is open again")
