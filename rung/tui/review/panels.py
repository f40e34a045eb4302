"""Panels of the Review screen: the item with its answer and remark on the left, reasons and guideline on the right.

The proposed answer is alone, beside another text with differences marked, or open in a field.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text
from textual import on
from textual.app import SuspendNotSupported
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from curation.example import Example
from curation.review.ruling import with_text
from rung.symbols import drawn
from rung.text.message_text import worse_answer
from rung.tui.editor import draft_file, edit_outside
from rung.tui.review.item_text import ItemView, answer, asked, behind, beside, label
from rung.tui.widgets.lines import (
    CAME,
    GONE,
    HIDDEN,
    JOINERS,
    Span,
    TextPart,
    TextPassage,
    changed,
    marked,
    row_text,
    shown,
)
from workspace.errors import RungError

UNANSWERED = "(no answer yet: e writes one)"
IN_PLACE = (8_000, 400)
"""Characters and lines that a field on the screen takes; more is the work of a real editor."""
PLACES = range(0x10FE00, 0x10FFFE)
"""Private characters, one cell wide, that replace in the field what has no width or would break a line."""


class EditArea(TextArea):
    """A text area over row text: controls and bidi marks show as a box, and come out as they went in."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, soft_wrap=True, show_line_numbers=False)
        self.cursor_blink = self.match_cursor_bracket = False
        self._marks: dict[int, list[Span]] = {}
        self._held: dict[int, int] = {}

    def open(self, text: str) -> None:
        """Put row text into the field, the cursor at its end."""
        self._marks = {}
        odd = sorted({character for character in set(text) if _is_odd(character)})
        self._held = {ord(character): place for character, place in zip(odd, PLACES, strict=False)}
        self.load_text(text.translate(self._held))
        self.move_cursor(self.document.end)

    @property
    def edited(self) -> str:
        """The row text in the field."""
        return self.text.translate({place: character for character, place in self._held.items()})

    def mark(self, spans: Sequence[Span]) -> None:
        """Mark these places of `edited`."""
        self._marks = {}
        start = 0
        for number, line in enumerate(self.text.split("\n")):
            end = start + len(line)
            here = [(max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start]
            if here:
                self._marks[number] = here
            start = end + 1
        self.notify_style_update()
        self.refresh()

    def get_line(self, line_index: int) -> Text:
        """Return a line with the inserted text marked; every character keeps its column."""
        line = self.document.get_line(line_index)
        text = Text("".join("▯" if _is_odd(character) else character for character in line), end="", no_wrap=True)
        for start, end in self._marks.get(line_index, ()):
            text.stylize(CAME, start, end)
        return text


def _is_odd(character: str) -> bool:
    """True if it has no width, or is a line break that the field would write differently."""
    plain = character in "\n\t" or character in JOINERS or (character.isascii() and character.isprintable())
    return not plain and unicodedata.category(character) in HIDDEN


class AnswerPanel(Horizontal):
    """One or two texts: side by side from 100 columns, stacked below that."""

    class Edited(Message):
        """The text in the field was changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    before = ""
    """The text that an open field is compared with."""

    def compose(self) -> Iterable[Widget]:
        """Two sides, each a name over a sign and a text; the field is on the right one."""
        for side in ("one", "other"):
            with Vertical(id=side):
                yield Static(classes="name")
                with Horizontal(classes="body"):
                    yield Static("  ", classes="sign")
                    yield TextPassage(classes="text")
                    if side == "other":
                        yield EditArea(id="edit")

    def on_mount(self) -> None:
        """Start with no open field."""
        self.field.display = False

    @property
    def field(self) -> EditArea:
        """The field of the right side."""
        return self.query_one("#edit", EditArea)

    @property
    def is_open(self) -> bool:
        """True if the field is open."""
        return bool(self.field.display)

    def show(self, text: str) -> None:
        """Show one text alone."""
        self._shut()
        self._side("one", "", " ", row_text(text))
        self.query_one("#other").display = False

    def show_two(self, texts: Mapping[str, str], signs: str = "  ") -> None:
        """Show two texts by their names, and mark the differences in both; `signs` where there is no room for names."""
        self._shut()
        self.remove_class("quiet")
        (one, left), (other, right) = texts.items()
        gone, came = changed(left, right)
        self._side("one", one, signs[0], marked(left, gone, GONE))
        self._side("other", other, signs[1], marked(right, came, CAME))
        self.query_one("#other").display = True

    def open(self, before: str, text: str) -> None:
        """Open a text in the field, beside the one it started from."""
        self.before = before
        self.add_class("quiet")
        self.query_one("#other").display = True
        self.query_one("#other .text").display = False
        self.field.display = True
        self._side("other", "Your edit", "+", Text(""))
        self.field.open(text)
        self._compare()
        self.field.focus()

    def _shut(self) -> None:
        self.field.display = False
        self.query_one("#other .text").display = True

    @on(TextArea.Changed, "#edit")
    def _changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self.is_open:
            self._compare()
            self.post_message(self.Edited(self.field.edited))

    def _compare(self) -> None:
        gone, came = changed(self.before, self.field.edited)
        self._side("one", "Draft", "-", marked(self.before, gone, GONE))
        self.field.mark(came)

    def _side(self, side: str, name: str, sign: str, text: Text) -> None:
        heading = self.query_one(f"#{side} .name", Static)
        heading.set_class(not name, "none")
        heading.update(Text(name))
        self.query_one(f"#{side} .sign", Static).update(Text(f"{sign} "))
        self.query_one(f"#{side} .text", TextPassage).show(TextPart(text))


class ItemPanel(VerticalScroll):
    """Question, answer, remark, and where the row comes from; the answer and the remark can be written here."""

    left_remark = ""
    """Text of the remark field when `Esc` left it: `m` restores it."""
    view: ItemView | None = None

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
            self.answer.show_two({"Draft": text or "", "Same repair": view.cover(repaired)}, "-+")
        elif other is not None:
            self.answer.show_two({"Better answer": text or "", "Worse answer": other})
        else:
            self.answer.show(text if text is not None else UNANSWERED)

    def draw_behind(self, view: ItemView) -> None:
        """Draw the text that depends on this panel's width."""
        lines = behind(view.face, self.size.width or 49, view.hidden_note)
        self.query_one("#behind", Static).update(Text("\n").join(lines))

    def show_words(self, words: str) -> None:
        """Words where no item is."""
        for name in ("#label", "#answer"):
            self.query_one(name).display = False
        self.query_one("#asked", TextPassage).show(TextPart(Text(drawn("\n" + words))))
        self.query_one("#behind", Static).update("")

    # Writing

    def edit(self, view: ItemView) -> tuple[str, str | None]:
        """Open the answer in its place, or in the editor if it is too long for a field; see `edit_outside`."""
        if not fits(view.start_text):
            return self.edit_outside(view)
        self.answer.open(answer(view.item) or "", view.start_text)
        return "your draft is saved as you type", None

    def edit_outside(self, view: ItemView) -> tuple[str, str | None]:
        """Hand the text to $EDITOR; what comes back is in the field, a draft until it is saved.

        Returns words for row 23, and a text that no field takes: that is the edit.
        """
        text = self.answer.field.edited if self.answer.is_open else view.start_text
        try:
            with self.app.suspend():
                made = edit_outside(draft_file(view.session.desk.project, view.item.id, view.session.person), text)
        except SuspendNotSupported:
            return "this terminal cannot open an editor", None
        except RungError as error:
            return error.message, None
        if not fits(made):
            return "", made
        self.answer.open(answer(view.item) or "", made)
        self._keep_draft(view, made)
        return "^S saves and approves it", None

    @on(AnswerPanel.Edited)
    def _edited(self, message: AnswerPanel.Edited) -> None:
        if self.view is not None:
            self.view.typed = message.text
            self._keep_draft(self.view, message.text)

    def _keep_draft(self, view: ItemView, text: str) -> None:
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
