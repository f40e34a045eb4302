"""A stage whose lines are worked out in a thread: known things first, then the result, or the one message why not."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList
from textual.worker import get_current_worker

from rung.status.stages import Stage, Status
from rung.tui.frame import HELP, SMALL, StageScreen
from rung.tui.job import JobEnded
from rung.tui.screens.page_screen import SignScreen, WhyScreen
from rung.tui.widgets.lines import PAGES, Entry, MarkedLines
from rung.tui.worker_process import Beside, Word
from workspace.errors import RungError
from workspace.folder import Project

T = TypeVar("T")
LOCKED = (("[ ]", "stage"), ("Esc", "start"), *HELP)
SIDE = 17
"""Columns of the left side with its border."""
SLOW, LONG = 1.0, 3.0
"""Seconds after which a line says what is awaited, and after which it says how long that takes."""


@dataclass(frozen=True, slots=True)
class LoadedLines:
    """Lines of a stage. `data` is for the screen's keys; `command` does the same in a shell."""

    entries: Sequence[Entry]
    command: str = ""
    message: str = ""
    data: Any = None
    lock: str = ""
    """Reason why the stage is locked, with the key and the command that open it; empty if it is open."""
    opener: int = 0
    """The stage that opens a locked one."""
    goes_on: bool = False
    """True if the "Next:" line shows the project's next step."""


def parted(entries: Sequence[Entry]) -> tuple[list[Entry], str]:
    """Return the lines without their last one where that is the "Next:" line, and that line."""
    body = list(entries)
    if not body or not body[-1].text.startswith("Next:"):
        return body, ""
    words = body.pop().text
    while body and not body[-1].text:
        body.pop()
    return body, words


def _marked(index: int, line: str) -> str:
    if line.startswith("->"):
        return f"  {line}"
    return f"{'  ' if index else '✗ '}{line}"


STAGE_OF_COMMAND = {
    "rung advise": 2,
    "rung data freeze": 5,
    "rung data": 3,
    "rung review": 4,
    "rung baseline": 6,
    "rung plan": 7,
}


def press(command: str, stage: int) -> str:
    """Return the key of the stage that a command belongs to (`stage` where it is none of these), and the command."""
    number = next((n for words, n in STAGE_OF_COMMAND.items() if command.startswith(words)), stage)
    return f"press {number % 10}, or run: {command}"


def locked(missing: str, key: int, opener: str, command: str) -> LoadedLines:
    """Return a locked door: what is missing, which key goes there, which command does it."""
    where = f"press {key % 10}, or run: {opener}"
    lines = [Entry(), Entry(f"Locked: {missing}", "", "bold"), Entry(where), Entry(), Entry(f"Next: press {key % 10}.")]
    return LoadedLines(lines, command, lock=f"Locked: {missing} {where}", opener=key)


class LoadedScreen(StageScreen):
    """Lines with a cursor; `load` runs in a thread and must not touch widgets."""

    awaits: ClassVar[str] = "Reading the project"
    BINDINGS: ClassVar[list[BindingType]] = [
        *PAGES,
        Binding("w", "why", "why: the rule, source or chain behind the marked line"),
    ]

    data: Any = None
    closed = ""
    opener = 0
    """The stage that opens this one, while it is locked."""
    goes_on = False
    started = 0.0
    trouble: tuple[str, ...] = ()
    """Errors of the last command, until another one starts."""
    fits_width: ClassVar[bool] = False
    """True if the lines depend on the width, and are made again for another one."""
    stopped: ClassVar[str] = "Stopped. Finished work is kept."
    """Message after `x`."""
    drawn_for = 0
    """The room that the lines were worked out for."""
    ended = ""
    """Result of the last command, if it is to be shown after the lines are loaded again."""
    _awaiting = False
    _before = ""
    """The message that was shown before it said what is awaited."""

    class Done(Message):
        """`load` ended."""

        def __init__(self, loaded: LoadedLines) -> None:
            super().__init__()
            self.loaded = loaded

    def hints(self) -> Sequence[tuple[str, str]]:
        """Return the keys; for a locked stage the key that opens it, and none without effect."""
        return ((str(self.opener % 10), "open that stage"), *LOCKED) if self.opener else super().hints()

    def compose_stage(self) -> Iterable[Widget]:
        """Yield one list of lines."""
        yield MarkedLines(id="lines")

    def on_mount(self) -> None:
        """Show what is known, start the work, look at the clock while it lasts."""
        if self.query("#lines"):  # it is not being taken away before it stood
            self.set_interval(self.source.tick, self._say_what_is_awaited)
            self.reload()

    @property
    def room(self) -> int:
        """Columns of a line in this terminal, without the cursor's two."""
        size = self.app.size
        side = 0 if size.width < SMALL[0] or size.height < SMALL[1] else SIDE
        return max(size.width - side - 5, 40)

    def fitted(self) -> None:
        """Another width, other lines."""
        if self.fits_width and self.data is not None and self.drawn_for != self.room:
            self.reload()

    def reload(self) -> None:
        """Work the lines out again."""
        self.drawn_for = self.room
        self.started = self.source.moment()
        if not self.lines.entries:
            self.lines.show(self._known())
        self._load()

    def _known(self) -> list[Entry]:
        known = self.state.reason if self.state and not self.app.partial else "…"  # type: ignore[attr-defined]
        return [Entry(), Entry(known, style="dim")]

    def start_job(self, *arguments: str) -> None:
        """Run a command; what went wrong before is no longer shown."""
        self.trouble = ()
        before = self.job
        super().start_job(*arguments)
        if self.job is not None and self.job is not before:
            self.tell(f"rung {' '.join(arguments[:2])} is running …")

    def show_end(self, ended: JobEnded) -> None:
        """Show what went wrong, in full, until another command is started."""
        self.trouble = ended.trouble
        super().show_end(ended)
        if ended.was_stopped or ended.trouble:
            self.ended = self.stopped if ended.was_stopped else "not done"
            self.tell(self.ended)

    def job_ended(self, ended: JobEnded) -> None:
        """Show what is there now."""
        self.reload()

    def sign(self, title: str, about: str, does: str, then: Callable[..., object], left: str) -> None:
        """Ask for a name and a reason, and go on with them as options; `left` is said where none are given."""

        def signed(given: tuple[str, str] | None) -> None:
            if given is None:
                self.tell(left)
            else:
                then("--by", given[0], "--reason", given[1])

        self.app.push_screen(SignScreen(title, about, self.source.person, does), signed)

    def beside(self, work: Callable[..., T], *given: object, heard: Callable[[Word], object] = lambda _: None) -> T:
        """Work on every row, done in the process beside the program; of use in `load`."""
        worker = get_current_worker()
        beside: Beside = self.app.beside  # type: ignore[attr-defined]
        return beside.call(work, *given, heard=heard, left=lambda: worker.is_cancelled)

    def load(self, project: Project) -> LoadedLines:
        """Overridden: everything that the screen shows. Runs in a thread; may raise RungError."""
        raise AssertionError("a screen says what it loads")

    def why_ref(self, key: str) -> str:
        """Return the reference that `w` explains on this line; empty if there is none."""
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
    def status(self) -> Status | None:
        """The newest status."""
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        return status

    @property
    def state(self) -> Stage | None:
        """This stage in the newest status."""
        return self.status.stage(self.stage) if self.status else None

    @property
    def following(self) -> Stage | None:
        """The stage where the project goes on; None if that is this one, or nothing waits."""
        found = self.status.next if self.status else None
        return found if found is not None and found.name != self.stage else None

    def next_words(self) -> str:
        """Return the "Next:" line of a stage that is done: what Start names as next, and its digit."""
        if self.status is not None and self.status.next is None:
            return "Next: nothing waits for you. See the release (0).   Enter"
        following = self.following
        return f"Next: {following.next or following.reason} ({following.key}).   Enter" if following else ""

    def go_on(self) -> None:
        """Open the stage where the project goes on; the release where nothing waits."""
        if self.status is not None and self.status.next is None:
            self.app.open_stage(10)  # type: ignore[attr-defined]
        elif self.following is not None:
            self.app.open_stage(self.following.number)  # type: ignore[attr-defined]

    def show_status(self, status: Status) -> None:
        """Update the next step from the status."""
        super().show_status(status)
        if self.goes_on and self.job is None:
            self.next = self.next_words()

    @work(thread=True, exclusive=True, exit_on_error=False, group="load")
    def _load(self) -> None:
        worker = get_current_worker()
        try:
            project = self.source.project
            loaded = self.load(project) if project else locked("no project here.", 1, "rung init", "rung init")
        except RungError as error:
            hint = f"-> {error.hint}" if error.hint else ""
            loaded = LoadedLines([Entry(), *(Entry(line) for line in (*error.message.split("\n"), hint) if line)])
        except OSError as error:
            loaded = LoadedLines([Entry(), Entry(f"{error.filename or self.source.folder}: {error.strerror}.")])
        except Exception as error:  # a fault of ours: said in its place, never an endless wait
            self.log.error(repr(error))
            loaded = LoadedLines(
                [Entry(), Entry(f"{self.stage} could not be read: {error!r}."), Entry("-> rung doctor")]
            )
        if not worker.is_cancelled:
            self.post_message(self.Done(loaded))

    @on(Done)
    def _done(self, message: Done) -> None:
        self.app.took[self.stage] = self.source.moment() - self.started  # type: ignore[attr-defined]
        self.started = 0.0
        if self._awaiting:
            self._awaiting = False
            self.tell(self._before)
        self.closed, self.opener = message.loaded.lock, message.loaded.opener
        self.show_loaded(message)

    def repeat_lock(self) -> bool:
        """Repeat what is missing on Enter in a locked stage; True if it is locked, or that is not known yet."""
        if self.started and self.data is None:
            self.tell("still loading, please wait")
            return True
        if self.closed:
            self.tell(self.closed)
        return bool(self.closed)

    def show_loaded(self, message: Done) -> None:
        """Draw what was loaded."""
        self.data, self.goes_on = message.loaded.data, message.loaded.goes_on
        self.show_lines(message.loaded.entries)
        if self.goes_on:
            self.next = self.next_words()
            if self.status is not None and self.following is None and self.status.next is not None:
                self.app.read_status()  # type: ignore[attr-defined]  # what was loaded may change what is next
        if message.loaded.command:
            self.command = message.loaded.command
        if words := self.ended or message.loaded.message:
            self.tell(words)
        self.ended = ""
        self.refresh_frame()

    def show_lines(self, entries: Sequence[Entry]) -> None:
        """Draw these lines, the "Next:" line at the bottom of the stage, and above all what went wrong."""
        body, self.next = parted(entries)
        wrong = [Entry(_marked(n, line), "", "blocks") for n, line in enumerate(self.trouble)]
        self.lines.show([*([Entry(), *wrong] if wrong else []), *body])

    def _say_what_is_awaited(self) -> None:
        seconds = self.source.moment() - self.started if self.started else 0.0
        if seconds < SLOW:
            return
        last = self.app.took.get(self.stage)  # type: ignore[attr-defined]
        left = f", about {max(last - seconds, 1):.0f} s left" if last and last > seconds else ""
        if not self._awaiting:
            self._awaiting, self._before = True, self.message
        self.say_awaited(f"{self.awaits} …" + (f"  {seconds:.0f} s so far{left}" if seconds >= LONG else ""))

    def say_awaited(self, words: str) -> None:
        """Say what is awaited: under what is known where nothing is loaded yet, else as the message."""
        if self.data is None:
            self.lines.show([*self._known(), Entry(), Entry(words, style="dim")])
        else:
            self.tell(words)

    @on(OptionList.OptionSelected)
    async def _chosen(self) -> None:
        """Act as Enter on a mouse press on the selected line."""
        await self.run_action(next(str(b.action) for b in self.BINDINGS if isinstance(b, Binding) and b.key == "enter"))

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        self.cursor_moved()

    def cursor_moved(self) -> None:
        """Overridden by screens that show more of the marked line."""

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.lines.move(step)

    def action_page(self, step: int) -> None:
        """Move the cursor, or look, by as many lines as are in sight."""
        self.lines.page(step)

    def action_why(self) -> None:
        """Show the rule, source or chain behind the selected line."""
        ref = self.why_ref(self.marked)
        if ref:
            self.app.push_screen(WhyScreen(ref))


RUNNING: Sequence[tuple[str, str]] = (("x", "stop"), ("Esc", "leave"))
KEEPS = "Next: x stops it and keeps the answers. Safe to leave: it continues in the background."


class StoppableScreen(LoadedScreen):
    """A screen with a command that `x` stops while it runs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "stop", "stop the running command; finished work is kept")]

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys while something runs, else the screen's own."""
        return RUNNING if self.job else self.keys

    def action_stop(self) -> None:
        """Stop the command as Ctrl-C would."""
        if self.job is not None:
            self.job.stop()
            self.tell("stopping …")
        else:
            self.tell("nothing is running")
