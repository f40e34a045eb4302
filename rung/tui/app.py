"""The app: mounts screens, reads the status and follows commands in workers, and nothing else."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.screen import Screen
from textual.theme import Theme
from textual.worker import get_current_worker

from rung.status import Status, read_facts, status_of
from rung.symbols import is_plain
from rung.tui.beside import Beside
from rung.tui.drawing import DrawnApp
from rung.tui.frame import StageScreen
from rung.tui.job import Job, JobEnded, JobLine, follow, running_jobs, start_job
from rung.tui.messages import StatusRead
from rung.tui.row_work import Checked
from rung.tui.running import with_jobs
from rung.tui.source import Source
from rung.tui.tidy import collect_in_calm
from workspace.errors import RungError

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


HIGH_CONTRAST = Theme(
    "high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    warning="#ffff00",
    error="#ff8080",
    success="#80ff80",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    dark=True,
)


def _menu() -> type[Provider]:
    from rung.tui.menu import Menu

    return Menu


class RungApp(DrawnApp):
    """The terminal program on one folder."""

    TITLE = "rung"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_menu}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", priority=True),
        Binding("ctrl+p", "command_palette", "menu of everything", key_display="^P"),
        Binding("ctrl+l", "draw_anew", "draw the screen anew", key_display="^L", priority=True),
        Binding("f1", "keys", "keys of this screen", key_display="F1", priority=True),
    ]

    def __init__(self, source: Source, first: int = 0) -> None:
        super().__init__()
        self.source = source
        self.beside = Beside()
        self.checked: Checked | None = None
        """The last whole check, shown again while nothing has changed."""
        self.first = first
        """The stage to open first; 0 is Start."""
        self.read: Status | None = None
        """The status as it was read last."""
        self.status: Status | None = None
        """That, with what runs now."""
        self.jobs: dict[str, Job] = {}
        self.took: dict[str, float] = {}
        """Stage -> seconds that its screen took to load the last time."""
        self.partial = False
        """Whether the store was not read yet."""
        self._tidying: asyncio.Task[None] | None = None

    def on_mount(self) -> None:
        """Open Start (or the stage asked for), or the question what to do in a folder without a project."""
        self.register_theme(HIGH_CONTRAST)
        self.set_class(is_plain(), "plain")
        self._tidying = asyncio.create_task(collect_in_calm())
        if self.source.project is None:
            from rung.tui.screens.no_project import NoProjectScreen

            self.push_screen(NoProjectScreen())
            return
        for job in running_jobs(self.source.project.root):
            self._follow(job)
        if self.first:
            self.open_stage(self.first)
        else:
            self.open_start()

    def on_unmount(self) -> None:
        """The collector works by itself again; the process beside ends."""
        self.beside.close()
        if self._tidying is not None:
            self._tidying.cancel()

    # Stages

    def open_start(self) -> None:
        """Go to Start."""
        from rung.tui.screens.start import StartScreen

        self._show(StartScreen())

    def open_stage(self, number: int) -> None:
        """Open a stage by its number; a screen shows its own locked state."""
        path = f"rung.tui.screens.{SCREENS[number][0]}"
        if path in sys.modules:
            self._show(getattr(sys.modules[path], SCREENS[number][1])())
        else:
            self._import_and_open(path, number)

    @work(exclusive=True, group="open")
    async def _import_and_open(self, path: str, number: int) -> None:
        """What a stage needs is read from disk beside the loop."""
        await asyncio.to_thread(import_module, path)
        gc.freeze()
        self.open_stage(number)

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
        if self.read is None:
            self.post_message(StatusRead(status_of(read_facts(project, with_store=False)), partial=True))
        self.post_message(StatusRead(status_of(read_facts(project)), partial=False))

    @on(StatusRead)
    def show_status(self, message: StatusRead) -> None:
        """Hand the status to every stage screen that is mounted."""
        self.read, self.partial = message.status, message.partial
        self._tell_status()

    def _tell_status(self) -> None:
        """The status as it was read, with what runs now, to every screen."""
        if self.read is None:
            return
        self.status = with_jobs(self.read, self.jobs)
        for screen in self.screen_stack:
            if isinstance(screen, StageScreen) and screen.is_drawn:
                screen.show_status(self.status)

    # Long work

    def start_job(self, stage: str, arguments: Sequence[str]) -> None:
        """Run a `rung` command for a stage; one at a time for each."""
        project = self.source.project
        if project is None:
            return
        if stage in self.jobs:
            self._tell_stage(stage, "it is running already")
            return
        try:
            self._follow(start_job(project.root, stage, arguments))
        except RungError as error:
            self._tell_stage(stage, error.message)

    def _follow(self, job: Job) -> None:
        self.jobs[job.stage] = job
        self._tell_status()
        self._listen(job)

    @work(thread=True, exit_on_error=False, group="job")
    def _listen(self, job: Job) -> None:
        worker = get_current_worker()
        follow(job, self.post_message, lambda: worker.is_cancelled)

    def _stage_screens(self, stage: str) -> list[StageScreen]:
        return [s for s in self.screen_stack if isinstance(s, StageScreen) and s.job_name == stage and s.is_drawn]

    def _tell_stage(self, stage: str, words: str) -> None:
        for screen in self._stage_screens(stage):
            screen.tell(words)

    @on(JobLine)
    def show_line(self, message: JobLine) -> None:
        """Progress goes to the stage's screen, if it is open."""
        for screen in self._stage_screens(message.stage):
            screen.show_progress(message.line)
        if self._stage_screens("Start"):
            self._tell_status()

    @on(JobEnded)
    def show_end(self, message: JobEnded) -> None:
        """The end goes to the stage's screen; where another is open, it says so in its message."""
        self.jobs.pop(message.stage, None)
        self._tell_status()
        screens = self._stage_screens(message.stage)
        for screen in screens:
            screen.show_end(message)
        if not screens and isinstance(self.screen, StageScreen):
            self.screen.tell(f"{message.stage}: {message.sentence}")
        self.read_status()

    def action_keys(self) -> None:
        """List the real bindings of whatever is on the screen; once more takes the list away."""
        from rung.tui.screens.keys import KeysScreen

        if isinstance(self.screen, KeysScreen):
            self.screen.dismiss()
        else:
            self.push_screen(KeysScreen(self.screen.active_bindings))

    def get_system_commands(self, screen: Screen[object]) -> Iterator[SystemCommand]:
        """Ctrl+P reaches every stage and every action of the screen too."""
        from rung.tui.menu import menu, program_menu

        yield from menu(self, screen)
        yield from program_menu(self)


def open_review(reviewer: str = "", folder: Path | None = None) -> None:
    """What `rung review` opens on a terminal: the review screen, for this person."""
    from workspace.folder import require_project

    project = require_project(folder)
    RungApp(Source(project.root, project, who=reviewer), first=4).run()
