"""The rows of a project that a check goes through more than once, in a temporary file instead of the memory."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator, Sequence

from curation.example import Example
from curation.quality import Subject
from curation.spool import with_room
from curation.store.ids import number_of, row_id

BLOCK = 1 << 20
"""Bytes that wait to be written, and that are read at once."""


class RowSpool:
    """Rows by their index in the order in which they came: of each where it begins and its number are held."""

    def __init__(self) -> None:
        from curation.sets import temporary_file

        self._file = temporary_file()
        self._waiting = bytearray()
        self._starts, self._numbers = array("q", [0]), array("q")

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, subject: Subject, payload: str) -> None:
        """One more row, whose example is `payload` as JSON. Raises RungError where the temporary file has no room."""
        facts = (subject.file, subject.line, subject.role, subject.origin, subject.source, subject.reviewed)
        line = f"{json.dumps(facts)}\n{payload}\n".encode()
        self._waiting += line
        self._starts.append(self._starts[-1] + len(line))
        self._numbers.append(number_of(subject.id))
        if len(self._waiting) >= BLOCK:
            self._write()

    def __iter__(self) -> Iterator[Example]:
        """All rows, one after the other."""
        self._write()
        begin = 0
        while begin < len(self):
            end = begin + 1
            while end < len(self) and self._starts[end + 1] - self._starts[begin] <= BLOCK:
                end += 1
            lines = self._read(begin, end).split(b"\n")
            for place in range(1, len(lines), 2):
                yield Example.from_json(lines[place])
            begin = end

    def subjects(self, indices: Sequence[int]) -> list[Subject]:
        """The rows at these indices."""
        self._write()
        return [self._subject(index) for index in indices]

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """Their examples."""
        self._write()
        return [Example.from_json(self._read(index, index + 1).split(b"\n", 2)[1]) for index in indices]

    def names(self, indices: Sequence[int]) -> list[str]:
        """Their ids."""
        return [row_id(self._numbers[index]) for index in indices]

    def different(self, indices: Sequence[int]) -> int:
        """How many different rows these are."""
        return len({self._numbers[index] for index in indices})

    def _subject(self, index: int) -> Subject:
        facts, row, _ = self._read(index, index + 1).split(b"\n", 2)
        file, line, role, origin, source, reviewed = json.loads(facts)
        name = row_id(self._numbers[index])
        return Subject(Example.from_json(row), file, line, name, role, origin, source, reviewed)

    def _read(self, begin: int, end: int) -> bytes:
        start = self._starts[begin]
        return os.pread(self._file.fileno(), self._starts[end] - start, start)

    def _write(self) -> None:
        if self._waiting:
            with with_room("rows that are checked wait there", "Nothing was changed."):
                self._file.write(self._waiting)
                self._file.flush()
            self._waiting = bytearray()
