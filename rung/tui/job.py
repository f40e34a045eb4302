"""Long work of a screen: a `rung` command in a child process that outlives the program.

What it prints goes to files in `.jobs/`, so that nothing holds it up and the program, closed and started again, finds
it. A lock that the child holds on its record says whether it still runs, however it ended.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textual.message import Message

from workspace.errors import Refusal
from workspace.lock import is_held

FOLDER = ".jobs"
EVERY = 0.1
STOPPED = 130
"""Exit code of a command that was interrupted."""
PROGRESS = re.compile(r" \d[\d,]* of \d[\d,]*  \d+%| \.\.\.$")
MOST = 6
"""Lines of an error that a screen has room for."""


class JobLine(Message):
    """The newest progress line of a stage's running command."""

    def __init__(self, stage: str, line: str) -> None:
        super().__init__()
        self.stage, self.line = stage, line


class JobEnded(Message):
    """A stage's command ended: its arguments, exit code (None: it was started by another program), what it printed."""

    def __init__(self, stage: str, arguments: Sequence[str], code: int | None, out: str, err: str) -> None:
        super().__init__()
        self.stage, self.arguments, self.code, self.out, self.err = stage, tuple(arguments), code, out, err

    @property
    def ok(self) -> bool:
        """True if it succeeded; for another program's command its result on stdout decides."""
        return self.code == 0 or (self.code is None and bool(self.out.strip()))

    @property
    def was_stopped(self) -> bool:
        """True if somebody stopped it."""
        return self.code == STOPPED or (self.code is None and self.err.rstrip().endswith("Interrupted."))

    @property
    def trouble(self) -> tuple[str, ...]:
        """The error as it was printed, where there was one and no result: message and `-> next command`."""
        if self.code == 0 or self.was_stopped or self.out.strip():
            return ()
        said = [line.rstrip() for line in self.err.splitlines() if line.strip() and not PROGRESS.search(line)]
        return tuple(said[-MOST:])

    @property
    def sentence(self) -> str:
        """The first line that a person should read: of the error where it failed, else of the result."""
        if self.was_stopped:
            return "stopped"
        lines = [line.strip() for line in self.out.splitlines() if line.strip()]
        if trouble := [line for line in self.trouble if not line.startswith("->")]:
            return trouble[-1]
        return (lines or ["failed" if self.code else "done"])[0]


@dataclass
class ScreenJob:
    """One running command of a stage. `process` is None if another program started it."""

    stage: str
    arguments: tuple[str, ...]
    pid: int
    record: Path
    process: subprocess.Popen[bytes] | None = None
    heard: list[str] = field(default_factory=list)
    stopped: bool = False
    started: float = field(default_factory=time.time)
    """Start, in seconds since 1970."""

    @property
    def is_running(self) -> bool:
        """True while the child process runs."""
        return self.process.poll() is None if self.process else is_held(self.record)

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C would: what it did so far is kept."""
        if self.is_running:
            self.stopped = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGINT)

    def text(self, what: str) -> str:
        """Return its output so far: `out` or `err`."""
        path = self.record.with_suffix(f".{what}")
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def start_job(root: Path, stage: str, arguments: Sequence[str]) -> ScreenJob:
    """Start `rung ARGUMENTS` in a project folder, detached. Raises Refusal if another program runs this stage."""
    _heed_interrupts()
    record = root / FOLDER / f"{stage.lower()}.json"
    record.parent.mkdir(exist_ok=True)
    with record.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refusal(f"{stage} is busy in another window. Nothing was started.", "rung status") from error
        with record.with_suffix(".out").open("wb") as out, record.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rung", *arguments],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=(held.fileno(),),
                start_new_session=True,
            )
        held.truncate(0)
        held.write(json.dumps({"stage": stage, "arguments": list(arguments), "pid": process.pid}))
    return ScreenJob(stage, tuple(arguments), process.pid, record, process)


def running_jobs(root: Path) -> list[ScreenJob]:
    """Return commands that an earlier program started here and that still run."""
    found = []
    for record in sorted((root / FOLDER).glob("*.json")):
        if is_held(record):
            written = json.loads(record.read_text() or "{}")
            if written:
                job = ScreenJob(written["stage"], tuple(written["arguments"]), written["pid"], record)
                job.started = record.stat().st_mtime
                found.append(job)
    return found


def follow(job: ScreenJob, post: Callable[[Message], object], left: Callable[[], bool] = lambda: False) -> None:
    """Read a job to its end from a worker thread; every progress line and the end become messages.

    `left()` says that the program is closing: the thread ends then, the command does not.
    """
    seen = 0
    while not left():
        running = job.is_running
        lines = job.text("err").split("\n")
        for line in lines[seen:-1]:
            if line.strip():
                job.heard.append(line.strip())
                post(JobLine(job.stage, line.strip()))
        seen = max(seen, len(lines) - 1)
        if not running:
            code = job.process.returncode if job.process else None
            if job.stopped and code:
                code = STOPPED  # also where it was stopped before it could heed an interrupt
            post(JobEnded(job.stage, job.arguments, code, job.text("out"), job.text("err")))
            return
        time.sleep(EVERY)


def _heed_interrupts() -> None:
    """Restore interrupts: a child of a program that ignores them (nohup, a background job) would too, and `x` fail."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
