"""A person decides: name and reason, asked in the program; both stay in the project."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from rung.symbols import drawn
from rung.tui.leaving import LeavingModal

MISSING = "Both are needed: a decision without a name or a reason is none."


class SignScreen(LeavingModal[tuple[str, str] | None]):
    """Ends with (name, reason), or with None where it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave it undecided"),
        Binding("down", "app.focus_next", "the field below", show=False),
        Binding("up", "app.focus_previous", "the field above", show=False),
    ]

    def __init__(self, title: str, about: str, person: str, does: str) -> None:
        super().__init__()
        self.heading, self.about, self.person, self.does = title, about, person, does

    def compose(self) -> ComposeResult:
        """What is decided, two fields, what Enter does."""
        with VerticalScroll(can_focus=False):
            yield Static(Text(drawn(f"{self.heading}\n"), style="bold"))
            yield Static(Text(drawn(f"{self.about}\n")))
            yield Static(Text("Name"))
            yield Input(self.person, id="by", compact=True)
            yield Static(Text("Reason"))
            yield Input(placeholder="one sentence: what decides it", id="reason", compact=True)
            yield Static(Text(drawn(f"\nNext: {self.does}.   Enter")), id="does")
            yield Static(Text("It is written down with your name. Esc leaves it undecided."))

    def on_mount(self) -> None:
        """The reason is what is missing."""
        self.query_one("#reason" if self.person else "#by", Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        by, reason = (self.query_one(f"#{name}", Input).value.strip() for name in ("by", "reason"))
        if by and reason:
            self.dismiss((by, reason))
            return
        self.query_one("#by" if not by else "#reason", Input).focus()
        if event.input.id == "reason" or not by:
            self.query_one("#does", Static).update(Text(f"\n{MISSING}"))

    def action_leave(self) -> None:
        """Nothing is decided."""
        self.dismiss(None)
