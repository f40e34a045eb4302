"""One writer at a time: a lock file that names its owner and goes with its process."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from workspace.artefact import now
from workspace.errors import Refusal

PATIENCE = 1.0
"""Seconds to wait for a holder to write its name, or to let go."""


@contextlib.contextmanager
def writer_lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock `path` while the block runs. The kernel frees it when the process ends, however it ends.

    Raises Refusal that names the owner where another live process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _take(file, path, what)
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": now().isoformat()}))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _take(file: IO[str], path: Path, what: str) -> None:
    """Take the lock. A holder that has just begun, or ends, has no name in the file: it is waited for."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = lock_owner(path)
            if owner or time.monotonic() > until:
                who = owner or "by a process that cannot be seen from here"
                raise Refusal(f"{what} is already running here ({who}).", "rung status") from error
        time.sleep(0.01)


def is_held(path: Path) -> bool:
    """True if a living process holds the lock on this file or folder; one that may not be opened counts as held."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_owner(path: Path) -> str | None:
    """Return who holds the lock, in words; None if the file names no living process."""
    try:
        owner = json.loads(path.read_text())
        os.kill(owner["pid"], 0)
        return f"process {owner['pid']} since {owner['since']}"
    except PermissionError:  # a process of another account, or a file that cannot be read
        return "a process of another account"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
