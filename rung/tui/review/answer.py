"""The proposed answer: alone, beside another text with differences marked, or open in a field."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static, TextArea

from rung.tui.widgets.lines import CAME, GONE, HIDDEN, JOINERS, Span, TextPart, TextPassage, changed, marked, row_text

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


@dataclass(frozen=True, slots=True)
class Face:
    """One of two texts: its name, and the sign before it where there is no room for names."""

    name: str
    sign: str
    text: str


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

    def show_two(self, left: Face, right: Face) -> None:
        """Show two texts, each with its name, and mark the differences in both."""
        self._shut()
        self.remove_class("quiet")
        gone, came = changed(left.text, right.text)
        self._side("one", left.name, left.sign, marked(left.text, gone, GONE))
        self._side("other", right.name, right.sign, marked(right.text, came, CAME))
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

    def put(self, text: str) -> None:
        """Another text into the open field, as if it had been typed."""
        self.field.open(text)
        self._compare()

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
