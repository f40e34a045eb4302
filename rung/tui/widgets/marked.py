"""A block of lines of which some can be marked: the cursor `▸` stands on one of them, Enter acts on it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from rung.tui.symbols import drawn


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. With a `key` it can be marked; `style` is a Rich style that repeats what the words say."""

    text: str = ""
    key: str = ""
    style: str = ""


class MarkedLines(Static):
    """Lines drawn as text, never as markup; two columns at the left are kept for the cursor."""

    entries: reactive[tuple[Entry, ...]] = reactive((), layout=True)
    marked: reactive[str] = reactive("")

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
        keys = self.keys
        if self.marked not in keys:
            self.marked = keys[0] if keys else ""

    @property
    def keys(self) -> list[str]:
        """Keys of the lines that can be marked, in order."""
        return [entry.key for entry in self.entries if entry.key]

    def move(self, step: int) -> None:
        """Move the cursor by so many lines that can be marked; it stops at both ends."""
        keys = self.keys
        if keys:
            at = keys.index(self.marked) if self.marked in keys else 0
            self.marked = keys[max(0, min(len(keys) - 1, at + step))]
            self.post_message(self.Moved(self.marked))

    def render(self) -> Text:
        """The lines; what is too long goes on under its own last column."""
        text = Text(no_wrap=True)
        for index, (entry, line) in enumerate(self._rows(self.size.width)):
            text.append(drawn(("\n" if index else "") + line).replace("\xa0", " "), style=entry.style)
        return text

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the wrapped lines take."""
        return sum(1 for _ in self._rows(width))

    def _rows(self, width: int) -> Iterator[tuple[Entry, str]]:
        for entry in self.entries:
            cursor = "▸ " if entry.key and entry.key == self.marked else "  "
            for part in folded(entry.text, max(width - 2, 10)):
                yield entry, cursor + part
                cursor = "  "

    def watch_marked(self) -> None:
        """Keep the cursor's line in sight."""
        self.call_after_refresh(self._show_cursor)

    def _show_cursor(self) -> None:
        rows = [n for n, (entry, _) in enumerate(self._rows(self.size.width)) if entry.key and entry.key == self.marked]
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
        rows = list(self._rows(self.size.width))
        key = rows[event.y][0].key if 0 <= event.y < len(rows) else ""
        if key and key == self.marked:
            self.post_message(self.Chosen(key))
        elif key:
            self.marked = key
            self.post_message(self.Moved(key))


def folded(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width`; a second line starts under the last column of the first."""
    if len(text) <= width:
        return [text]
    columns = [match.end() for match in re.finditer(r"\S {2,}(?=\S)", text)]
    hang = max((at for at in columns if at <= width * 0.7), default=len(text) - len(text.lstrip()))
    head, body = text[:hang], text[hang:]
    lines = textwrap.wrap(body, max(width - hang, 8), drop_whitespace=True, break_on_hyphens=False) or [""]
    return [head + lines[0], *(" " * hang + line for line in lines[1:])]
