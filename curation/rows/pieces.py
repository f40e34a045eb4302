"""Very many things that are not held: kept as bytes in a temporary file, or made again when they are asked for."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from array import array
from collections.abc import Sequence
from typing import IO, TypeVar, overload

from workspace.errors import RungError

T = TypeVar("T")
BLOCK = 1 << 20
"""Bytes that wait to be written."""


class Made(Sequence[T]):
    """A sequence of which `_at` makes each thing when it is asked for."""

    @abstractmethod
    def _at(self, index: int) -> T:
        """The thing at an index from 0 to `len(self) - 1`."""

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            return tuple(self._at(place) for place in range(*index.indices(len(self))))
        return self._at(range(len(self))[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class Part(Made[T]):
    """The things of another sequence from one place to another."""

    def __init__(self, whole: Sequence[T], begin: int, end: int) -> None:
        self._whole, self._places = whole, range(begin, end)

    def __len__(self) -> int:
        return len(self._places)

    def _at(self, index: int) -> T:
        return self._whole[self._places[index]]


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
