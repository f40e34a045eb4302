"""Very many pieces of bytes that are not held: they are kept in a temporary file."""

from __future__ import annotations

import os
import tempfile
from array import array
from typing import IO

from workspace.errors import RungError

BLOCK = 1 << 20
"""Bytes that wait to be written."""


class Pieces:
    """Pieces of bytes, one after the other in a temporary file; of each the place where it begins is held."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._waiting = bytearray()
        self._starts = array("q", [0])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, piece: bytes) -> int:
        """Add a piece; return its number. Raises RungError where the temporary file has no room."""
        self._waiting += piece
        self._starts.append(self._starts[-1] + len(piece))
        if len(self._waiting) >= BLOCK:
            self._write()
        return len(self) - 1

    def read(self, number: int) -> bytes:
        """The piece of that number."""
        file, start = self._write(), self._starts[number]
        return os.pread(file.fileno(), self._starts[number + 1] - start, start)

    def _write(self) -> IO[bytes]:
        """Write what waits, and return the file."""
        try:
            self._file = self._file or tempfile.TemporaryFile(prefix="rung-")  # noqa: SIM115
            if self._waiting:
                self._file.write(self._waiting)
                self._file.flush()
        except OSError as error:
            folder = tempfile.gettempdir()
            raise RungError(
                f"{folder}: rows that are read wait there, and it took no more ({error.strerror}). Nothing was stored.",
                "make room, or name another folder in TMPDIR",
                where=folder,
            ) from error
        self._waiting.clear()
        return self._file
