"""Very many things that are not held: kept as bytes in a temporary file, or made again when they are asked for."""

from __future__ import annotations

import contextlib
import os
import tempfile
from abc import abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

from workspace.errors import RungError

T = TypeVar("T")
BLOCK = 1 << 20
"""Bytes that wait to be written, and that are read at once."""


@contextlib.contextmanager
def with_room(what: str, then: str) -> Iterator[None]:
    """Say where things wait, if they find no room there: `what` waits, and what comes `then`."""
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        raise RungError(
            f"{folder}: {what}, and it took no more ({error.strerror}). {then}",
            "make room, or name another folder in TMPDIR",
            where=folder,
        ) from error


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


class Part(Made[T]):
    """The things of another sequence from one place to another."""

    def __init__(self, whole: Sequence[T], begin: int, end: int) -> None:
        self._whole, self._places = whole, range(begin, end)

    def __len__(self) -> int:
        return len(self._places)

    def _at(self, index: int) -> T:
        return self._whole[self._places[index]]


class Pieces:
    """Pieces of bytes, one after the other in a temporary file; of each the place where it begins is held.

    `what` waits there and what is said `then` stand in the error where the file has no room.
    """

    def __init__(self, what: str, then: str) -> None:
        from curation.sets import temporary_file

        self._file, self._told = temporary_file(), (what, then)
        self._waiting = bytearray()
        self._starts = array("q", [0])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, piece: bytes) -> None:
        """One more piece. Raises RungError where the temporary file has no room."""
        self._waiting += piece
        self._starts.append(self._starts[-1] + len(piece))
        if len(self._waiting) >= BLOCK:
            self._write()

    def read(self, begin: int, end: int) -> bytes:
        """The pieces from one place to another, joined."""
        self._write()
        start = self._starts[begin]
        return os.pread(self._file.fileno(), self._starts[end] - start, start)

    def blocks(self) -> Iterator[bytes]:
        """All pieces, some whole ones at a time."""
        begin = 0
        while begin < len(self):
            end = begin + 1
            while end < len(self) and self._starts[end + 1] - self._starts[begin] <= BLOCK:
                end += 1
            yield self.read(begin, end)
            begin = end

    def _write(self) -> None:
        if self._waiting:
            with with_room(*self._told):
                self._file.write(self._waiting)
                self._file.flush()
            self._waiting = bytearray()
