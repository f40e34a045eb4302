"""A block of lines of which some can be marked: the cursor `▸` stands on one of them, Enter acts on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from rung.symbols import drawn
from rung.tui.widgets.lines import Lines
from rung.tui.wrapped import line_spans


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. With a `key` it can be marked; `style` is a Rich style that repeats what the words say."""

    text: str = ""
    key: str = ""
    style: str = ""


Row = tuple[Entry, str, bool]
"""An entry, a part of its text that fits into a line, and whether it is the first one."""


class MarkedLines(Lines):
    """Lines drawn as text, never as markup; two columns at the left are kept for the cursor."""

    marked: reactive[str] = reactive("")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries: tuple[Entry, ...] = ()
        self.keys: list[str] = []
        """Keys of the lines that can be marked, in order."""

    class Chosen(Message):
        """The mouse pressed the line that the cursor stands on."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Moved(Message):
        """The cursor stands on another line."""

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

    def fold(self, width: int) -> list[Row]:
        """Every line; what is too long goes on under its own last column."""
        room = max(width - 2, 10)
        return [
            (entry, part, number == 0) for entry in self.entries for number, part in enumerate(folded(entry.text, room))
        ]

    def draw(self, row: Row) -> Text:
        """One line, with the cursor before the first one of the marked entry."""
        entry, part, first = row
        cursor = "▸ " if first and entry.key and entry.key == self.marked else "  "
        return Text(drawn(cursor + part).replace("\xa0", " "), style=entry.style)

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
        """The mouse puts the cursor on a line; where it stands there already, it acts as Enter does."""
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
