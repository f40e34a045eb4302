"""Review: is this answer right? Item, guideline, findings, origin; `a e x s n u`, and `b` for the same repair."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Input, TextArea

from curation.review import ReviewItem, Ruling
from curation.review.item import LABEL_KEYS
from curation.review.service import DecisionInForce
from curation.store.records import FINAL
from rung.status.stages import Stage, Status
from rung.text.message_text import clock_of
from rung.tui.async_list import LONG, SLOW
from rung.tui.frame import SMALL, WIDE, StageScreen
from rung.tui.review.item_text import ItemView, answer, labels_of, near_words
from rung.tui.review.panels import AnswerPanel, AsidePanel, ItemPanel
from rung.tui.review.review_modals import ConflictScreen, GuidelineScreen
from rung.tui.review.review_session import ReviewSession, Taken, TriedDecision
from rung.tui.screens.page_screen import PageScreen, WhyScreen
from rung.tui.widgets.lines import shown
from workspace.errors import Refusal, RungError

FETCHING = "Fetching the next row …"
DIGITS = 9
LEASES = 4
"""A row on the screen is kept for as many leases."""
ROOMY, TALL = 140, 36
FOLLOWS = {
    "no_rows": "Next: import rows (3).   Enter",
    "empty": "Next: freeze the dataset (5).   Enter",
    "over": "Next: keep reviewing.   Enter",
    "failed": "Next: try again.   Enter",
}
EDITING = (("^S", "save and approve"), ("^O", "your $EDITOR"), ("Esc", "cancel, keep the draft"))
REMARKING = (("Enter", "save with your decision"), ("Esc", "no remark"))
NAMED = 30
"""Characters of an answer in a question."""
SERIES = (
    ("a", "same repair"),
    ("s", "leave it"),
    ("e", "edit"),
    ("x", "reject"),
    ("u", "undo"),
    ("Esc", "back"),
)


def label_keys(many: int) -> str:
    """Return the keys of so many labels or reasons, as the key line shows them: `1`, `1-6`, `1-9 dhi`."""
    digits = f"1-{min(many, DIGITS)}" if many > 1 else "1"
    return " ".join(filter(None, (digits, LABEL_KEYS[DIGITS:many])))


class ReviewScreen(StageScreen):
    """One item and one decision; nothing else is on the screen."""

    stage = "Review"
    hides_side = True

    keys = (
        ("a", "approve"),
        ("e", "edit"),
        ("x", "reject"),
        ("s", "skip"),
        ("n", "not sure"),
        ("u", "undo"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "approve", "approve; the same repair, where one is shown"),
        Binding("e", "edit", "edit in place"),
        Binding("E,ctrl+o", "editor", "edit in your $EDITOR", key_display="E"),
        Binding("x", "reject", "reject, then a digit for the reason"),
        Binding("s", "skip", "skip: comes back later"),
        Binding("n", "put_off('unsure')", "not sure: a second person decides; alone, it comes back last"),
        Binding("f,N", "put_off('flag')", "flag: goes to the person who settles disagreements"),
        Binding("u", "undo", "undo the last decision"),
        Binding("b", "same", "the same repair for similar rows, one by one"),
        Binding("m", "remark", "a remark for the team, then a decision"),
        Binding("g", "guideline", "the guideline in full, / finds in it"),
        Binding("v", "near", "the nearest decided rows in full"),
        Binding("ctrl+s", "save", "save the edit and approve", show=False, priority=True),
        Binding("j,down", "scroll(2)", "look down"),
        Binding("k,up", "scroll(-2)", "look up"),
        Binding("pagedown,space", "scroll(12)", "a page down"),
        Binding("pageup", "scroll(-12)", "a page up"),
        Binding("enter", "next", "the next step"),
        Binding("r", "next", "try again after an error", show=False),
        Binding("w", "why", "the chain behind the row"),
        Binding("p", "unmask", "show personal data in this item (recorded in the log), or hide it again"),
        *(
            Binding(key, f"digit({n})", "that answer; the reason, while rejecting; else that stage", show=False)
            for n, key in enumerate(LABEL_KEYS, 1)
        ),
    ]

    item: ReviewItem | None = None
    busy = True
    """True while a row is fetched or a decision is written."""
    awaits = FETCHING
    since: float | None = None
    """Start of what is awaited."""
    kept: Callable[[], None] | None = None
    """The key that was pressed before the next row was there."""
    state = "item"
    """item, no_rows, empty (nothing left), over (the end of a session), failed."""
    said = False
    """True if the message is about the last decision: it stays when the next item comes."""
    view: ItemView | None = None
    remark = ""
    """The remark that goes with the next decision."""
    rejecting = False
    session: ReviewSession
    """From `on_mount` on."""

    def heading(self) -> str:
        """`Review · item 319 of 750 · dana`."""
        place = f" · item {self.item.decided + 1:,} of {self.item.total:,}" if self.item else ""
        return f"Review{place} · {self.source.person}"

    def compose_stage(self) -> Iterable[Widget]:
        """Item at the left, guideline and near rows at the right."""
        with Horizontal(id="desk"):
            yield ItemPanel(id="item", can_focus=False)
            yield AsidePanel(id="beside", can_focus=False)

    def on_mount(self) -> None:
        """Take the first row; look at the clock and keep the lease from then on."""
        self.command = f"rung review next --reviewer {self.source.person}"
        self.session = ReviewSession(self.source, lambda: self.app.is_running)
        self.set_interval(self.source.tick, self._say_what_is_awaited)
        self.set_interval(self.source.settings.review.lease_seconds / 3, self._keep_lease)
        self.fetch()

    def on_unmount(self) -> None:
        """Give the rows back when the screen goes."""
        self.session.close()

    @property
    def left(self) -> ItemPanel:
        """The item."""
        return self.query_one("#item", ItemPanel)

    @property
    def right(self) -> AsidePanel:
        """Return the right panel."""
        return self.query_one("#beside", AsidePanel)

    @property
    def panel(self) -> AnswerPanel:
        """The proposed answer."""
        return self.left.answer

    @property
    def unmasked(self) -> bool:
        """True if this item is shown unmasked; the next one is masked again."""
        return self.view is not None and self.view.unmasked

    @property
    def in_series(self) -> bool:
        """True while rows are shown for the same repair."""
        return self.session.series is not None

    @property
    def is_editing(self) -> bool:
        """True if the answer is open in the field."""
        return self.panel.is_open

    def is_writing(self) -> bool:
        """True if letters are text now."""
        return isinstance(self.focused, TextArea | Input)

    # The frame

    def fitted(self) -> None:
        """Draw again what depends on the width."""
        self.draw_sides()

    def fits(self, size: Size) -> dict[str, bool]:
        """Two texts are side by side, more is beside the item, the field is higher, as there is room."""
        wide, high = size
        own = {"across": wide >= WIDE, "roomy": wide >= ROOMY, "slim": wide < SMALL[0], "tall": high >= TALL}
        return {**super().fits(size), **own}

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys of the present state. `p` takes the place of `u`, which row 23 names after a decision."""
        if self.is_drawn and self.is_editing:
            return EDITING
        if self.is_drawn and self.left.remark.display:
            return REMARKING
        if self.rejecting:
            return ((label_keys(len(self._reasons)), "the reason"), ("Esc", "no"))
        if self.state != "item":
            return (("Enter", "next"), ("u", "undo"), ("Esc", "back"))
        keys: Sequence[tuple[str, str]] = SERIES if self.in_series else self.keys
        if labels := self.labels:
            digits = (label_keys(len(labels)), "answer")
            keys = (keys[0], digits, *(key for key in keys[1:] if key[0] != "u"))
        mask = ("p", "hide" if self.unmasked else "show hidden")
        return [mask if key == "u" else (key, word) for key, word in keys] if self.hides() else keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Allow an action: in a text field letters are text, `0` is a reason while rejecting, `p` needs a mask."""
        if self.is_writing() and action not in ("save", "back", "editor", "quit"):
            return False
        if self.question and action not in ("say_yes", "back", "scroll", "copy_command"):
            return False
        here = {
            "save": lambda: self.is_drawn and self.is_editing,
            "next": lambda: self.state != "item",
            "unmask": lambda: self.is_drawn and self.hides(),
        }
        if action in here:
            return here[action]()
        if action == "digit" and (number := int(str(parameters[0]))) > DIGITS:
            return not self.rejecting and number <= len(self.labels)
        return not (action == "stage" and self.rejecting) and super().check_action(action, parameters)

    # Waiting

    def take(self, take: Callable[..., Taken | None], *given: object, awaits: str = FETCHING) -> None:
        """Have the queue take an item in a thread, and show it; until then keys wait."""
        self.wait_for(awaits)
        self._take(take, *given)

    @work(exit_on_error=False, group="fetch")
    async def _take(self, take: Callable[..., Taken | None], *given: object) -> None:
        taken = await asyncio.to_thread(take, *given)
        if taken is not None and not self.is_leaving:
            self._show(taken)

    def wait_for(self, words: str) -> None:
        """Keys wait from now on; what is awaited is said after a second."""
        self.busy, self.awaits, self.since = True, words, self.source.moment()

    def _say_what_is_awaited(self) -> None:
        if self.since is not None and self.is_mounted:
            seconds = self.source.moment() - self.since
            if seconds >= SLOW:
                self.tell(self.awaits.replace("…", f"… {seconds:.0f} s") if seconds >= LONG else self.awaits)

    def can(self, action: Callable[[], None]) -> bool:
        """True if a key acts on the item now. Only one key is kept for the next row: nobody decides a row unseen."""
        if self.busy and self.session.is_open and self.kept is None:
            self.kept = action
            self.tell("key saved for the next row")
        return not self.busy and self.item is not None and self.state == "item"

    def _keep_lease(self) -> None:
        if self.item is None or self.state != "item":
            return
        if self.source.moment() - self.session.shown_at < LEASES * self.source.settings.review.lease_seconds:
            self._keep(self.item)

    @work(thread=True, exclusive=True, exit_on_error=False, group="keep")
    def _keep(self, item: ReviewItem) -> None:
        self.session.keep(item)

    def fetch(self) -> None:
        """Take the next item; the screen stays as it is until it comes."""
        self.take(self.session.fetch, self.item)

    # Showing

    def _show(self, taken: Taken) -> None:
        is_other = taken.item is None or taken.item is not self.item
        self.item, self.busy, self.since = taken.item, False, None
        told, _, way = taken.note.partition(" Next: ")
        if told:
            self.tell(told)
            self.said = is_other and taken.state != "over"
        if taken.item is None:
            self.show_state(taken.state, taken.words)
        elif is_other:
            self.show_item(taken.item)
            self.next = f"Next: {way}" if way else ""
        self.refresh_frame()
        kept, self.kept = self.kept, None
        if kept is not None and self.item is not None:
            self.call_after_refresh(kept)

    def show_state(self, state: str, words: str) -> None:
        """Show the state without an item: nothing is left, the session is over, or something went wrong."""
        self.state, self.item, self.view = state, None, None
        if self.message.startswith(self.awaits.partition("…")[0]):
            self.tell("")  # what was awaited is here
        self.add_class("ended")
        self.left.show_words(words)
        self.right.clear()
        stage = self._stage_after_review()
        onward = f"Next: {stage.name.lower()} ({stage.key}).   Enter" if stage else FOLLOWS["empty"]
        self.next = onward if state == "empty" else FOLLOWS[state]

    def _stage_after_review(self) -> Stage | None:
        """Return the next stage if the dataset is frozen, or the release if none is open; None after decisions here."""
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        if status is None or self.session.done or status.stage("Dataset").state != "done":
            return None
        stage = status.next or status.stage("Release")
        return stage if stage.name != "Review" else None

    def show_item(self, item: ReviewItem) -> None:
        """Draw the item, which is not being edited and has no remark; what is beside it follows once it is known."""
        self.close_field()
        self.remark = ""
        self.state, self.next, self.question, self.view = "item", "", "", ItemView(item, self.session)
        self.remove_class("ended")
        self.left.begin(self.view)
        self.draw_sides()
        if not self.said:
            self.tell(f"reserved for you until {clock_of(item.until)}")
        self.said = False
        self._look_ahead(item)

    @work(exit_on_error=False, group="ahead")
    async def _look_ahead(self, item: ReviewItem) -> None:
        if await asyncio.to_thread(self.session.aside, item) and self.item is item:
            self.draw_sides()
            self.refresh_frame()
        await asyncio.to_thread(self.session.fetch_ahead, item)

    def draw_sides(self) -> None:
        """Draw what depends on the width."""
        if self.view is not None and self.is_mounted:
            self.left.draw_behind(self.view)
            self.right.draw(self.view)

    # Looking

    def action_scroll(self, by: int) -> None:
        """Look up and down in a long item."""
        self.left.scroll_relative(y=by, animate=False)

    def action_guideline(self) -> None:
        """Show the whole guideline."""
        if self.item is not None and self.item.guideline is not None:
            self.app.push_screen(GuidelineScreen(self.item.guideline.version, self.item.guideline.text))
        elif self.item is not None:
            self.tell("no guideline.md in this project")

    def action_near(self) -> None:
        """Show the nearest decided rows in full."""
        aside = self.view.aside if self.view else None
        if aside is not None and aside.near:
            self.app.push_screen(PageScreen("Nearest decided rows", near_words(aside.near)))
        else:
            self.tell(
                "no similar row is decided yet" if not (self.item and self.item.blind) else "hidden: two people decide"
            )

    def action_why(self) -> None:
        """Show the chain behind the row."""
        if self.item is not None:
            self.app.push_screen(WhyScreen(shown(self.item.id)))

    # Personal data

    def hides(self) -> bool:
        """True if the item on the screen holds something masked."""
        return self.view is not None and self.state == "item" and bool(self.view.found)

    def action_unmask(self) -> None:
        """Show this item as it is, or hide it again."""
        if not self.can(self.action_unmask) or self.view is None:
            return
        if self.view.unmasked:
            self.view.unmasked = False
            self.tell("hidden again")
            self._redraw_item(self.view)
        elif self.view.found:
            self.unmask(self.view)

    def unmask(self, view: ItemView, then: Callable[[], None] | None = None) -> None:
        """Write to the log who looks; then show the item as it is, and do what waited for it."""
        self.wait_for("Writing to the log first (…), then showing it.")
        self._unmask(view, then)

    @work(exit_on_error=False, group="unmask")
    async def _unmask(self, view: ItemView, then: Callable[[], None] | None) -> None:
        problem = ""
        try:
            await asyncio.to_thread(self.session.unmask, view.item, view.found)
        except RungError as error:
            problem = error.message
        if self.view is not view or self.state != "item":
            self.busy = self.busy and self.item is not None
            return
        self.busy, self.since, self.kept = False, None, None
        if problem:
            self.tell(problem)
            return
        view.unmasked = True
        self.tell("shown unmasked; recorded in the log")
        self._redraw_item(view)
        if then is not None:
            then()

    def _redraw_item(self, view: ItemView) -> None:
        self.left.draw(view)
        self.draw_sides()
        self.refresh_frame()

    # Editing

    def action_edit(self) -> None:
        """Open the answer in its place; text that is too long for a field goes to the editor."""
        if not self.is_editing:
            self._edit(self.action_edit, self.left.edit)

    def action_editor(self) -> None:
        """Hand the text to $EDITOR; what comes back is in the field, with the difference."""
        self._edit(self.action_editor, self.left.edit_outside)

    def _edit(self, action: Callable[[], None], begin: Callable[[ItemView], tuple[str, str | None]]) -> None:
        if self.view is None or not (self.is_editing or self.can(action)):
            return
        if self.view.masked_in_edit and not self.is_editing:
            self.unmask(self.view, action)
            return
        words, text = begin(self.view)
        if text is not None:
            self.decide("edit", text=text)
            return
        self.tell(words)
        self.refresh_frame()

    def action_save(self) -> None:
        """Save the edit and approve it; ask first where no other row has this answer: it may be a slip."""
        text = self.panel.field.edited
        if not text.strip():
            self.tell("The new answer is empty. Write one, or Esc and reject the row.")
            return
        self.close_field()
        if self.session.is_new(text):
            name = text if len(text) <= NAMED else f"{text[:NAMED]}…"
            self.ask_once(f'No other row has "{shown(name)}". Keep it?', lambda: self.decide("edit", text=text))
        else:
            self.decide("edit", text=text)

    # A remark

    def action_remark(self) -> None:
        """Write a remark that goes with the decision."""
        if self.can(self.action_remark):
            self.left.open_remark(self.remark)
            self.call_after_refresh(self.refresh_frame)

    @on(Input.Submitted, "#remark")
    def _remarked(self, event: Input.Submitted) -> None:
        self.close_field()
        self.remark = event.value
        self.tell("the remark is saved with your decision" if self.remark else "no remark")

    def close_field(self) -> bool:
        """Leave a field; True if one was open. A draft stays."""
        if words := self.left.close_field():
            self.tell(words)
            self.set_focus(None)
            self.call_after_refresh(self.refresh_frame)
        return bool(words)

    # Deciding

    def action_approve(self) -> None:
        """Approve as it is; in a series take the repair."""
        if self.can(self.action_approve) and self.view is not None:
            series, repaired = self.session.series, self.session.proposal(self.view.item)
            if series is None or repaired is None:
                self.decide("approve")
            else:
                series.taken += 1
                self.remark = self.remark or f"same repair as {series.repair.row}"
                self.decide("edit", text=repaired)

    def action_skip(self) -> None:
        """Skip; in a series leave the row in the queue as it is."""
        if self.can(self.action_skip):
            if self.in_series:
                self.take(self.session.leave_as_it_is, self.item)
            else:
                self.decide("skip")

    def action_put_off(self, verdict: str) -> None:
        """Send the row to a second person, or to the one who settles disagreements."""
        if self.can(lambda: self.action_put_off(verdict)):
            self.decide(verdict)

    def decide(self, verdict: str, *, text: str | None = None, reason: str = "") -> None:
        """Write a decision and go on; the item stays until it is written."""
        if self.item is None:
            return
        self.show_reasons(False)
        self.wait_for("Not saved yet, trying again (…). Your decision is kept here.")
        self._decide(self.item, Ruling(verdict, text=text, reason=reason, remark=self.remark))

    @work(exit_on_error=False, group="rule")
    async def _decide(self, item: ReviewItem, ruling: Ruling) -> None:
        done = await asyncio.to_thread(self.session.decide, item, ruling)
        if done is not None and not self.is_leaving:
            self._decided(item, ruling, done)

    def _decided(self, item: ReviewItem, ruling: Ruling, done: TriedDecision) -> None:
        self.since = None
        if done.made is not None:
            self.remark = ""
            self.take(self.session.after, item, ruling.verdict, done.made)
        elif done.other is not None and ruling.verdict in FINAL:
            self._show_conflict(item, ruling, done.other)
        elif isinstance(done.error, Refusal):
            self._take(self.session.take_again, item, done.error.message)
        elif done.error is not None:
            self.busy = False
            self.tell(done.error.message)

    def _show_conflict(self, item: ReviewItem, ruling: Ruling, other: DecisionInForce) -> None:
        def go_on(contest: bool | None) -> None:
            if contest:
                self.take(self.session.contest, item, ruling)
            else:
                self.fetch()

        self.tell("yours was not counted")
        self.app.push_screen(ConflictScreen(self.view or ItemView(item, self.session), ruling, other), go_on)

    # Rejecting

    def action_reject(self) -> None:
        """List the reasons; a digit rejects. Also while the next row is on its way: the digit waits for it."""
        if self.is_editing or self.kept is not None or self.state != "item" or self.item is None:
            return
        self.show_reasons(True)

    def show_reasons(self, on: bool) -> None:
        """Show or hide the list of reasons."""
        self.rejecting = on
        self.right.show_reasons(self._reasons if on else None)
        self.set_class(on, "rejecting")
        self.call_after_refresh(self.draw_sides)
        self.refresh_frame()

    @property
    def _reasons(self) -> tuple[str, ...]:
        return self.item.reasons[:9] if self.item else ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The answers that a digit gives to the item on the screen."""
        return labels_of(self.item, self.session) if self.item is not None and self.state == "item" else ()

    def action_digit(self, number: int) -> None:
        """Choose a reason while rejecting, or a label; else open a stage."""
        if not self.rejecting:
            labels = self.labels
            if not labels:
                self.action_stage(number)
            elif number > len(labels):
                self.tell(f"no answer {number}: {label_keys(len(labels))}, or e")
            elif self.can(lambda: self.action_digit(number)) and not self.is_editing and self.item is not None:
                same = labels[number - 1] == answer(self.item)
                self.decide("approve") if same else self.decide("edit", text=labels[number - 1])
        elif number <= len(self._reasons):
            self._reject(self._reasons[number - 1])
        else:
            self.tell(f"no reason {number}: {label_keys(len(self._reasons))}, or Esc")

    def _reject(self, reason: str) -> None:
        if self.can(lambda: self._reject(reason)):
            self.decide("reject", reason=reason)

    def action_undo(self) -> None:
        """Take the last decision of this session back and show that row again."""
        if self.busy and self.kept is None:
            self.kept = self.action_undo
        elif not self.busy and self.session.is_open and not self.is_editing:
            self.show_reasons(False)
            self.take(self.session.undo, self.item, awaits="Fetching the row again …")

    # The same repair

    def action_same(self) -> None:
        """Look for open rows with the fault of the last edit; each is shown before anything changes."""
        if self.can(self.action_same) and not self.is_editing:
            if self.in_series:
                self.tell("this is the same repair: a takes it, s leaves it, Esc ends it")
                return
            self.take(self.session.begin_series, self.item, awaits="Looking for similar rows …")

    # Going on and back

    def action_back(self) -> None:
        """Out of a field, out of the reasons, out of a series, to the summary, then to Start. A draft stays."""
        if self.question:
            super().action_back()
            self.action_edit()  # the draft is as it was typed
        elif self.close_field():
            return
        elif self.rejecting:
            self.show_reasons(False)
        elif not self._end():
            super().action_back()

    def _end(self) -> bool:
        """End a series, or a session in which something was decided; True if there was one."""
        if self.in_series:
            self.take(self.session.end_series, self.item)
            return True
        if self.state == "item" and self.item is not None and self.session.done:
            self._take(self.session.end, self.item)
            return True
        return False

    def action_next(self) -> None:
        """Do the Next line: go to the dataset, continue the queue, or try again."""
        if self.busy or self.is_writing() or self.state == "item":
            return
        if self.state in ("empty", "no_rows"):
            stage = self._stage_after_review()
            after = stage.number if stage else 5
            self.app.open_stage(after if self.state == "empty" else 3)  # type: ignore[attr-defined]
        else:
            self.fetch()
