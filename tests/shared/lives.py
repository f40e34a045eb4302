"""Processes in tests: waiting for them, ports for them, and what a run left."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from training.runs import curve

PATIENCE = 300
"""Seconds: a busy machine fails no test."""


def wait_until(there: Callable[[], object]) -> None:
    """Look until it is so; five minutes at most."""
    until = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@contextlib.contextmanager
def mounted(place: Path, size: str) -> Iterator[None]:
    """A file system of this size in memory, while the block runs; only root may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def losses(folder: Path, kind: str = "step") -> list[tuple[int, float]]:
    """The training loss of each step of a run; or the loss of each `validation`."""
    return [(line["step"], line["loss"]) for line in curve(folder) if line["kind"] == kind]
