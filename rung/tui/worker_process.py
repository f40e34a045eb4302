"""Work on every row, in a process of its own: no key waits for it, it ends at once when it is left, and nothing of what
it read stays in this program.

The process waits a while for the next piece of work, so that a second check does not begin with reading libraries.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any, Literal, TypeVar

from workspace.errors import RungError

LOOK = 0.1
"""Seconds between two looks whether the work is still wanted."""
IDLE = 120.0
"""Seconds without work after which the process ends."""
Word = tuple[Any, ...]
Say = Callable[[Word], None]
"""Reports the progress of work; a word must be a simple object that can be sent between processes."""
T = TypeVar("T")
Kind = Literal["begun", "said", "done", "failed"]
GONE = (EOFError, ConnectionError)


class Left(RungError):
    """Whoever asked for it is not there any more, or has stopped it."""


class Beside:
    """Calls functions in the other process; one at a time for each of the threads that ask."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: _Child | None = None
        self._closed = False

    def call(
        self, work: Callable[..., T], *given: object, heard: Callable[[Word], object], left: Callable[[], bool]
    ) -> T:
        """`work(say, *given)` of a module that any process can import; what it says is heard in this thread.

        Raises Left within a moment of `left()`, and RungError with what the work raised.
        """
        while True:
            with self._turn:
                child, self._waiting = self._waiting, None
            fresh = child is None
            child = child or _Child()
            try:
                found: T = child.ask((work, given), heard, left)
            except _Ended as ended:
                child.end()
                if fresh or ended.begun:
                    said = f"The worker process ended early (exit code {child.code})."
                    raise RungError(said, "rung doctor") from None
            except BaseException:
                child.end()
                raise
            else:
                self._put_back(child)
                return found

    def close(self) -> None:
        """End the process that waits; one at work is ended by whoever asked for it."""
        with self._turn:
            self._closed = True
            child, self._waiting = self._waiting, None
        if child is not None:
            child.end()

    def _put_back(self, child: _Child) -> None:
        with self._turn:
            if self._waiting is None and not self._closed:
                self._waiting = child
                return
        child.end()


class _Ended(Exception):
    """The process is gone; `begun`: after it had begun with the work."""

    def __init__(self, begun: bool) -> None:
        super().__init__()
        self.begun = begun


class _Child:
    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rung.tui.worker_process", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )

    @property
    def code(self) -> int | None:
        """Return the exit code."""
        return self.process.returncode

    def ask(
        self,
        work: tuple[Callable[..., Any], tuple[object, ...]],
        heard: Callable[[Word], object],
        left: Callable[[], bool],
    ) -> Any:
        """Have it done; anything but a result leaves the process in no state to be asked again."""
        begun = False
        try:
            self.pipe.send(work)
            while True:
                if left():
                    raise Left("left")
                if not self.pipe.poll(LOOK):
                    continue
                kind, what = self.pipe.recv()
                begun = True
                if kind == "said":
                    heard(what)
                elif kind == "done":
                    return what
                elif kind == "failed":
                    raise RungError(*what)
        except GONE:
            raise _Ended(begun) from None

    def end(self) -> None:
        """End at once: it only reads stored data."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()


def serve(pipe: Connection) -> None:
    """Work in the other process until nobody asks for this long, or the program is gone."""
    threading.Thread(target=_end_with, args=(pipe.fileno(),), daemon=True).start()
    with contextlib.suppress(*GONE):
        while pipe.poll(IDLE):
            work, given = pipe.recv()
            pipe.send(("begun", None))
            pipe.send(_answer(pipe, work, given))


def _end_with(descriptor: int) -> None:
    """End this process as soon as the other end of its pipe is closed, whatever it does: a killed program cannot end
    it. It only reads what is stored, and what a database was writing for it is undone there.
    """
    waits = select.poll()
    waits.register(descriptor, 0)  # 0: that the other end is closed is told all the same, and nothing else is
    while not waits.poll():
        pass
    os._exit(0)


def _answer(pipe: Connection, work: Callable[..., Any], given: tuple[object, ...]) -> tuple[Kind, Any]:
    try:
        return "done", work(lambda word: pipe.send(("said", word)), *given)
    except RungError as error:
        return "failed", (error.message, error.hint)
    except ConnectionError:
        raise
    except OSError as error:
        return "failed", (f"{error.filename}: {error.strerror}." if error.filename else str(error), "")
    except Exception as error:  # a fault of ours: said in its place, never an endless wait
        return "failed", (f"Internal error: {error!r}.", "rung doctor")


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
