"""A page of plain text over the screen."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from rung.tui.leaving import LeavingModal
from rung.tui.text import shown
from rung.tui.widgets.passage import Part, Passage

MOST = 200_000
"""Characters of a page; after these they are counted."""


class Paper(VerticalScroll):
    """What a page over the screen stands on; its frame says how it is closed, however long it is."""

    def on_mount(self) -> None:
        """Say it."""
        self.border_subtitle = "Esc closes"


class PageScreen(LeavingModal[None]):
    """A title and lines; arrows scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "close")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.heading, self.text = title, text

    def compose(self) -> ComposeResult:
        """The text, as text."""
        with Paper():
            title = Part(Text(f"{shown(self.heading)}\n", style="bold"))
            yield Passage(title, Part(Text(shown(self.text, limit=MOST))), id="page")
