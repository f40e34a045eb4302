"""One writer at a time: a lock file that names its owner and goes with its process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from workspace.artefact import now
from workspace.errors import Refusal


@contextlib.contextmanager
def writer_lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock `path` while the block runs. The kernel frees it when the process ends, however it ends.

    Raises Refusal that names the owner where another live process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refusal(f"{what} is already running here ({lock_owner(path)}).", "rung status") from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": now().isoformat()}))
        file.flush()
        yield
        file.truncate(0)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock on this file or folder; one that may not be opened counts as held."""
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


def lock_owner(path: Path) -> str:
    """Who holds or last held the lock, in words."""
    try:
        owner = json.loads(path.read_text())
        return f"process {owner['pid']} since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "owner unknown"
