"""Waiting for processes in tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 300
"""Seconds: a busy machine fails no test."""


def wait_until(there: Callable[[], object]) -> None:
    """Look until it is so; five minutes at most."""
    until = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def gone(process: int) -> bool:
    """Ended; a zombie that nobody has collected yet counts."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
