"""A block of lines of which some can be marked: the cursor `▸` stands on one of them, Enter acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.message import Message
from textual.reactive import reactive
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
        """The lines, cut at the width with an ellipsis."""
        width = max(self.size.width - 2, 10)
        text = Text(no_wrap=True)
        for index, entry in enumerate(self.entries):
            cursor = "▸ " if entry.key and entry.key == self.marked else "  "
            line = entry.text if len(entry.text) <= width else entry.text[: width - 1] + "…"
            text.append(drawn(("\n" if index else "") + cursor + line), style=entry.style)
        return text
