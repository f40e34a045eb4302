"""The field in which an answer is edited: what comes in is marked, and nothing that was not touched changes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.text import Text
from textual.widgets import TextArea

from rung.tui.text import HIDDEN, JOINERS
from rung.tui.widgets.difference import CAME, Span

PLACES = range(0x10FE00, 0x10FFFE)
"""Private characters, one cell wide, that stand in the field for what has no width or would break a line."""


class EditArea(TextArea):
    """A text area over row text: controls and bidi marks show as a box, and come out as they went in."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, soft_wrap=True, show_line_numbers=False)
        self.cursor_blink = False
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
        self._line_cache.clear()  # lines that were drawn before their marks were known
        self.refresh()

    def get_line(self, line_index: int) -> Text:
        """The line as it is drawn: every character keeps its column."""
        plain = "".join(_visible(character) for character in self.document.get_line(line_index))
        text = Text(plain, end="", no_wrap=True)
        for start, end in self._marks.get(line_index, ()):
            text.stylize(CAME, start, end)
        return text


def _is_odd(character: str) -> bool:
    """Whether it has no width of its own, or is a line break that the field would write differently."""
    plain = character in "\n\t" or character in JOINERS or (character.isascii() and character.isprintable())
    return not plain and unicodedata.category(character) in HIDDEN


def _visible(character: str) -> str:
    return "▯" if _is_odd(character) else character
