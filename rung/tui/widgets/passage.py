"""Text of any length: where it breaks is worked out once for a width, and only the lines in sight are drawn."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter

from rich.text import Text

from rung.tui.widgets.lines import Lines
from rung.tui.wrapped import line_spans

NARROWEST = 8
"""Columns of a line in a terminal that has no room for any."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the text that stands so many columns to the right; its styled places are in order and apart."""

    text: Text
    indent: int = 0


Row = tuple[Part, int, int]
"""A part, the first character of the line in it and the one after the last."""


class Passage(Lines):
    """Parts under one another."""

    def __init__(self, *parts: Part, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._parts = parts

    def show(self, *parts: Part) -> None:
        """Show these parts instead."""
        self._parts = parts
        self.forget()

    def fold(self, width: int) -> list[Row]:
        """The lines of every part."""
        return [
            (part, start, end)
            for part in self._parts
            for start, end in line_spans(part.text.plain, max(width - part.indent, NARROWEST))
        ]

    def draw(self, row: Row) -> Text:
        """One line, at its indent."""
        part, start, end = row
        line = Text(part.text.plain[start:end], style=part.text.style)
        spans = part.text.spans
        at = bisect_right(spans, start, key=attrgetter("end"))
        while at < len(spans) and spans[at].start < end:
            line.stylize(spans[at].style, max(spans[at].start - start, 0), spans[at].end - start)
            at += 1
        line.pad_left(part.indent)
        return line

    def line_of(self, part: int, character: int) -> int:
        """Which line a character of a part stands in."""
        wanted = self._parts[part]
        return next(
            (n for n, (each, _, end) in enumerate(self.rows()) if each is wanted and character < max(end, 1)), 0
        )
