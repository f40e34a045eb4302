"""The frame of every stage: first line, stages and ladder at the left, command line, key line.

A stage screen gives its `stage` name, `heading()`, `compose_stage()` and the `command` that does the same in a shell.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.geometry import Size
from textual.reactive import reactive
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from rung.status.stages import RUNGS, Status
from rung.symbols import drawn
from rung.tui.job import JobEnded, ScreenJob
from rung.tui.safe_screen import Calm
from rung.tui.source import ScreenSource
from rung.tui.widgets.line import YES_OR_NO, CommandLine, FrameRule, KeyLine, Line, NextLine
from rung.tui.widgets.lines import MEANINGS, coloured

WIDE = 100
SOON = 0.03
"""Seconds after which a terminal that is being dragged has its size; laying out and styling in one turn would hold the
loop."""
SMALL = (80, 24)
HELP = (("F1", "help"), ("^P", "menu"))
"""End of every key line, if there is room."""
MOST_RUNGS = 6
"""With this many rungs the ladder follows the stages without a blank line, to fit into 24 rows."""


class SideBar(Static):
    """Stages and the measured ladder, 16 columns."""

    COMPONENT_CLASSES: ClassVar[set[str]] = MEANINGS

    status: reactive[Status | None] = reactive(None)
    current: reactive[str] = reactive("")

    def render(self) -> Text:
        """Return a line a stage, then a line a rung."""
        if self.status is None:
            return Text("")
        lines = [Text("")]
        for stage in self.status.stages:
            mark = "▸" if stage.name == self.current else " "
            line = Text(drawn(f"{mark}{stage.key} {stage.symbol} {stage.name:<11}"))
            if stage.name == self.current:
                line.stylize(self.get_component_rich_style("marked", partial=True))
            else:
                coloured(self, line)
            lines.append(line)
        scores = self.status.ladder.scores
        best = max((score for score in scores.values() if score is not None), default=None)
        rungs = self.status.ladder.rungs
        lines += [Text("")] if len(rungs) < MOST_RUNGS else []
        lines.append(Text(" The ladder"))
        for name in rungs:
            is_best = best is not None and scores.get(name) == best
            style = self.get_component_rich_style("best", partial=True) if is_best else ""
            lines.append(Text(self._rung(RUNGS[name], scores.get(name)), style=style))
        lines.append(Text(self._rung("goal", self.status.ladder.goal)))
        return Text("\n", no_wrap=True).join(lines)

    def on_click(self, event: events.Click) -> None:
        """Open the stage under the mouse."""
        if self.status is not None and 1 <= event.y <= len(self.status.stages):
            self.app.open_stage(event.y)  # type: ignore[attr-defined]

    @staticmethod
    def _rung(name: str, score: float | None) -> str:
        return f"{'  ' if len(name) < 10 else ' '}{name:<9} {'-' if score is None else f'{score:.0%}':>3}"


class StageScreen(Calm[None]):
    """One stage in the frame."""

    stage: ClassVar[str] = ""
    hides_side: ClassVar[bool] = False
    """True if the left side is hidden below 100 columns, because reading needs the width."""
    keys: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Up to six (key, word) pairs of the key line, before those of every screen; F1 lists all bindings."""
    digits_choose: ClassVar[bool] = False
    """True if digits choose from a numbered list of this screen, not a stage."""

    AUTO_FOCUS: ClassVar[str | None] = ""
    """Keys belong to the screen until it gives the keyboard to a field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "one level back"),
        Binding("left_square_bracket", "stage_step(-1)", "stage before", key_display="["),
        Binding("right_square_bracket", "stage_step(1)", "stage after", key_display="]"),
        Binding("c", "copy_command", "copy the command above the keys"),
        Binding("question_mark", "app.keys", "keys of this screen", key_display="?"),
        Binding("y", "say_yes", "yes, to the question above the keys", show=False),
        *(Binding(str(n % 10), f"stage({n})", "open that stage", show=False) for n in range(1, 11)),
    ]

    next: reactive[str] = reactive("")
    """The "Next:" line at the bottom of the stage, ending in `   Enter` where Enter does it."""
    command: reactive[str] = reactive("")
    message: reactive[str] = reactive("")
    question: reactive[str] = reactive("")
    fitting: Timer | None = None
    """Runs while the terminal has another size than the screen was fitted for."""
    _on_yes: Callable[[], None] | None = None

    @property
    def source(self) -> ScreenSource:
        """Return the source of this program's data."""
        source: ScreenSource = self.app.source  # type: ignore[attr-defined]
        return source

    def heading(self) -> str:
        """Return the right end of the first line: screen, object, person."""
        return f"{self.stage} · {self.source.person}"

    def compose(self) -> ComposeResult:
        """Compose the frame round `compose_stage`, fitted before it is drawn: styling it twice would hold the loop."""
        self._fit(self.app.size)
        yield Line(id="first")
        yield FrameRule(classes="rule")
        with Horizontal(id="middle"):
            yield SideBar(id="side")
            yield Static("", id="border")
            with Vertical(id="right"):
                with VerticalScroll(id="stage", can_focus=False):
                    yield from self.compose_stage()
                yield NextLine(id="next")
        yield FrameRule(classes="rule")
        yield CommandLine(id="command")
        yield KeyLine(id="keys")

    def compose_stage(self) -> Iterable[Widget]:
        """Return the widgets of the stage; overridden by every screen."""
        return ()

    def on_mount(self) -> None:
        """Fill the lines, and ask for the status. Textual calls this after a screen's own `on_mount`."""
        self.query_one("#side", SideBar).current = self.stage
        self.refresh_frame()
        self.app.read_status()  # type: ignore[attr-defined]
        for line in self.job.heard if self.job else ():
            self.show_progress(line)

    def on_resize(self, event: events.Resize) -> None:
        """Narrow and small terminals lose the left side, then the frame."""
        if self.fitting is not None:
            self.fitting.stop()
        self.fitting = self.set_timer(SOON, self._fit_now)

    def _fit_now(self) -> None:
        self.fitting = None
        self._fit(self.app.size)
        self.call_after_refresh(self.fitted)

    def fitted(self) -> None:
        """Overridden by screens that draw for a certain width: the terminal has another size now."""

    def _fit(self, size: Size) -> None:
        self.update_classes(self.fits(size), update=self.is_mounted, animate=False)

    def fits(self, size: Size) -> dict[str, bool]:
        """Return the screen's classes in a terminal of this size."""
        return {
            "no-side": self.hides_side and size.width < WIDE,
            "small": size.width < SMALL[0] or size.height < SMALL[1],
        }

    @property
    def is_drawn(self) -> bool:
        """True if the frame is composed and not being removed."""
        return self.is_mounted and bool(self.query("#side"))

    def show_status(self, status: Status) -> None:
        """Called with every new status."""
        self.query_one("#side", SideBar).status = status

    def refresh_frame(self) -> None:
        """Redraw the first line, command line and key line."""
        first = self.query_one("#first", Line)
        first.left, first.right = f" rung   {self.source.title}", f"{self.heading()} "
        row = self.query_one("#command", CommandLine)
        row.left, row.right = (f" $ {self.command}" if self.command else ""), f"{self.message} "
        if cell_len(row.left + row.right) >= self.app.size.width:
            row.left = ""  # a command that is cut is none
        if self.question:
            row.left, row.right = f" {self.question}", YES_OR_NO
        self.query_one("#keys", KeyLine).hints = tuple(self.hints())
        self.query_one("#next", NextLine).words = self.next

    def hints(self) -> Sequence[tuple[str, str]]:
        """Return the keys of the key line."""
        return (*self.keys_now(), *HELP)

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys that act now; overridden where that depends on what the screen does."""
        return self.keys

    def _follow(self) -> None:
        if self.is_drawn:
            self.refresh_frame()

    watch_next = watch_command = watch_question = watch_message = _follow

    def tell(self, text: str) -> None:
        """Put a message at the right end of row 23."""
        self.message = text

    def ask_once(self, question: str, on_yes: Callable[[], None]) -> None:
        """Ask in row 23 before something that costs, or cannot be undone: `y` does it, `Esc` leaves it."""
        self._on_yes = on_yes
        self.question = question

    def action_say_yes(self) -> None:
        """Do what was asked."""
        do, self._on_yes, self.question = self._on_yes, None, ""
        if do is not None:
            do()

    @property
    def job(self) -> ScreenJob | None:
        """The running command of this stage, whichever screen or program started it."""
        return self.app.jobs.get(self.stage)  # type: ignore[attr-defined, no-any-return]

    def start_job(self, *arguments: str) -> None:
        """Run a `rung` command in a child process that goes on without this screen."""
        self.app.start_job(self.stage, arguments)  # type: ignore[attr-defined]

    def show_progress(self, line: str) -> None:
        """Show progress in the place of messages."""
        self.tell(line)

    def show_end(self, ended: JobEnded) -> None:
        """Say how it ended, and show the result."""
        self.tell(ended.sentence)
        self.job_ended(ended)

    def job_ended(self, ended: JobEnded) -> None:
        """Overridden by screens that show the result."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Digits go to the stages only where no numbered list is on the screen; `y` answers only a question."""
        if action == "say_yes" and not self.question:
            return False
        return super().check_action(action, parameters) and not (action == "stage" and self.digits_choose)

    def action_stage(self, number: int) -> None:
        """Open a stage by its number."""
        self.app.open_stage(number)  # type: ignore[attr-defined]

    def action_stage_step(self, step: int) -> None:
        """Open the stage before or after."""
        self.app.step_stage(self.stage, step)  # type: ignore[attr-defined]

    def action_back(self) -> None:
        """No to an open question, else back to Start."""
        if self.question:
            self.question, self._on_yes = "", None
            return
        self.app.open_start()  # type: ignore[attr-defined]

    def action_copy_command(self) -> None:
        """Put the command of row 23 on the clipboard."""
        if self.command:
            self.app.copy_to_clipboard(self.command)
            self.tell("copied")
