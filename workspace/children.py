"""Processes that are started for a while: they end when the one that started them does, also where it is killed."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

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
