"""Start: where do I go on? Ten stages with state and reason, the measured ladder, what is next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from rung.status.stages import Stage, Status
from rung.symbols import drawn
from rung.text.status_text import ladder_pairs, next_sentence
from rung.tui.frame import StageScreen
from rung.tui.widgets.lines import folded

COUNTED = ("Data", "Review", "Dataset")
"""Stages whose state needs the store."""


class StartScreen(StageScreen):
    """The stages, one marked; Enter opens it."""

    stage = "Start"
    keys = (
        ("Enter", "open"),
        ("1-0", "stage"),
        ("j/k", "move"),
        ("c", "copy command"),
        ("F1", "help"),
        ("^P", "menu"),
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_marked", "open the marked stage"),
        Binding("j,down", "move(1)", "move down"),
        Binding("k,up", "move(-1)", "move up"),
        Binding("q", "app.quit", "quit"),
    ]

    marked = 0
    _top = 0
    """Row of the screen where the stages begin."""
    moved = False
    """Whether the person moved the mark: then it stays."""

    def heading(self) -> str:
        """Only the person: this is Start."""
        return self.source.person

    def compose_stage(self) -> Iterable[Widget]:
        """One block of text."""
        yield Static(id="stages")

    def on_mount(self) -> None:
        """Until the status is read: the folder's name is known already."""
        self.command = "rung status"

    def show_status(self, status: Status) -> None:
        """Draw the stages; the cursor is on the next one until somebody moves it."""
        super().show_status(status)
        if not self.moved:
            self.marked = status.next.number - 1 if status.next else 0
        self._draw(status)
        saved = "" if status.problems else f"all saved {self.source.clock()}"
        self.tell("reading the store …" if self._is_partial else saved)

    def on_click(self, event: events.Click) -> None:
        """A press marks a stage; on the marked one it opens it."""
        status, index = self._status, event.screen_y - self._top
        if status and event.widget is self.query_one("#stages") and 0 <= index < len(status.stages):
            if index == self.marked:
                self.action_open_marked()
            self.moved, self.marked = True, index
            self._draw(status)

    def action_move(self, step: int) -> None:
        """Move the mark, and show a locked stage's reason in full."""
        status = self._status
        if status:
            self.moved = True
            self.marked = (self.marked + step) % len(status.stages)
            self._draw(status)

    def action_open_marked(self) -> None:
        """Open the marked stage."""
        if self._status:
            self.app.open_stage(self.marked + 1)  # type: ignore[attr-defined]

    def action_back(self) -> None:
        """Esc never quits; from Start it does nothing."""

    @property
    def _is_partial(self) -> bool:
        """Whether the counts of the store are not read yet."""
        return bool(self.app.partial)  # type: ignore[attr-defined]

    @property
    def _status(self) -> Status | None:
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        return status

    def _draw(self, status: Status) -> None:
        width = max(self.size.width - 2, 40)
        lines = [
            "",
            *self._problems(width),
            next_sentence(status) if not status.next else self._next(status, width),
            "",
        ]
        self._top = self.query_one("#stages").region.y + len(lines)
        lines += [self._line(index, stage, width) for index, stage in enumerate(status.stages)]
        lines += ["", *ladder_pairs(status, width)]
        self.query_one("#stages", Static).update(Text(drawn("\n".join(lines)), no_wrap=True, overflow="ellipsis"))
        marked = status.stages[self.marked]
        if marked.state == "locked":
            self.tell(f"{marked.name}: {marked.reason}")
        self.command = marked.command if marked.state != "locked" else "rung status"

    def _problems(self, width: int) -> list[str]:
        """What is wrong with rung.toml; else the first thing that could not be read."""
        fault = self.source.fault
        if fault:
            words = f"{fault} Dataset, plan and train stay locked until this is fixed."
        else:
            words = self._status.problems[0] if self._status and self._status.problems else ""
        return [*folded(words, width), ""] if words else []

    def _next(self, status: Status, width: int) -> str:
        from rung.tui.frame import two_ends

        if self._is_partial:
            return "Next: …"
        return two_ends(next_sentence(status), "Enter opens it", width)

    def _line(self, index: int, stage: Stage, width: int) -> str:
        mark = "▸" if index == self.marked else " "
        counted = stage.name in COUNTED and self._is_partial
        symbol, word, reason = ("…", "…", "…") if counted else (stage.symbol, stage.word, stage.reason)
        line = f"{mark} {stage.key} {symbol} {stage.name:<10}  {word:<10} {reason}"
        return line if len(line) <= width else line[: width - 1] + "…"
