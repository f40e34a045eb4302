"""`/` in Questions: every question with its answer; type to filter, Enter to go there."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input

from advisor.interview import moot
from rung.tui.asking import Asking
from rung.tui.leaving import LeavingModal
from rung.tui.widgets.marked import Entry, MarkedLines


class JumpScreen(LeavingModal[str]):
    """Ends with the id of a question, or an empty string."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close"),
        Binding("down", "move(1)", "move down"),
        Binding("up", "move(-1)", "move up"),
    ]

    def __init__(self, asking: Asking) -> None:
        super().__init__()
        self.asking = asking

    def compose(self) -> ComposeResult:
        """A field and the list."""
        with VerticalScroll():
            yield Input(placeholder="part of a question", id="find", compact=True)
            yield MarkedLines(id="found")

    def on_mount(self) -> None:
        """Show all of them."""
        self._filter("")
        self.query_one("#find", Input).focus()

    @on(Input.Changed, "#find")
    def _changed(self, event: Input.Changed) -> None:
        self._filter(event.value)

    @on(Input.Submitted, "#find")
    def _chosen(self) -> None:
        self.dismiss(self.query_one("#found", MarkedLines).marked)

    def _filter(self, words: str) -> None:
        grey = moot(self.asking.rulebook, self.asking.answers)
        said = self.asking.answers.known()
        entries = [
            Entry(
                f"{question.text}  {said.get(question.id, '-')}"
                + ("  (matters no more)" if question.id in grey else ""),
                question.id,
                "dim" if question.id in grey else "",
            )
            for question in self.asking.questions()
            if words.lower() in f"{question.id} {question.text}".lower()
        ]
        self.query_one("#found", MarkedLines).show(entries)

    def action_move(self, step: int) -> None:
        """Move in the list while the field keeps the keyboard."""
        self.query_one("#found", MarkedLines).move(step)

    def action_leave(self) -> None:
        """Go back to where it was."""
        self.dismiss("")
