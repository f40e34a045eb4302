"""The app: mounts screens, reads the status and follows commands in workers, and nothing else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hits, Provider
from textual.markup import escape
from textual.screen import Screen
from textual.system_commands import SystemCommandsProvider
from textual.theme import Theme
from textual.worker import get_current_worker

from rung.status.facts import read_facts
from rung.status.stages import Stage, Status, status_of
from rung.symbols import is_plain
from rung.tui.frame import StageScreen
from rung.tui.job import JobEnded, JobLine, ScreenJob, follow, running_jobs, start_job
from rung.tui.screens.page_screen import KeysScreen, key_rows, words_of
from rung.tui.source import ScreenSource, StatusRead
from rung.tui.worker_process import Beside
from workspace.errors import RungError
from workspace.folder import require_project

if TYPE_CHECKING:
    from rung.tui.data.row_work import DatedCheck

SCREENS: dict[int, tuple[str, str]] = {
    1: ("rung.tui.advice.questions_screen", "QuestionsScreen"),
    2: ("rung.tui.advice.advice_screen", "AdviceScreen"),
    3: ("rung.tui.data.data_screen", "DataScreen"),
    4: ("rung.tui.review.review_screen", "ReviewScreen"),
    5: ("rung.tui.data.dataset_screen", "DatasetScreen"),
    6: ("rung.tui.measure.baselines_screen", "BaselinesScreen"),
    7: ("rung.tui.training.plan_screen", "PlanScreen"),
    8: ("rung.tui.training.train_screen", "TrainScreen"),
    9: ("rung.tui.measure.verdict_screen", "VerdictScreen"),
    10: ("rung.tui.release.release_screen", "ReleaseScreen"),
}
"""Stage number -> module and class; imported when the stage is opened."""


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


class Menu(SystemCommandsProvider):
    """All commands in the order in which they are made; Textual's own sorts them by their words."""

    async def discover(self) -> Hits:
        """Yield the entries shown before anything is typed."""
        for name, about, do, shown in self.app.get_system_commands(self.screen):
            if shown:
                yield DiscoveryHit(name, do, help=about)


class RungApp(App[None]):
    """The terminal program on one folder."""

    TITLE = "rung"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {Menu}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", priority=True),
        Binding("ctrl+p", "command_palette", "menu of everything", key_display="^P"),
        Binding("ctrl+l", "redraw", "redraw the screen", key_display="^L", priority=True),
        Binding("f1", "keys", "keys of this screen", key_display="F1", priority=True),
    ]

    def __init__(self, source: ScreenSource, first: int = 0) -> None:
        super().__init__()
        self.source = source
        self.beside = Beside()
        self.checked: DatedCheck | None = None
        """The last whole check, shown again while nothing has changed."""
        self.first = first
        """The stage to open first; 0 is Start."""
        self.read: Status | None = None
        self.status: Status | None = None
        """The status, with the running jobs."""
        self.jobs: dict[str, ScreenJob] = {}
        self.took: dict[str, float] = {}
        """Stage -> seconds that its screen took to load the last time."""
        self.partial = False
        """True until the store was read."""

    def on_mount(self) -> None:
        """Open Start (or the stage asked for), or the question what to do in a folder without a project."""
        self.register_theme(HIGH_CONTRAST)
        self.set_class(is_plain(), "plain")
        if self.source.project is None:
            from rung.tui.screens.start_screen import NoProjectScreen

            self.push_screen(NoProjectScreen())
            return
        for job in running_jobs(self.source.project.root):
            self._follow(job)
        if self.first:
            self.open_stage(self.first)
        else:
            self.open_start()

    def on_unmount(self) -> None:
        """End the worker process."""
        self.beside.close()

    # Stages

    def open_start(self) -> None:
        """Go to Start."""
        from rung.tui.screens.start_screen import StartScreen

        self.workers.cancel_group(self, "open")
        self._show(StartScreen())

    def open_stage(self, number: int) -> None:
        """Open a stage by its number; a screen shows its own locked state."""
        path, name = SCREENS[number]
        if path in sys.modules:
            self.workers.cancel_group(self, "open")  # a stage that is still being imported was left for this one
            self._show(getattr(sys.modules[path], name)())
        else:
            self._import_and_open(path, name)

    @work(exclusive=True, group="open")
    async def _import_and_open(self, path: str, name: str) -> None:
        """Read what a stage needs in a thread, then open the stage."""
        self._show(getattr(await asyncio.to_thread(import_module, path), name)())

    def open_question(self, question: str = "", then: int = 0) -> None:
        """Open the questions, at this one where it is named; once it is answered, the stage `then`."""
        from rung.tui.advice.questions_screen import QuestionsScreen

        self._show(QuestionsScreen(question, then))

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

    def read_status(self) -> None:
        """Read the status in a thread, and show it on every stage screen."""
        if self.source.project is not None:
            self._read_status()

    @work(thread=True, exclusive=True, exit_on_error=False, group="status")
    def _read_status(self) -> None:
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
            self._tell_stage(stage, "already running")
            return
        try:
            self._follow(start_job(project.root, stage, arguments))
        except RungError as error:
            self._tell_stage(stage, error.message)

    def _follow(self, job: ScreenJob) -> None:
        self.jobs[job.stage] = job
        self._tell_status()
        self._listen(job)

    @work(thread=True, exit_on_error=False, group="job")
    def _listen(self, job: ScreenJob) -> None:
        worker = get_current_worker()
        follow(job, self.post_message, lambda: worker.is_cancelled)

    def _stage_screens(self, stage: str) -> list[StageScreen]:
        return [s for s in self.screen_stack if isinstance(s, StageScreen) and s.stage == stage and s.is_drawn]

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
        """Pass the end to the stage's screen; if another is open, show it as a message there."""
        self.jobs.pop(message.stage, None)
        self._tell_status()
        screens = self._stage_screens(message.stage)
        for screen in screens:
            screen.show_end(message)
        if not screens and isinstance(self.screen, StageScreen):
            self.screen.tell(f"{message.stage}: {message.sentence}")
        self.read_status()

    def action_redraw(self) -> None:
        """Send everything again, where something else has written over it."""
        self.screen.refresh()

    def action_keys(self) -> None:
        """List the real bindings of whatever is on the screen; once more takes the list away."""
        if isinstance(self.screen, KeysScreen):
            self.screen.dismiss()
        else:
            self.push_screen(KeysScreen(self.screen.active_bindings))

    def get_system_commands(self, screen: Screen[object]) -> Iterator[SystemCommand]:
        """Ctrl+P reaches every stage and every action of the screen too."""
        yield from menu(self, screen)
        yield SystemCommand("Theme", "light, dark, high contrast and others", self.action_change_theme)
        yield SystemCommand("Screenshot", "saved as an SVG file", lambda: self.set_timer(0.1, self.deliver_screenshot))
        yield SystemCommand("Quit", "running commands continue in the background", self.action_quit)


def open_review(reviewer: str) -> None:
    """Open the review screen for this person, as `rung review` does on a terminal."""
    project = require_project()
    RungApp(ScreenSource(project.root, project, who=reviewer), first=4).run()


def with_jobs(status: Status, jobs: Mapping[str, ScreenJob]) -> Status:
    """Return the status with each stage that has a running command as `running`; the first of them is next."""
    if not jobs:
        return status
    stages = tuple(_running(stage, jobs[stage.name]) if stage.name in jobs else stage for stage in status.stages)
    first = next((stage for stage in stages if stage.name in jobs), None)
    return replace(status, stages=stages, next=first or status.next)


def _running(stage: Stage, job: ScreenJob) -> Stage:
    command = f"rung {' '.join(job.arguments[:2])}"
    reason = job.heard[-1] if job.heard else command
    return replace(stage, state="running", reason=reason, next=f"{command} is running")


ELSEWHERE = ("command_palette", "quit", "stage(")
"""Actions that the menu has already: itself, the program's own and the stages."""


def menu(app: RungApp, screen: Screen[object]) -> Iterator[SystemCommand]:
    """Start, the ten stages with their state, then the actions of this screen with their keys."""
    if app.source.project is not None:
        yield SystemCommand("Start", "the ten stages and what is next", app.open_start)
    for stage in app.status.stages if app.status else ():
        about = escape(f"{stage.word}: {stage.reason}")
        yield SystemCommand(f"{stage.number % 10}. {stage.name}", about, partial(app.open_stage, stage.number))
    active = {
        key: found
        for key, found in screen.active_bindings.items()
        if not found.binding.action.removeprefix("app.").startswith(ELSEWHERE)
    }
    actions = {words_of(found): found for found in active.values() if found.enabled}
    for keys, words in key_rows(active):
        found = actions[words]
        yield SystemCommand(
            words[:1].upper() + words[1:],
            f"here: {keys}",
            partial(app.call_later, app.run_action, found.binding.action, found.node),
        )
