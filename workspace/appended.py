"""A file of JSON lines that is only ever appended to. Half a line at its end, which a killed program or a full disk
left, was never said: it is passed over, and the next line takes its place.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from workspace.errors import InputError, Problem

T = TypeVar("T")
BLOCK = 1 << 20


def append_lines(path: Path, rows: Iterable[Mapping[str, Any]], *, sync: bool = True) -> None:
    """Add the rows, flushed to disk, one program at a time. Without `sync` a power cut may lose them."""
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    with path.open("ab+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.ftruncate(file.fileno(), _whole(file.fileno()))
        while data:
            data = data[file.write(data) :]
        if sync:
            os.fsync(file.fileno())


def read_lines(path: Path, made: Callable[[Mapping[str, Any]], T], what: str) -> list[T]:
    """Return the value of `made` for each complete line. Raises InputError with every line that is no `what`."""
    found, problems = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1] if path.is_file() else (), 1):
        try:
            found.append(made(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            problems.append(Problem(f"is no {what}: the file was damaged.", f"{path.name} line {number}"))
    if problems:
        raise InputError(problems, f"take the line out of {path}; what it held is asked for again")
    return found


def is_cut(path: Path) -> bool:
    """True if half a line is at the end: it is being written, or was cut."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _whole(file.fileno()) < os.fstat(file.fileno()).st_size


def _whole(descriptor: int) -> int:
    """Return bytes up to the last line break."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - BLOCK)
        if (place := os.pread(descriptor, end - start, start).rfind(b"\n")) >= 0:
            return start + place + 1
        end = start
    return 0
