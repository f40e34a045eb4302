"""Editing in the Review screen: the answer in its place, a remark, the person's own editor; drafts are kept at once."""

from __future__ import annotations

from textual import on, work
from textual.app import SuspendNotSupported
from textual.widgets import Input, TextArea

from curation.review import Item
from curation.review.repair import edited_text
from rung.tui.item_words import answer
from rung.tui.screens.review_item import ItemScreen
from rung.tui.sitting import Sitting
from rung.tui.widgets.answer import AnswerPanel
from workspace.errors import RungError

EDITING = (("^S", "save and approve"), ("^O", "your $EDITOR"), ("Esc", "leave it as it was"))
REMARKING = (("Enter", "goes with your decision"), ("Esc", "no remark"), ("F1", "help"))
LEFT = "left as it was; your draft is kept"
IN_PLACE = (8_000, 400)
"""Characters and lines that a field on the screen takes; more is the work of a real editor."""


class EditScreen(ItemScreen):
    """An item whose answer can be edited."""

    def __init__(self) -> None:
        super().__init__()
        self.remark = ""
        self.left_remark = ""
        """What stood in the field of the remark when `Esc` left it: `m` brings it back."""

    @property
    def is_editing(self) -> bool:
        """Whether the answer is open in the field."""
        return self.panel.is_open

    @property
    def is_remarking(self) -> bool:
        """Whether a remark is being written."""
        return bool(self.query_one("#remark").display)

    def show_item(self, item: Item) -> None:
        """A new item is not being edited, and has no remark."""
        self._end_remark()
        super().show_item(item)

    # The answer

    def start_text(self, item: Item) -> str:
        """What the field begins with: a draft from before, what the repair makes of the answer, or the answer."""
        if item.draft is not None:
            return edited_text(item.draft)
        series = self.sitting.series if self.sitting else None
        before = answer(item) or ""
        return (series.proposal(before) if series else None) or before

    def action_edit(self) -> None:
        """Open the answer in its place; text that is too long for a field goes to the editor."""
        if not self.can(self.action_edit) or self.is_editing or self.item is None:
            return
        if self.is_masked_in_edit(self.item):
            self.unmask(self.item, self.action_edit)
            return
        text = self.start_text(self.item)
        if not fits(text):
            self.action_editor()
            return
        self.panel.open(answer(self.item) or "", text)
        self.tell("what you type is kept")
        self.refresh_frame()

    @on(AnswerPanel.Edited)
    def _edited(self, message: AnswerPanel.Edited) -> None:
        if self.item is not None and self.sitting is not None:
            self._keep_draft(self.sitting, self.item, message.text)

    @work(thread=True, exclusive=True, exit_on_error=False, group="draft")
    def _keep_draft(self, sitting: Sitting, item: Item, text: str) -> None:
        if text.strip() and (item.draft is not None or text != (answer(item) or "")):
            from curation.example import Example
            from curation.review.edits import with_text

            sitting.keep_draft(item, with_text(Example(dict(item.row)), text))

    def action_save(self) -> None:
        """Save the edit and approve it."""
        if self.is_editing:
            text = self.panel.field.edited
            if not text.strip():
                self.tell("The new answer is empty. Write one, or Esc and reject the row.")
                return
            self.end_edit()
            self.decide("edit", text=text)

    def decide(self, verdict: str, *, text: str | None = None, reason: str = "") -> None:
        """Write a decision; the Review screen says how."""
        raise NotImplementedError

    def end_edit(self) -> None:
        """Close the field; the answer stands there as before."""
        self.set_focus(None)
        if self.item is not None:
            self.show_answer(self.item)
        self.refresh_frame()

    # The person's own editor

    def action_editor(self) -> None:
        """Hand the text to $EDITOR; what comes back stands in the field, with the difference."""
        from rung.tui.editor import draft_file, edit_outside

        if self.item is None or self.source.project is None or not (self.is_editing or self.can(self.action_editor)):
            return
        if self.is_masked_in_edit(self.item) and not self.is_editing:
            self.unmask(self.item, self.action_editor)
            return
        text = self.panel.field.edited if self.is_editing else self.start_text(self.item)
        path = draft_file(self.source.project, self.item.id, self.source.person)
        try:
            with self.app.suspend():
                made = edit_outside(path, text)
        except SuspendNotSupported:
            self.tell("no editor can be opened in this terminal")
            return
        except RungError as error:
            self.tell(error.message)
            return
        self._take_back(self.item, made)

    def _take_back(self, item: Item, made: str) -> None:
        """Show what came back; it is a draft until it is saved."""
        if not fits(made):
            self.decide("edit", text=made)
            return
        self.panel.open(answer(item) or "", made)
        if self.sitting is not None:
            self._keep_draft(self.sitting, item, made)
        self.tell("^S saves and approves it")
        self.refresh_frame()

    # A remark

    def action_remark(self) -> None:
        """Write a remark that goes with the decision."""
        if self.can(self.action_remark):
            field = self.query_one("#remark", Input)
            field.value, field.display = self.remark or self.left_remark, True
            field.focus()
            self.call_after_refresh(self.refresh_frame)

    @on(Input.Submitted, "#remark")
    def _remarked(self, event: Input.Submitted) -> None:
        self._end_remark(event.value)
        self.tell("the remark goes with your decision" if self.remark else "no remark")

    def _end_remark(self, remark: str = "") -> None:
        self.remark, self.left_remark = remark, ""
        self.query_one("#remark").display = False
        self.set_focus(None)
        self.call_after_refresh(self.refresh_frame)

    def close_field(self) -> bool:
        """Out of a field; whether one was open. A draft stays."""
        if self.is_editing:
            self.end_edit()
            self.tell(LEFT)
        elif self.is_remarking:
            written = self.query_one("#remark", Input).value
            self._end_remark()
            self.left_remark = written
            self.tell("no remark; m brings back what you wrote" if written else "no remark")
        else:
            return False
        return True

    def is_writing(self) -> bool:
        """Whether letters are text now."""
        return isinstance(self.focused, TextArea | Input)


def fits(text: str) -> bool:
    """Whether a text is edited in its place."""
    most, lines = IN_PLACE
    return len(text) <= most and text.count("\n") < lines
