"""Ctrl-C, at the right moment and in every form it takes; and children that end with the process that started them."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType


@contextmanager
def held_interrupt(at_first: Callable[[], None] | None = None) -> Iterator[None]:
    """Put Ctrl-C off until the block ends, so that what belongs together is done together or not at all.

    `at_first` is called when it comes, so that a long block can end early. A second Ctrl-C inside the block acts at
    once. Outside the main thread, and where the program ignores Ctrl-C, nothing changes. Raises KeyboardInterrupt
    (whatever the handler before raises) at the end of the block.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    asked: list[FrameType | None] = []

    def later(number: int, frame: FrameType | None) -> None:
        asked.append(frame)
        if len(asked) > 1:
            before(number, frame)
        elif at_first:
            at_first()

    signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if len(asked) == 1:
            before(signal.SIGINT, asked[0])


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C inside the block (main thread): finished work is kept, child processes are ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_interrupt(error: BaseException) -> bool:
    """True if Ctrl-C caused an error: inside code compiled by numba it raises a SystemError."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__cause__ or behind.__context__
    return behind is not None


DIES_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def ending_with_us() -> Callable[[], None]:
    """Return a `preexec_fn`: the child gets SIGTERM when this process ends, however it ends (on Linux)."""
    return partial(end_with, os.getpid(), signal.SIGTERM)


def end_with(parent: int, sign: signal.Signals) -> None:
    """Send this process `sign` when `parent`, which started it, ends; end at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, sign)
    if os.getppid() != parent:
        sys.exit(1)
