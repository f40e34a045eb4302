"""`w`: the rule, question, gate or chain behind the marked line."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from rung.symbols import drawn
from rung.tui.leaving import LeavingModal
from rung.tui.screens.page import Paper
from rung.tui.widgets.passage import Part, Passage
from workspace.errors import RungError


class WhyScreen(LeavingModal[None]):
    """Lines that `rung why REF` prints, over the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,w,enter,q", "dismiss", "close")]

    class Found(Message):
        """What stands behind the reference."""

        def __init__(self, lines: list[str]) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, ref: str) -> None:
        super().__init__()
        self.ref = ref

    def compose(self) -> ComposeResult:
        """The reference, then the lines."""
        with Paper():
            yield Passage(*self._parts("…"), id="why")

    def on_mount(self) -> None:
        """Look it up."""
        self._look()

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _look(self) -> None:
        from rung.why import lines_about

        source = self.app.source  # type: ignore[attr-defined]
        try:
            self.post_message(self.Found(lines_about(source.project, self.ref)))
        except RungError as error:
            self.post_message(self.Found([error.message]))

    @on(Found)
    def _show(self, message: Found) -> None:
        self.query_one("#why", Passage).show(*self._parts("\n".join(message.lines)))

    def _parts(self, words: str) -> tuple[Part, ...]:
        title, foot = Text(f"Why {self.ref}\n", style="bold"), Text(f"\n$ rung why {self.ref}")
        return Part(title), Part(Text(drawn(words))), Part(foot)
