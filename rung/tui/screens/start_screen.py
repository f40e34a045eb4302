"""Start: where do I go on? Ten stages with state and reason, the measured ladder, what is next.

In a folder without a project: start one, open the demo, or answer the questions without saving anything.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import OptionList

from rung.status.stages import Stage, Status
from rung.text.status_text import NAME, ladder_lines, next_sentence, review_line
from rung.tui.frame import MOST_RUNGS, StageScreen
from rung.tui.source import ScreenSource
from rung.tui.widgets.line import CommandLine, FrameRule, KeyLine, Line, two_ends
from rung.tui.widgets.lines import MOVES, Entry, MarkedLines
from workspace.errors import RungError

if TYPE_CHECKING:
    from rung.tui.app import RungApp

WIDE, WIDEST, SIDE = 95, 60, NAME + 10
"""Columns of a line from which the ladder is drawn, of the widest plot, and of what is beside it."""
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
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_marked", "open the marked stage"),
        *MOVES,
        Binding("q", "app.quit", "quit"),
    ]

    moved = False
    """True if the person moved the mark: then it stays."""

    def heading(self) -> str:
        """Return the person's name: this is Start."""
        return self.source.person

    def compose_stage(self) -> Iterable[Widget]:
        """Yield one list of lines."""
        yield MarkedLines(id="stages")

    def on_mount(self) -> None:
        """Show the folder's name until the status is read."""
        self.command = "rung status"

    @property
    def lines(self) -> MarkedLines:
        """The list on the screen."""
        return self.query_one("#stages", MarkedLines)

    def fitted(self) -> None:
        """Another width, another ladder."""
        if (status := self.app.status) is not None:  # type: ignore[attr-defined]
            self.lines.show(list(self._entries(status)))

    def show_status(self, status: Status) -> None:
        """Draw the stages; the cursor is on the next one until somebody moves it."""
        super().show_status(status)
        self.lines.show(list(self._entries(status)))
        if not self.moved and status.next is not None:
            self.lines.marked = status.next.name
        self._describe()
        saved = "" if status.problems else f"all saved {self.source.clock()}"
        self.tell("reading the store …" if self._is_partial else saved)

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        self.moved = True
        self._describe()

    def _describe(self) -> None:
        """Show the command of the selected stage; of a locked one its whole reason instead."""
        stage = self.marked_stage
        if stage is not None:
            is_locked = stage.state == "locked"
            self.command = "rung status" if is_locked else stage.command
            if is_locked:
                self.tell(f"{stage.name}: {stage.reason}")

    @property
    def marked_stage(self) -> Stage | None:
        """The stage under the cursor, once the status is read."""
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        return status.stage(self.lines.marked) if status and self.lines.marked else None

    def action_move(self, step: int) -> None:
        """Move the mark, and show a locked stage's reason in full."""
        self.lines.move(step)

    @on(OptionList.OptionSelected)
    def action_open_marked(self) -> None:
        """Open the marked stage."""
        if self.marked_stage is not None:
            self.app.open_stage(self.marked_stage.number)  # type: ignore[attr-defined]

    def action_back(self) -> None:
        """Esc never quits; from Start it does nothing."""

    @property
    def _is_partial(self) -> bool:
        return bool(self.app.partial)  # type: ignore[attr-defined]

    def _entries(self, status: Status) -> Iterator[Entry]:
        width = max(self.size.width - 5, 40)
        if self.source.fault:
            yield Entry(f"{self.source.fault} Dataset, plan and train stay locked until this is fixed.", style="blocks")
        elif status.problems:
            yield Entry(status.problems[0], style="blocks")
        words = "Next: …" if self._is_partial else next_sentence(status)
        opens = "Enter opens it" if status.next and not self._is_partial else ""
        yield from (Entry(two_ends(words, opens, width), style="bold"), Entry())
        yield from (Entry(self._line(stage, width), stage.name) for stage in status.stages)
        if len(status.ladder.rungs) < MOST_RUNGS:
            yield Entry()
        plot = min(width - SIDE, WIDEST) if width >= WIDE else 0
        yield from (Entry(line.removeprefix("  ")) for line in ladder_lines(status, plot))
        if plot and (line := review_line(status, plot)):
            yield from (Entry(), Entry(line))

    def _line(self, stage: Stage, width: int) -> str:
        counted = stage.name in COUNTED and self._is_partial
        symbol, word, reason = ("…", "…", "…") if counted else (stage.symbol, stage.word, stage.reason)
        line = f"{stage.key} {symbol} {stage.name:<10}  {word:<10} {reason}"
        return line if len(line) <= width else line[: width - 1] + "…"


CHOICES = (
    ("Start one here", "rung init"),
    ("Open the demo, about 8 min", "rung demo"),
    ("Answer the questions first, save nothing", "rung advise --answers -"),
)
HINTS = (("1-3", "choose"), ("j/k", "move"), ("Enter", "do it"), ("F1", "help"), ("^P", "menu"), ("q", "quit"))


class NoProjectScreen(Screen[None]):
    """Three choices."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"choose({n})", words[0].lower() + words[1:]) for n, (words, _) in enumerate(CHOICES, 1)),
        *MOVES,
        Binding("enter", "choose_marked", "do the marked one"),
        Binding("q", "app.quit", "quit"),
        Binding("question_mark", "app.keys", "keys of this screen", key_display="?"),
    ]

    def compose(self) -> ComposeResult:
        """Compose the sentence and the choices."""
        yield Line(id="first")
        yield FrameRule(classes="rule")
        with Container(id="stage"):
            yield MarkedLines(id="choices")
        yield FrameRule(classes="rule")
        yield CommandLine(id="command")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Draw everything once."""
        self.query_one("#first", Line).left = " rung"
        self.query_one("#keys", KeyLine).hints = HINTS
        choices = [Entry(f"{n}  {words}", str(n)) for n, (words, _) in enumerate(CHOICES, 1)]
        head = Entry(f"No Rung project in {self.program.source.folder}.")
        self.choices.show([Entry(), head, Entry(), *choices])
        self._describe()

    @property
    def choices(self) -> MarkedLines:
        """The three choices."""
        return self.query_one("#choices", MarkedLines)

    @on(OptionList.OptionHighlighted)
    def _describe(self) -> None:
        self.query_one("#command", CommandLine).left = f" $ {CHOICES[int(self.choices.marked) - 1][1]}"

    def action_move(self, step: int) -> None:
        """Move the mark."""
        self.choices.move(step)

    @on(OptionList.OptionSelected)
    def action_choose_marked(self) -> None:
        """Do what is marked."""
        self.action_choose(int(self.choices.marked))

    def action_choose(self, number: int) -> None:
        """Do one of the three."""
        self.choices.marked = str(number)
        self._describe()
        (self._start, self._demo, partial(self.program.open_stage, 1))[number - 1]()

    @property
    def program(self) -> RungApp:
        """The app, by its own type."""
        return cast("RungApp", self.app)

    def _start(self) -> None:
        from rung.start import start_project

        app = self.program
        try:
            app.source.project = start_project(app.source.folder).project
        except (RungError, OSError) as error:
            self.query_one("#command", CommandLine).right = f"{error} "
            return
        app.open_start()

    def _demo(self) -> None:
        self.query_one("#command", CommandLine).right = "the demo runs in this terminal "
        self._run_demo()

    @work(exclusive=True, exit_on_error=False)
    async def _run_demo(self) -> None:
        """Leave the screen to the demo's own lines, then open its folder."""
        app = self.program
        folder = app.source.folder
        try:
            with app.suspend():
                subprocess.run([sys.executable, "-P", "-m", "rung", "demo"], cwd=folder, check=False)
        except SuspendNotSupported:
            self.query_one("#command", CommandLine).right = "cannot run here; in another terminal: rung demo "
            return
        app.source = ScreenSource.of(folder / "rung-demo")
        if app.source.project is not None:
            app.open_start()
