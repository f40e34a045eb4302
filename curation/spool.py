"""Rows on their way into the store, in a temporary file instead of the memory."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from curation.example import Example
from curation.formats import Reject, Row
from curation.store.records import NewRow
from workspace.errors import RungError

BLOCK = 1 << 20
"""Bytes that wait to be written."""
WAITING = "rows that are imported wait there"
STORED = "Nothing of this file was stored."


@contextlib.contextmanager
def with_room(what: str = WAITING, then: str = STORED) -> Iterator[None]:
    """Say where the rows wait, if they find no room there."""
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        raise RungError(
            f"{folder}: {what}, and it took no more ({error.strerror}). {then}",
            "make room, or name another folder in TMPDIR",
            where=folder,
        ) from error


class Spool:
    """The rows of several files, one after the other, each as the store will hold it."""

    def __init__(self) -> None:
        from curation.sets import temporary_file

        self.file = temporary_file()

    def begin(self) -> Spooled:
        """The rows of one more file; those of the one before are all there."""
        return Spooled(self)


class Spooled:
    """The rows of one file, to be passed over as often as one likes."""

    def __init__(self, spool: Spool) -> None:
        self._file = spool.file
        self._start = self._end = self._file.seek(0, 2)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Row) -> None:
        """One more row. Raises RungError where the temporary file has no room."""
        with with_room():
            self._end += self._file.write(f"{row.line}\t{row.example.to_json()}\n".encode())
        self._count += 1

    def __iter__(self) -> Iterator[NewRow]:
        """Every row with the line it stood in."""
        place = self._start
        while place < self._end:
            with with_room():  # what is still in the buffer is written first
                self._file.seek(place)
            lines = self._file.readlines(min(1 << 20, self._end - place) - 1)  # it stops above that, not at it
            place += sum(map(len, lines))
            for line in lines:
                number, _, row = line.partition(b"\t")
                yield NewRow(Example.from_json(row), int(number))


class Rejects(Sequence[Reject]):
    """Lines that could not be read, in a temporary file; of each the place is held."""

    def __init__(self) -> None:
        from curation.sets import temporary_file

        self._file = temporary_file()
        self._starts = array("q", [0])
        self._waiting = bytearray()

    def add(self, reject: Reject) -> None:
        """One more line. Raises RungError where the temporary file has no room."""
        facts = json.dumps((reject.file, reject.line, reject.field, reject.reason, reject.hint))
        self._waiting += facts.encode() + b"\n" + reject.raw
        self._starts.append(self._starts[-1] + len(facts) + 1 + len(reject.raw))
        if len(self._waiting) >= BLOCK:
            self._write()

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> Reject: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Reject, ...]: ...

    def __getitem__(self, index: int | slice) -> Reject | tuple[Reject, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        if not 0 <= index < len(self):
            raise IndexError(index)
        self._write()
        start, end = self._starts[index], self._starts[index + 1]
        facts, _, raw = os.pread(self._file.fileno(), end - start, start).partition(b"\n")
        file, line, field, reason, hint = json.loads(facts)
        return Reject(file, line, field, reason, raw, hint)

    def _write(self) -> None:
        if self._waiting:
            with with_room():
                self._file.write(self._waiting)
                self._file.flush()
            self._waiting = bytearray()


class SomeRejects(Sequence[Reject]):
    """Those from one place to another."""

    def __init__(self, rejects: Rejects, begin: int, end: int) -> None:
        self._rejects, self._places = rejects, range(begin, end)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Reject: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Reject, ...]: ...

    def __getitem__(self, index: int | slice) -> Reject | tuple[Reject, ...]:
        if isinstance(index, slice):
            return tuple(self._rejects[place] for place in self._places[index])
        return self._rejects[self._places[index]]
