"""A folder without a project: start one, open the demo, or answer the questions without saving anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Static

from rung.symbols import drawn
from rung.tui.source import ScreenSource
from rung.tui.widgets.line import CommandLine, FrameRule, KeyLine, Line

if TYPE_CHECKING:
    from rung.tui.app import RungApp

CHOICES = (
    ("Start one here", "rung init"),
    ("Open the demo, about 8 min", "rung demo"),
    ("Answer the questions first, save nothing", "rung advise --answers -"),
)
FIRST = 3
"""Line of the block where the choices begin."""
HINTS = (("1-3", "choose"), ("j/k", "move"), ("Enter", "do it"), ("F1", "help"), ("^P", "menu"), ("q", "quit"))


class NoProjectScreen(Screen[None]):
    """Three choices."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "choose(0)", "start a project here"),
        Binding("2", "choose(1)", "open the demo"),
        Binding("3", "choose(2)", "answer the questions, save nothing"),
        Binding("j,down", "move(1)", "move down"),
        Binding("k,up", "move(-1)", "move up"),
        Binding("enter", "choose_marked", "do the marked one"),
        Binding("q", "app.quit", "quit"),
        Binding("question_mark", "app.keys", "keys of this screen", key_display="?"),
    ]

    marked = 0

    def compose(self) -> ComposeResult:
        """The sentence and the choices."""
        yield Line(id="first")
        yield FrameRule(classes="rule")
        with Container(id="stage"):
            yield Static(id="choices")
        yield FrameRule(classes="rule")
        yield CommandLine(id="command")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Draw everything once."""
        self.query_one("#first", Line).left = " rung"
        self.query_one("#keys", KeyLine).hints = HINTS
        self._draw()

    def _draw(self) -> None:
        source: ScreenSource = self.app.source  # type: ignore[attr-defined]
        lines = ["", f"No Rung project in {source.folder}.", ""]
        for index, (words, _) in enumerate(CHOICES):
            lines.append(f"{'▸' if index == self.marked else ' '} {index + 1}  {words}")
        self.query_one("#choices", Static).update(Text(drawn("\n".join(lines))))
        self.query_one("#command", CommandLine).left = f" $ {CHOICES[self.marked][1]}"

    def on_click(self, event: events.Click) -> None:
        """A press marks a choice; on the marked one it does it."""
        index = event.y - FIRST
        if event.widget is not self.query_one("#choices") or not 0 <= index < len(CHOICES):
            return
        if index == self.marked:
            self.action_choose_marked()
        else:
            self.marked = index
            self._draw()

    def action_move(self, step: int) -> None:
        """Move the mark."""
        self.marked = (self.marked + step) % len(CHOICES)
        self._draw()

    def action_choose_marked(self) -> None:
        """Do what is marked."""
        self.action_choose(self.marked)

    def action_choose(self, index: int) -> None:
        """Do one of the three."""
        self.marked = index
        self._draw()
        (self._start, self._demo, self._ask)[index]()

    @property
    def program(self) -> RungApp:
        """The app, by its own type."""
        return cast("RungApp", self.app)

    def _start(self) -> None:
        from rung.start import start_project
        from workspace.errors import RungError

        app = self.program
        try:
            app.source.project = start_project(app.source.folder).project
        except (RungError, OSError) as error:
            self.query_one("#command", CommandLine).right = f"{error} "
            return
        app.open_start()

    def _ask(self) -> None:
        self.program.open_stage(1)

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
