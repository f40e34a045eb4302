"""A folder without a project: start one, open the demo, or answer the questions without saving anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import OptionList

from rung.tui.source import ScreenSource
from rung.tui.widgets.line import CommandLine, FrameRule, KeyLine, Line
from rung.tui.widgets.lines import MOVES, Entry, MarkedLines
from workspace.errors import RungError

if TYPE_CHECKING:
    from rung.tui.app import RungApp

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
        import subprocess
        import sys

        from textual.app import SuspendNotSupported

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
