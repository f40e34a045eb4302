"""All or nothing for a file that is written before the rest is sure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workspace.files import write_bytes


@contextmanager
def put_back(path: Path | None) -> Iterator[None]:
    """Where the block fails, the file `path` is again what it was before, or not there."""
    before = path.read_bytes() if path and path.is_file() else None
    try:
        yield
    except BaseException:
        if path and path.is_file():
            if before is None:
                path.unlink()
            elif path.read_bytes() != before:
                write_bytes(path, before)
        raise
