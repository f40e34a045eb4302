"""A block of lines of which only those in sight are drawn, however many there are; the mouse can select them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

WIDTHS = 4
"""Widths that lines are kept for: a layout asks for more than one, with a scrollbar and without."""


class Lines(Widget):
    """Rows are worked out once for a width (`fold`), each is drawn when it comes in sight (`draw`)."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: dict[int, Sequence[Any]] = {}

    def fold(self, width: int) -> Sequence[Any]:
        """Overridden: what stands in each row at this width."""
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
        """Fold and draw anew: what is shown has changed."""
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
