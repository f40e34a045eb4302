"""Waiting for processes in tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(there: Callable[[], bool]) -> None:
    """Look until it is so; two minutes at most."""
    until = time.monotonic() + 120
    while not there():
        assert time.monotonic() < until, "not within two minutes"
        time.sleep(0.05)


def gone(process: int) -> bool:
    """Ended; a zombie that nobody has collected yet counts."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
