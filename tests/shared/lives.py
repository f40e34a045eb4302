"""Waiting for processes in tests, and what a run left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from training.runs import curve

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


def processes(*words: str) -> list[int]:
    """Ids of the processes whose command line has all these words."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if {word.encode() for word in words} <= set(place.read_bytes().split(b"\0")):
                found.append(int(place.parent.name))
    return found


def losses(folder: Path, kind: str = "step") -> list[tuple[int, float]]:
    """The training loss of each step of a run; or the loss of each `validation`."""
    return [(line["step"], line["loss"]) for line in curve(folder) if line["kind"] == kind]
