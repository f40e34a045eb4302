"""The app: mounts screens, reads the status in a worker, and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from rung.status import Status, read_facts, status_of
from rung.tui.frame import StageScreen
from rung.tui.messages import StatusRead
from rung.tui.source import Source

SCREENS: dict[int, tuple[str, str]] = {
    1: ("questions", "QuestionsScreen"),
    2: ("advice", "AdviceScreen"),
    3: ("data", "DataScreen"),
    4: ("review", "ReviewScreen"),
    5: ("dataset", "DatasetScreen"),
    6: ("baselines", "BaselinesScreen"),
    7: ("plan", "PlanScreen"),
    8: ("train", "TrainScreen"),
    9: ("verdict", "VerdictScreen"),
    10: ("release", "ReleaseScreen"),
}
"""Stage number -> module below `rung.tui.screens` and class; imported when the stage is opened."""


class RungApp(App[None]):
    """The terminal program on one folder."""

    TITLE = "rung"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", priority=True),
        Binding("ctrl+p", "command_palette", "menu of everything", key_display="^P"),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.status: Status | None = None

    def on_mount(self) -> None:
        """Open Start, or the question what to do in a folder without a project."""
        if self.source.project is None:
            from rung.tui.screens.no_project import NoProjectScreen

            self.push_screen(NoProjectScreen())
        else:
            self.open_start()

    def open_start(self) -> None:
        """Go to Start."""
        from rung.tui.screens.start import StartScreen

        self._show(StartScreen())

    def open_stage(self, number: int) -> None:
        """Open a stage by its number; a screen shows its own locked state."""
        module, name = SCREENS[number]
        screen: StageScreen = getattr(import_module(f"rung.tui.screens.{module}"), name)()
        self._show(screen)

    def open_question(self, question: str = "") -> None:
        """Open the questions, at this one where it is named."""
        from rung.tui.screens.questions import QuestionsScreen

        self._show(QuestionsScreen(question))

    def step_stage(self, name: str, step: int) -> None:
        """Open the stage before or after the one of this name."""
        names = [stage.name for stage in self.status.stages] if self.status else []
        number = (names.index(name) + 1 if name in names else 0) + step
        if 1 <= number <= len(SCREENS):
            self.open_stage(number)

    def _show(self, screen: Screen[None]) -> None:
        if len(self.screen_stack) > 1:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    @on(StatusRead.Wanted)
    def read_status(self) -> None:
        """Somebody wants a fresh status."""
        if self.source.project is not None:
            self._read_status()

    @work(thread=True, exclusive=True, exit_on_error=False, group="status")
    def _read_status(self) -> None:
        """First what stands in the folder, then what the store says."""
        project = self.source.project
        assert project is not None
        if self.status is None:
            self.post_message(StatusRead(status_of(read_facts(project, with_store=False)), partial=True))
        self.post_message(StatusRead(status_of(read_facts(project)), partial=False))

    @on(StatusRead)
    def show_status(self, message: StatusRead) -> None:
        """Hand the status to every stage screen that is mounted."""
        self.status = message.status
        for screen in self.screen_stack:
            if isinstance(screen, StageScreen) and screen.is_mounted:
                screen.show_status(message.status)

    def get_system_commands(self, screen: Screen[object]):  # type: ignore[no-untyped-def]
        """Ctrl+P reaches every stage too."""
        yield from super().get_system_commands(screen)
        for stage in self.status.stages if self.status else ():
            yield SystemCommand(
                f"{stage.number}. {stage.name}",
                f"{stage.word}: {stage.reason}",
                lambda n=stage.number: self.open_stage(n),
            )
