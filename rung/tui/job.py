"""Long work of a screen: a `rung` command in a child process, its progress lines as messages, its end as one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message


class JobLine(Message):
    """The newest progress line of a running command."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class JobEnded(Message):
    """A command ended: its arguments, exit code, and what it printed."""

    def __init__(self, arguments: Sequence[str], code: int, out: str, err: str) -> None:
        super().__init__()
        self.arguments, self.code, self.out, self.err = tuple(arguments), code, out, err

    @property
    def ok(self) -> bool:
        """Whether it did what it was asked to."""
        return self.code == 0

    @property
    def sentence(self) -> str:
        """The first line that a person should read: of the error where it failed, else of the result."""
        text = self.out if self.ok else self.err or self.out
        return next((line.strip() for line in text.splitlines() if line.strip()), "done" if self.ok else "failed")


@dataclass
class Job:
    """One running command. `stop` ends it as Ctrl-C would: what it did so far is kept."""

    arguments: tuple[str, ...]
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """Ask it to end."""
        import signal

        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)


def start_job(folder: Path, arguments: Sequence[str]) -> Job:
    """Start `rung ARGUMENTS` in a folder, apart from the terminal."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "rung", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return Job(tuple(arguments), process)


def follow(job: Job, post: Callable[[Message], object]) -> None:
    """Read a job to its end from a worker thread; every progress line and the end become messages."""
    assert job.process.stdout is not None and job.process.stderr is not None
    heard = []
    for line in job.process.stderr:
        heard.append(line)
        if line.strip():
            post(JobLine(line.strip()))
    out = job.process.stdout.read()
    post(JobEnded(job.arguments, job.process.wait(), out, "".join(heard)))
