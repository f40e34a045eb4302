"""Numerical libraries on one thread."""

from __future__ import annotations

from typing import Any


def one_thread() -> Any:
    """A context in which the libraries loaded so far start no threads of their own.

    The vectors are short: on a busy machine the threads wait for each other, and a check took twice the time and twice
    the CPU (docs/curation.md).
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
