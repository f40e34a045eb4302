"""Review: is this answer right? Item, guideline, findings, origin; `a e x s n u`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from curation.review import Decided, Item
from rung.tui.frame import StageScreen
from rung.tui.item_words import VERBS, asked, behind, beside, clock_of, draft_answer, indented, summary
from rung.tui.sitting import Sitting
from rung.tui.symbols import drawn
from rung.tui.text import shown
from rung.tui.widgets.difference import difference
from workspace.errors import RungError

EMPTY = "Nothing to review."


class ReviewScreen(StageScreen):
    """One item; nothing else is on the screen."""

    stage = "Review"
    hides_side = True
    keys = (
        ("a", "approve"),
        ("e", "edit"),
        ("x", "reject"),
        ("s", "skip"),
        ("n", "not sure"),
        ("u", "undo"),
        ("F1", "help"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "approve", "approve"),
        Binding("e", "edit", "edit in place"),
        Binding("x", "reject", "reject, then a digit for the reason"),
        Binding("s", "rule('skip')", "skip: comes back later"),
        Binding("n", "rule('unsure')", "not sure: goes to a second person"),
        Binding("u", "undo", "undo the last decision"),
        Binding("m", "remark", "a remark for the team, then a decision"),
        Binding("g", "guideline", "the guideline in full"),
        Binding("ctrl+s", "save", "save the edit and approve", show=False, priority=True),
        Binding("j,down", "scroll(2)", "look down"),
        Binding("k,up", "scroll(-2)", "look up"),
        Binding("enter", "next", "fetch the next row, or go on"),
        Binding("w", "why", "the chain behind the row"),
        *(Binding(str(n), f"reason({n})", "reject for that reason", show=False) for n in range(1, 10)),
    ]

    class Shown(Message):
        """An item was leased, or none is left."""

        def __init__(self, item: Item | None, words: str = "") -> None:
            super().__init__()
            self.item, self.words = item, words

    class Ruled(Message):
        """A decision was written, or refused."""

        def __init__(self, verdict: str, decided: Decided | None, problem: str) -> None:
            super().__init__()
            self.verdict, self.decided, self.problem = verdict, decided, problem

    def __init__(self) -> None:
        super().__init__()
        self.item: Item | None = None
        self.sitting: Sitting | None = None
        self.rejecting = False
        self.remark = ""
        self.busy = False
        self.said = False
        """Whether the message speaks of the last decision: it stays while the next item comes."""

    def heading(self) -> str:
        """`Review · item 319 of 750 · dana`."""
        place = f" · item {self.item.decided + 1:,} of {self.item.total:,}" if self.item else ""
        return f"Review{place} · {self.source.person}"

    def compose_stage(self) -> Iterable[Widget]:
        """Item at the left, guideline and near rows at the right."""
        with Horizontal(id="desk"):
            with VerticalScroll(id="item", can_focus=False):
                yield Static(id="asked")
                yield Static("Proposed answer", id="label")
                yield Static(id="answer")
                yield TextArea(id="edit", compact=True, soft_wrap=True, show_line_numbers=False)
                yield Static(id="change")
                yield Input(id="remark", placeholder="remark for the team", compact=True)
                yield Static(id="behind")
            with VerticalScroll(id="beside", can_focus=False):
                yield Static(id="guideline")
                yield Static(id="reasons")

    def on_mount(self) -> None:
        """Sit down and take the first item."""
        self.command = f"rung review next --reviewer {self.source.person}"
        for name in ("#edit", "#remark", "#label"):
            self.query_one(name).display = False
        self._sit_down()

    def on_unmount(self) -> None:
        """Give the rows back when the screen goes."""
        if self.sitting is not None:
            self._leave(self.sitting, self.item)

    @work(thread=True, exit_on_error=False, group="leave")
    def _leave(self, sitting: Sitting, item: Item | None) -> None:
        sitting.leave(item)

    # Fetching

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _sit_down(self) -> None:
        from curation.store import store_exists

        project, settings = self.source.project, self.source.settings
        if project is None or not store_exists(project, settings):
            self.post_message(self.Shown(None, "No rows yet. Import a file: rung data import claims.jsonl"))
            return
        try:
            self.sitting = Sitting(project, settings, self.source.person, self.source.moment)
            self.post_message(self.Shown(self.sitting.take()))
        except RungError as error:
            self.post_message(self.Shown(None, error.message))

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _fetch(self) -> None:
        assert self.sitting is not None
        try:
            self.post_message(self.Shown(self.sitting.take(self.item)))
        except RungError as error:
            self.post_message(self.Shown(None, error.message))

    @work(thread=True, exit_on_error=False, group="ahead")
    def _fetch_ahead(self, item: Item) -> None:
        if self.sitting is not None:
            self.sitting.fetch_ahead(item)

    @on(Shown)
    def _show(self, message: Shown) -> None:
        self.item, self.busy, self.rejecting = message.item, False, False
        self._end_edit()
        if message.item is None:
            self._show_empty(message.words)
        else:
            self._show_item(message.item)
            self._fetch_ahead(message.item)
        self.refresh_frame()

    def _show_empty(self, words: str) -> None:
        lines = ["", words or EMPTY]
        if self.sitting is not None and not words:
            if self.sitting.waiting:
                lines.append(f"{self.sitting.waiting:,} rows wait for someone else.")
            if self.sitting.done:
                lines = ["", f"That was the last one. {summary(self.sitting)}", "", "Next: freeze the dataset (5)."]
        self.query_one("#label").display = False
        self.query_one("#asked", Static).update(Text(drawn("\n".join(lines))))
        for name in ("#answer", "#behind", "#guideline", "#reasons"):
            self.query_one(name, Static).update("")

    def _show_item(self, item: Item) -> None:
        self.query_one("#label").display = True
        self.query_one("#asked", Static).update(asked(item))
        answer = item.answer if item.answer is not None else "(no answer yet: e writes one)"
        self.query_one("#answer", Static).update(indented(shown(answer)))
        self.query_one("#behind", Static).update(Text("\n").join(behind(item, self.query_one("#item").size.width)))
        self.query_one("#guideline", Static).update(Text(drawn("\n".join(beside(item, self.sitting)))))
        self.query_one("#reasons", Static).update("")
        self.query_one("#item", VerticalScroll).scroll_home(animate=False)
        if not self.said:
            self.tell(f"kept for you until {clock_of(item.until)}")
        self.said = False

    # Deciding

    def action_approve(self) -> None:
        """Approve as it stands."""
        self.action_rule("approve")

    def action_rule(self, verdict: str, text: str | None = None, reason: str = "") -> None:
        """Decide and go on; keys are not lost while it is written."""
        if self.item is not None and not self.busy and not self.is_editing:
            self.busy = True
            self._rule(self.item, verdict, text, reason, self.remark)

    @work(thread=True, exit_on_error=False, group="rule")
    def _rule(self, item: Item, verdict: str, text: str | None, reason: str, remark: str) -> None:
        assert self.sitting is not None
        try:
            made = self.sitting.decide(item, verdict, text=text, reason=reason, remark=remark)
            self.post_message(self.Ruled(verdict, made, ""))
        except RungError as error:
            self.post_message(self.Ruled(verdict, None, error.message))

    @on(Ruled)
    def _ruled(self, message: Ruled) -> None:
        self.remark = ""
        if message.decided is None:
            self.busy = False
            self.tell(message.problem)
            return
        self.tell(f"{VERBS[message.verdict]} {message.decided.id}   u undoes it")
        self.said = True
        self._fetch()

    def action_reject(self) -> None:
        """List the reasons; a digit rejects."""
        if self.item is None or self.is_editing:
            return
        self.rejecting = True
        lines = ["", "Reject because", *(f" {n}  {reason}" for n, reason in enumerate(self.item.reasons, 1)), " Esc no"]
        self.query_one("#reasons", Static).update(Text("\n".join(lines)))

    def action_reason(self, number: int) -> None:
        """Reject with this reason."""
        if self.rejecting and self.item is not None and number <= len(self.item.reasons):
            self.action_rule("reject", reason=self.item.reasons[number - 1])

    def action_undo(self) -> None:
        """Take the last decision of this sitting back and show that row again."""
        if not self.busy and self.sitting is not None:
            self.busy = True
            self._undo()

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _undo(self) -> None:
        assert self.sitting is not None
        taken = self.sitting.undo()
        if taken is None:
            self.post_message(self.Shown(self.item, "nothing to undo"))
            return
        if self.item is not None:
            self.sitting.leave(self.item)
        self.post_message(self.Shown(self.sitting.again(taken.id)))

    # Editing

    @property
    def is_editing(self) -> bool:
        """Whether the answer is open in the field."""
        return bool(self.query_one("#edit").display)

    def action_edit(self) -> None:
        """Open the answer in its place; a draft from before is taken up."""
        if self.item is None or self.is_editing:
            return
        area = self.query_one("#edit", TextArea)
        draft = self.item.draft
        area.load_text(draft_answer(draft) if draft else self.item.answer or "")
        area.display = True
        self.query_one("#answer").display = False
        area.focus()
        self.tell("^S save and approve   Esc leave it as it was")

    @on(TextArea.Changed, "#edit")
    def _edited(self) -> None:
        if self.item is not None and self.is_editing:
            text = self.query_one("#edit", TextArea).text
            self.query_one("#change", Static).update(difference(self.item.answer or "", text))
            self._keep(self.item, text)

    @work(thread=True, exclusive=True, exit_on_error=False, group="draft")
    def _keep(self, item: Item, text: str) -> None:
        if self.sitting is not None and text != (item.answer or ""):
            from curation.example import Example
            from curation.review.edits import with_text

            self.sitting.keep_draft(item, with_text(Example(dict(item.row)), text))

    def action_save(self) -> None:
        """Save the edit and approve it."""
        if self.is_editing:
            text = self.query_one("#edit", TextArea).text
            self._end_edit()
            self.action_rule("edit", text=text)

    def _end_edit(self) -> None:
        self.query_one("#edit").display = False
        self.query_one("#answer").display = True
        self.query_one("#change", Static).update("")
        self.set_focus(None)

    def action_remark(self) -> None:
        """Write a remark that goes with the decision."""
        if self.item is not None:
            field = self.query_one("#remark", Input)
            field.display = True
            field.focus()

    @on(Input.Submitted, "#remark")
    def _remarked(self, event: Input.Submitted) -> None:
        self.remark = event.value
        event.input.display = False
        self.set_focus(None)
        self.tell("the remark goes with your decision")

    # Looking

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While text is written letters are text; digits are reasons while rejecting, else stages."""
        writing = isinstance(self.focused, TextArea | Input)
        if writing and action not in ("save", "back"):
            return False
        if action == "reason":
            return self.rejecting
        if action == "stage":
            return not self.rejecting
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        """Out of the edit, out of the reasons, then to Start. A draft stays."""
        if self.is_editing:
            self._end_edit()
            self.tell("left as it was; your draft is kept")
        elif self.query_one("#remark").display:
            self.query_one("#remark").display = False
            self.set_focus(None)
        elif self.rejecting:
            self.rejecting = False
            self.query_one("#reasons", Static).update("")
        else:
            super().action_back()

    def action_scroll(self, by: int) -> None:
        """Look up and down in a long item."""
        self.query_one("#item", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_next(self) -> None:
        """Where nothing is left: on to the dataset."""
        if self.item is None and self.sitting is not None:
            self.app.open_stage(5)  # type: ignore[attr-defined]

    def action_guideline(self) -> None:
        """The guideline in full."""
        from rung.tui.screens.page import PageScreen

        if self.item is not None and self.item.guideline is not None:
            guideline = self.item.guideline
            self.app.push_screen(PageScreen(f"Guideline v{guideline.version}", guideline.text))

    def action_why(self) -> None:
        """The chain behind the row."""
        from rung.tui.screens.why import WhyScreen

        if self.item is not None:
            self.app.push_screen(WhyScreen(self.item.id))
