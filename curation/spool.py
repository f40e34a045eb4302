"""Rows on their way into the store, in a temporary file instead of the memory."""

from __future__ import annotations

import json
from collections.abc import Iterator

from curation.example import Example
from curation.formats import Reject, Row
from curation.pieces import BLOCK, Made, Pieces, with_room
from curation.store.records import NewRow

WAITING = "rows that are imported wait there"
STORED = "Nothing of this file was stored."


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
        with with_room(WAITING, STORED):
            self._end += self._file.write(f"{row.line}\t{row.example.to_json()}\n".encode())
        self._count += 1

    def __iter__(self) -> Iterator[NewRow]:
        """Every row with the line it stood in."""
        place = self._start
        while place < self._end:
            with with_room(WAITING, STORED):  # what is still in the buffer is written first
                self._file.seek(place)
            lines = self._file.readlines(min(BLOCK, self._end - place) - 1)  # it stops above that, not at it
            place += sum(map(len, lines))
            for line in lines:
                number, _, row = line.partition(b"\t")
                yield NewRow(Example.from_json(row), int(number))


class Rejects(Made[Reject]):
    """Lines that could not be read, in a temporary file; of each the place is held."""

    def __init__(self) -> None:
        self._lines = Pieces(WAITING, STORED)

    def add(self, reject: Reject) -> None:
        """One more line. Raises RungError where the temporary file has no room."""
        facts = json.dumps((reject.file, reject.line, reject.field, reject.reason, reject.hint))
        self._lines.add(facts.encode() + b"\n" + reject.raw)

    def __len__(self) -> int:
        return len(self._lines)

    def _at(self, index: int) -> Reject:
        facts, _, raw = self._lines.read(index, index + 1).partition(b"\n")
        file, line, field, reason, hint = json.loads(facts)
        return Reject(file, line, field, reason, raw, hint)
