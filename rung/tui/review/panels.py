"""Panels of the Review screen: the item with its answer and remark on the left, reasons and guideline on the right."""

from collections.abc import Iterable, Sequence

from rich.text import Text
from textual import on
from textual.app import SuspendNotSupported
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from curation.example import Example
from curation.review.ruling import with_text
from rung.symbols import drawn
from rung.text.message_text import worse_answer
from rung.tui.editor import draft_file, edit_outside
from rung.tui.review.answer import AnswerPanel, Face
from rung.tui.review.item_text import ItemView, answer, asked, behind, beside, label
from rung.tui.widgets.lines import TextPart, TextPassage, shown
from workspace.errors import RungError

UNANSWERED = "(no answer yet: e writes one)"
IN_PLACE = (8_000, 400)
"""Characters and lines that a field on the screen takes; more is the work of a real editor."""


class ItemPanel(VerticalScroll):
    """Question, answer, remark, and where the row comes from; the answer and the remark can be written here."""

    left_remark = ""
    """Text of the remark field when `Esc` left it: `m` restores it."""
    view: ItemView | None = None

    class Said(Message):
        """Words for row 23."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    class Written(Message):
        """A text came from the editor that no field takes: it is the edit."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def compose(self) -> Iterable[Widget]:
        """Compose the panels from top to bottom."""
        yield TextPassage(id="asked")
        yield Static(id="label")
        yield AnswerPanel(id="answer")
        yield Input(id="remark", placeholder="remark for the team", compact=True)
        yield Static(id="behind")

    def on_mount(self) -> None:
        """Start with nothing shown."""
        for name in ("#remark", "#label", "#answer"):
            self.query_one(name).display = False

    @property
    def answer(self) -> AnswerPanel:
        """The proposed answer."""
        return self.query_one("#answer", AnswerPanel)

    @property
    def remark(self) -> Input:
        """The field of the remark."""
        return self.query_one("#remark", Input)

    def begin(self, view: ItemView) -> None:
        """Show another item, from its top."""
        self.left_remark = ""
        self.query_one("#label", Static).update(Text(label(view.item)))
        for name in ("#label", "#answer"):
            self.query_one(name).display = True
        self.draw(view)
        self.scroll_home(animate=False)

    def draw(self, view: ItemView) -> None:
        """Draw question and answer, masked or as they are."""
        self.view = view
        self.query_one("#asked", TextPassage).show(*asked(view.face))
        self.draw_answer(view)

    def draw_answer(self, view: ItemView) -> None:
        """Draw the answer: alone, beside the worse one of a pair, or beside its repair."""
        text, other, repaired = answer(view.face), worse_answer(view.face.row), view.session.proposal(view.item)
        if repaired is not None:
            self.answer.show_two(Face("Draft", "-", text or ""), Face("Same repair", "+", view.cover(repaired)))
        elif other is not None:
            self.answer.show_two(Face("Better answer", " ", text or ""), Face("Worse answer", " ", other))
        else:
            self.answer.show(text if text is not None else UNANSWERED)

    def draw_behind(self, view: ItemView) -> None:
        """Draw the text that depends on this panel's width."""
        self.query_one("#behind", Static).update(Text("\n").join(behind(view, self.size.width or 49)))

    def show_words(self, words: str) -> None:
        """Words where no item is."""
        for name in ("#label", "#answer"):
            self.query_one(name).display = False
        self.query_one("#asked", TextPassage).show(TextPart(Text(drawn("\n" + words))))
        self.query_one("#behind", Static).update("")

    # Writing

    def edit(self) -> None:
        """Open the answer in its place; text that is too long for a field goes to the editor."""
        if self.view is None or not fits(self.view.start_text):
            self.edit_outside()
            return
        self.answer.open(answer(self.view.item) or "", self.view.start_text)
        self.post_message(self.Said("your draft is saved as you type"))

    def edit_outside(self) -> None:
        """Hand the text to $EDITOR; what comes back is in the field, a draft until it is saved."""
        view = self.view
        if view is None:
            return
        text = self.answer.field.edited if self.answer.is_open else view.start_text
        try:
            with self.app.suspend():
                made = edit_outside(draft_file(view.session.desk.project, view.item.id, view.session.person), text)
        except SuspendNotSupported:
            self.post_message(self.Said("this terminal cannot open an editor"))
        except RungError as error:
            self.post_message(self.Said(error.message))
        else:
            if not fits(made):
                self.post_message(self.Written(made))
                return
            self.answer.open(answer(view.item) or "", made)
            self._keep_draft(view, made)
            self.post_message(self.Said("^S saves and approves it"))

    @on(AnswerPanel.Edited)
    def _edited(self, message: AnswerPanel.Edited) -> None:
        if self.view is not None:
            self.view.typed = message.text
            self._keep_draft(self.view, message.text)

    def _keep_draft(self, view: ItemView, text: str) -> None:
        """Keep half an edit, where it is one."""
        session, item = view.session, view.item
        if text.strip() and (item.draft is not None or text != (answer(item) or "")):
            self.run_worker(
                lambda: session.keep_draft(item, with_text(Example(dict(item.row)), text)),
                thread=True,
                exclusive=True,
                exit_on_error=False,  # half a call is no draft yet
                group="draft",
            )

    def open_remark(self, text: str) -> None:
        """Begin or go on with a remark."""
        self.remark.value, self.remark.display = text or self.left_remark, True
        self.remark.focus()

    def close_field(self) -> str:
        """Close the field that is open; what to say of it, empty if none was. A draft stays."""
        if self.answer.is_open and self.view is not None:
            self.draw_answer(self.view)
            return "unchanged; your draft is kept"
        if not self.remark.display:
            return ""
        self.remark.display = False
        self.left_remark = self.remark.value
        return "no remark; m brings back what you wrote" if self.left_remark else "no remark"


class AsidePanel(VerticalScroll):
    """Panel beside the item: reasons while rejecting, else guideline, near rows, session and team."""

    def compose(self) -> Iterable[Widget]:
        """Compose one or the other."""
        yield Static(id="reasons")
        yield Static(id="guideline")

    def on_mount(self) -> None:
        """No reason is asked for."""
        self.query_one("#reasons").display = False

    def draw(self, view: ItemView) -> None:
        """Guideline, near rows, session and team, as many lines as there is room."""
        words = beside(view, (self.size.width or 28) - 1, self.size.height or 18)
        self.query_one("#guideline", Static).update(words)

    def clear(self) -> None:
        """No item, nothing beside it."""
        self.query_one("#reasons").display = False
        self.query_one("#guideline", Static).update("")

    def show_reasons(self, reasons: Sequence[str] | None) -> None:
        """List the reasons; None takes the list away."""
        listed = [f" {n}  {shown(each)}" for n, each in enumerate(reasons or (), 1)]
        field = self.query_one("#reasons", Static)
        field.update(Text("\n".join(["", "Reject because", *listed, "", " Esc no"])))
        field.display = reasons is not None
        self.query_one("#guideline").display = reasons is None


def fits(text: str) -> bool:
    """True if a text can be edited in place."""
    most, lines = IN_PLACE
    return len(text) <= most and text.count("\n") < lines
