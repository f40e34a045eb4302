"""Long texts and lists: lines are folded once for a width, and only those in sight are drawn."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from operator import attrgetter
from typing import Any, ClassVar

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from rung.symbols import drawn

Span = tuple[int, int]
"""First character and the one after the last."""
JOINER = "\u200d"


class _Cells(dict[int, str]):
    """For `str.translate`: a character becomes the one whose number is its width in cells."""

    def __missing__(self, code: int) -> str:
        self[code] = chr(max(get_character_cell_size(chr(code)), 0))
        return self[code]


CELLS = _Cells()


def line_spans(text: str, width: int) -> list[Span]:
    """The lines of `text` at this width, broken between words where that is possible, after every newline in any case.

    A line holds at most `width` cells; the spaces at a break belong to no line.
    """
    spans: list[Span] = []
    start = 0
    for paragraph in text.split("\n"):
        if paragraph.isascii():
            spans.extend(_narrow(paragraph, start, width))
        else:
            spans.extend(_wide(paragraph, start, width))
        start += len(paragraph) + 1
    return spans


@lru_cache(maxsize=64)
def _pattern(width: int) -> re.Pattern[str]:
    return re.compile(rf"(.{{1,{width}}}(?=\s|$)|.{{1,{width}}})[ ]*", re.DOTALL)


def _narrow(paragraph: str, start: int, width: int) -> Iterator[Span]:
    """Every character takes one cell."""
    if len(paragraph) <= width:
        yield start, start + len(paragraph)
        return
    for match in _pattern(width).finditer(paragraph):
        yield start + match.start(), start + match.end(1)


def _wide(paragraph: str, start: int, width: int) -> Iterator[Span]:
    """Some characters take two cells, or none; a character and what is joined to it stay together."""
    sizes = paragraph.translate(CELLS).encode("latin-1")
    total = [0, *accumulate(sizes)]
    begin, length = 0, len(paragraph)
    while total[-1] - total[begin] > width:
        end = bisect_right(total, total[begin] + width) - 1
        space = paragraph.rfind(" ", begin + 1, end + 1)
        end = space if space > 0 else _apart(paragraph, sizes, begin, end)
        yield start + begin, start + end
        begin = end
        while begin < length and paragraph[begin] == " ":
            begin += 1
    yield start + begin, start + length


def _apart(paragraph: str, sizes: bytes, begin: int, end: int) -> int:
    """The last place up to `end` where nothing is joined; `end` itself where all of the line is one."""
    at = end
    while at > begin + 1 and (not sizes[at] or paragraph[at - 1] == JOINER):
        at -= 1
    return at if at > begin + 1 else max(end, begin + 1)


WIDTHS = 4
"""Widths that lines are kept for: a layout asks for more than one, with a scrollbar and without."""


class Lines(Widget):
    """Rows are worked out once for a width (`fold`), each is drawn when it comes in sight (`draw`)."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: dict[int, Sequence[Any]] = {}

    def fold(self, width: int) -> Sequence[Any]:
        """Return the rows at this width; subclasses override this."""
        raise NotImplementedError

    def draw(self, row: Any) -> Text:
        """Overridden: one row as text; nothing in it is markup."""
        raise NotImplementedError

    def rows(self, width: int = 0) -> Sequence[Any]:
        """Every row, at the widget's width where none is named."""
        wanted = width or self.size.width
        if wanted not in self._rows:
            if len(self._rows) >= WIDTHS:
                self._rows.clear()
            self._rows[wanted] = self.fold(wanted)
        return self._rows[wanted]

    def forget(self) -> None:
        """Fold and redraw after a change."""
        self._rows.clear()
        self.refresh(layout=True)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as there is room."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A row a line."""
        return len(self.rows(width))

    def render_line(self, y: int) -> Strip:
        """One row, with what the mouse has selected of it."""
        rows, base = self.rows(), self.visual_style.rich_style
        if y >= len(rows):
            return Strip.blank(self.size.width, base)
        text = self.draw(rows[y])
        selected = self.text_selection.get_span(y) if self.text_selection else None
        if selected is not None:
            start, end = selected
            text.stylize(self.selection_style, start, len(text) if end == -1 else end)
        text.end = ""
        segments = Segment.apply_style(text.render(self.app.console), base)
        return Strip(segments).adjust_cell_length(self.size.width, base).apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What the mouse has selected."""
        return selection.extract("\n".join(self.draw(row).plain for row in self.rows())), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw it."""
        self.refresh()


MEANINGS: set[str] = {"done", "needs", "blocks", "best", "marked"}
"""Component classes of lines: the theme gives each meaning a colour (app.tcss); a sign or a word carries it, too."""
SIGN = re.compile(r" *(?:[▸>] *)?(?:\d )?(?:(✓)|(!)|(✗))(?= )")


def coloured(widget: Widget, line: Text) -> Text:
    """The line, with the colour of its meaning on the sign that it begins with: done, needs you, blocks."""
    if (found := SIGN.match(line.plain)) and (number := found.lastindex):
        name = ("done", "needs", "blocks")[number - 1]
        line.stylize(widget.get_component_rich_style(name, partial=True), found.start(number), found.end(number))
    return line


NARROWEST = 8
"""Columns of a line in a terminal that has no room for any."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of the text, indented by some columns; its styled places are in order and apart."""

    text: Text
    indent: int = 0


PassageRow = tuple[TextPart, int, int]
"""A part, the first character of the line in it and the one after the last."""


class TextPassage(Lines):
    """Parts under one another."""

    def __init__(self, *parts: TextPart, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._parts = parts

    def show(self, *parts: TextPart) -> None:
        """Show these parts instead."""
        self._parts = parts
        self.forget()

    def fold(self, width: int) -> list[PassageRow]:
        """The lines of every part."""
        return [
            (part, start, end)
            for part in self._parts
            for start, end in line_spans(part.text.plain, max(width - part.indent, NARROWEST))
        ]

    def draw(self, row: PassageRow) -> Text:
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
        """Return the line of a character of a part."""
        wanted = self._parts[part]
        return next(
            (n for n, (each, _, end) in enumerate(self.rows()) if each is wanted and character < max(end, 1)), 0
        )


LONGEST = 20_000
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"


class _Spelt(dict[int, str]):
    """For `str.translate`: what a character is drawn as, looked up once for each that was ever met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = character == "\n" or character in JOINERS or unicodedata.category(character) not in HIDDEN
        self[code] = character if plain else f"\\u{code:04x}"
        return self[code]


SPELT = _Spelt()


def shown(text: str, *, limit: int = LONGEST) -> str:
    """`text` with every control, format and bidi character spelt out; tabs become spaces, newlines stay.

    Emoji joiners stay, since they carry meaning; everything after `limit` characters is counted, not drawn.
    """
    head, rest = text[:limit], len(text) - limit
    drawn = head.replace("\r\n", "\n").expandtabs(4).translate(SPELT)
    return drawn if rest <= 0 else f"{drawn}\n[{rest:,} more characters]"


def row_text(text: str, *, limit: int = LONGEST) -> Text:
    """`shown` as a Rich text without any markup."""
    return Text(shown(text, limit=limit), no_wrap=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. With a `key` it can be marked; `style` repeats what the words say: bold, dim or one of `MEANINGS`."""

    text: str = ""
    key: str = ""
    style: str = ""


MOVES = (Binding("j,down", "move(1)", "move down"), Binding("k,up", "move(-1)", "move up"))
"""Keys of a screen with such a list."""
PAGES = (
    *MOVES,
    Binding("pagedown,space", "page(1)", "a page down"),
    Binding("pageup", "page(-1)", "a page up"),
)
Row = tuple[Entry, str, bool]
"""An entry, a part of its text that fits into a line, and whether it is the first one."""


class MarkedLines(Lines):
    """Lines drawn as text, never as markup; two columns at the left are kept for the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = MEANINGS

    marked: reactive[str] = reactive("")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries: tuple[Entry, ...] = ()
        self.keys: list[str] = []
        """Keys of the lines that can be marked, in order."""

    class Chosen(Message):
        """The mouse pressed the line under the cursor."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Moved(Message):
        """The cursor moved to another line."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def show(self, entries: Sequence[Entry]) -> None:
        """Draw these lines; the cursor stays on its key, or goes to the first that can be marked."""
        self.entries = tuple(entries)
        self.keys = [entry.key for entry in self.entries if entry.key]
        if self.marked not in self.keys:
            self.marked = self.keys[0] if self.keys else ""
        self.forget()

    def move(self, step: int) -> None:
        """Move the cursor by so many lines that can be marked; it stops at both ends."""
        keys = self.keys
        if keys:
            at = keys.index(self.marked) if self.marked in keys else 0
            self.marked = keys[max(0, min(len(keys) - 1, at + step))]
            self.post_message(self.Moved(self.marked))

    def page(self, step: int) -> None:
        """Move by as many lines as are in sight; where none of them can be marked, look there."""
        firsts = [n for n, (entry, _, first) in enumerate(self.rows()) if first and entry.key]
        parent = self.parent
        if not isinstance(parent, Widget):
            return
        height = max(parent.size.height - 1, 1)
        at = firsts[self.keys.index(self.marked)] if self.marked in self.keys else 0
        reached = sum(0 < (row - at) * step <= height for row in firsts)
        if reached:
            self.move(step * reached)
        parent.scroll_relative(y=step * height, animate=False)

    def fold(self, width: int) -> list[Row]:
        """Every line; what is too long goes on under its own last column."""
        room = max(width - 2, 10)
        return [
            (entry, part, number == 0) for entry in self.entries for number, part in enumerate(folded(entry.text, room))
        ]

    def draw(self, row: Row) -> Text:
        """One line, with the cursor before the first one of the marked entry."""
        entry, part, first = row
        is_marked = bool(entry.key) and entry.key == self.marked
        line = Text(drawn(("▸ " if first and is_marked else "  ") + part).replace("\xa0", " "))
        for word in entry.style.split():
            if word not in MEANINGS:
                line.stylize(word)
            else:  # on the cursor's own colour a meaning's colour may be unreadable: bold says that there is one
                line.stylize("bold" if is_marked else self.get_component_rich_style(word, partial=True))
        if is_marked:
            line.truncate(self.size.width, pad=True)
            line.stylize(self.get_component_rich_style("marked", partial=True))
        elif first:
            coloured(self, line)
        return line

    def watch_marked(self) -> None:
        """Draw the cursor where it is, and keep its line in sight."""
        self.refresh()
        self.call_after_refresh(self._show_cursor)

    def _show_cursor(self) -> None:
        rows = [n for n, (entry, _, _) in enumerate(self.rows()) if entry.key and entry.key == self.marked]
        if rows and self.is_attached:
            top = 0 if self.keys[:1] == [self.marked] else rows[0]
            self.scroll_parents_to(Region(0, top, 1, rows[-1] - top + 1))

    def scroll_parents_to(self, region: Region) -> None:
        """Scroll whatever holds this list, so that a part of it is seen."""
        parent = self.parent
        if isinstance(parent, Widget):
            parent.scroll_to_region(region.translate(self.virtual_region.offset), animate=False)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the clicked line; a click on the line under the cursor acts as Enter."""
        rows = self.rows()
        key = rows[event.y][0].key if 0 <= event.y < len(rows) else ""
        if key and key == self.marked:
            self.post_message(self.Chosen(key))
        elif key:
            self.marked = key
            self.post_message(self.Moved(key))


def folded(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells; a second line starts under the last column of the first."""
    if cell_len(text) <= width:
        return [text]
    columns = [match.end() for match in re.finditer(r"\S {2,}(?=\S)", text)]
    hang = max((at for at in columns if cell_len(text[:at]) <= width * 0.7), default=len(text) - len(text.lstrip()))
    head, body = text[:hang], text[hang:]
    indent = " " * cell_len(head)
    lines = [body[begin:end] for begin, end in line_spans(body, max(width - len(indent), 8))]
    return [head + lines[0], *(indent + line for line in lines[1:])]
