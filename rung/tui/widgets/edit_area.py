"""The field in which an answer is edited: what comes in is marked, and nothing that was not touched changes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from rich.segment import Segment
from rich.text import Text
from textual.expand_tabs import expand_text_tabs_from_widths
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import DocumentNavigator, WrappedDocument

from rung.tui.text import HIDDEN, JOINERS
from rung.tui.widgets.difference import CAME, Span

PLACES = range(0x10FE00, 0x10FFFE)
"""Private characters, one cell wide, that stand in the field for what has no width or would break a line."""
Row = tuple[int, int, int]
"""What stands in a row of the screen: a line of the text, the first character of it and the one after the last."""


class Rows(WrappedDocument):
    """The text in lines of a width. What stands in a row is cut out of its line, however long that is."""

    def get_sections(self, line_index: int) -> list[str]:
        """The rows of a line."""
        line = self.document[line_index]
        return [line[start:end] for start, end in pairwise((0, *self.get_offsets(line_index), len(line)))]

    def row(self, y: int) -> Row | None:
        """What stands in a row; None below the text."""
        if y >= len(self._offset_to_line_info):
            return None
        line, section = self._offset_to_line_info[y]
        places = (0, *self.get_offsets(line), len(self.document[line]))
        return line, places[section], places[section + 1]


class EditArea(TextArea):
    """A text area over row text: controls and bidi marks show as a box, and come out as they went in."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, soft_wrap=True, show_line_numbers=False)
        self.cursor_blink = self.match_cursor_bracket = False
        self._marks: dict[int, list[Span]] = {}
        self._held: dict[int, int] = {}
        self._rows = Rows(self.document)

    def open(self, text: str) -> None:
        """Put row text into the field, the cursor at its end."""
        self._marks = {}
        odd = sorted({character for character in set(text) if _is_odd(character)})
        self._held = {ord(character): place for character, place in zip(odd, PLACES, strict=False)}
        self.load_text(text.translate(self._held))
        self.wrapped_document = self._rows = Rows(self.document, self.wrap_width, self.indent_width)
        self.navigator = DocumentNavigator(self._rows)
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
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row of the screen. Textual's own styles the whole line for each of its rows."""
        base, width = self.rich_style, self.scrollable_content_region.width
        row = self._rows.row(self.scroll_offset.y + y)
        if row is None:
            return Strip.blank(width, base)
        text = self._drawn(*row)
        at_cursor = row[0] == self.cursor_location[0]
        style = base + self.get_component_rich_style("text-area--cursor-line") if at_cursor else base
        segments = Segment.apply_style(text.render(self.app.console), style)
        return Strip(segments).extend_cell_length(width, style)

    def _drawn(self, line: int, start: int, end: int) -> Text:
        """A part of a line, with what came, what is selected and the cursor; every character keeps its column."""
        whole = self.document.get_line(line)
        text = Text("".join(_visible(character) for character in whole[start:end]), end="", no_wrap=True)
        if end == len(whole):
            text.append(" ")  # the cursor's place after the last character
        for a, b in self._marks.get(line, ()):
            _style(text, CAME, a - start, b - start)
        top, bottom = sorted(self.selection)
        if top[0] <= line <= bottom[0] and top != bottom:
            a, b = top[1] if line == top[0] else 0, bottom[1] if line == bottom[0] else max(len(whole), 1)
            _style(text, self.get_component_rich_style("text-area--selection"), a - start, b - start)
        row, column = self.cursor_location
        if row == line and self.has_focus:
            _style(text, self.get_component_rich_style("text-area--cursor"), column - start, column + 1 - start)
        tabs = whole.count("\t", 0, start)
        return expand_text_tabs_from_widths(text, self._rows.get_tab_widths(line)[tabs:])


def _style(text: Text, style: object, start: int, end: int) -> None:
    """Style what of the places from `start` to `end` is in the text."""
    if end > 0 and start < len(text):
        text.stylize(style, max(start, 0), min(end, len(text)))  # type: ignore[arg-type]


def _is_odd(character: str) -> bool:
    """Whether it has no width of its own, or is a line break that the field would write differently."""
    plain = character in "\n\t" or character in JOINERS or (character.isascii() and character.isprintable())
    return not plain and unicodedata.category(character) in HIDDEN


def _visible(character: str) -> str:
    return "▯" if _is_odd(character) else character
