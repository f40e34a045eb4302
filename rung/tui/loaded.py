"""A stage whose lines are worked out in a thread: known things first, then the result, or the one message why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from rung.status.stages import Stage, Status
from rung.tui.frame import StageScreen
from rung.tui.widgets.marked import Entry, MarkedLines
from workspace.errors import RungError

SLOW = 1.0
"""Seconds after which a line says what is awaited."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a stage shows. `data` is whatever the screen's keys need later; `command` does the same in a shell."""

    entries: Sequence[Entry]
    command: str = ""
    message: str = ""
    data: Any = None


class LoadedScreen(StageScreen):
    """Lines with a cursor; `load` runs in a thread and must not touch widgets."""

    awaits: ClassVar[str] = "Reading the project"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "move down"),
        Binding("k,up", "move(-1)", "move up"),
        Binding("w", "why", "why: the rule, source or chain behind the marked line"),
    ]

    data: Any = None

    class Done(Message):
        """`load` ended."""

        def __init__(self, loaded: Loaded) -> None:
            super().__init__()
            self.loaded = loaded

    def compose_stage(self) -> Iterable[Static]:
        """One list of lines."""
        yield MarkedLines(id="lines")

    def on_mount(self) -> None:
        """Show what is known, start the work."""
        super().on_mount()
        self.reload()

    def reload(self) -> None:
        """Work the lines out again."""
        self.set_timer(SLOW, self._say_what_is_awaited)
        self._load()

    def load(self) -> Loaded:
        """Overridden: everything that the screen shows. Runs in a thread; may raise RungError."""
        raise AssertionError("a screen says what it loads")

    def why_ref(self, key: str) -> str:
        """What `w` asks about on this line; empty where there is nothing to ask."""
        return key

    @property
    def lines(self) -> MarkedLines:
        """The list on the screen."""
        return self.query_one("#lines", MarkedLines)

    @property
    def marked(self) -> str:
        """Key of the marked line."""
        return self.lines.marked

    @property
    def state(self) -> Stage | None:
        """This stage in the newest status."""
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        return status.stage(self.stage) if status else None

    @work(thread=True, exclusive=True, exit_on_error=False, group="load")
    def _load(self) -> None:
        worker = get_current_worker()
        try:
            loaded = self.load()
        except RungError as error:
            hint = f"-> {error.hint}" if error.hint else ""
            loaded = Loaded([Entry(), *(Entry(line) for line in (*error.message.split("\n"), hint) if line)])
        except OSError as error:
            loaded = Loaded([Entry(), Entry(f"{error.filename or self.source.folder}: {error.strerror}.")])
        if not worker.is_cancelled:
            self.post_message(self.Done(loaded))

    @on(Done)
    def show_loaded(self, message: Done) -> None:
        """Draw what was loaded."""
        self.data = message.loaded.data
        self.lines.show(message.loaded.entries)
        if message.loaded.command:
            self.command = message.loaded.command
        if message.loaded.message:
            self.tell(message.loaded.message)
        self.refresh_frame()

    def _say_what_is_awaited(self) -> None:
        if self.is_mounted and not self.lines.entries:
            self.lines.show([Entry(), Entry(f"{self.awaits} …", style="dim")])

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.lines.move(step)

    def action_why(self) -> None:
        """The rule, source or chain behind the marked line."""
        ref = self.why_ref(self.marked)
        if ref:
            from rung.tui.screens.why import WhyScreen

            self.app.push_screen(WhyScreen(ref))
