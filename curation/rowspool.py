"""The rows of a project that a check goes through more than once, in a temporary file instead of the memory."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence

from curation.example import Example
from curation.pieces import Pieces
from curation.quality import Subject
from curation.store.ids import number_of, row_id


class RowSpool:
    """Rows by their index in the order in which they came: of each where it begins and its number are held."""

    def __init__(self) -> None:
        self._lines = Pieces("rows that are checked wait there", "Nothing was changed.")
        self._numbers = array("q")

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, subject: Subject, payload: str) -> None:
        """One more row, whose example is `payload` as JSON. Raises RungError where the temporary file has no room."""
        facts = (subject.file, subject.line, subject.role, subject.origin, subject.source, subject.reviewed)
        self._lines.add(f"{json.dumps(facts)}\n{payload}\n".encode())
        self._numbers.append(number_of(subject.id))

    def __iter__(self) -> Iterator[Example]:
        """All rows, one after the other."""
        for block in self._lines.blocks():
            lines = block.split(b"\n")
            for place in range(1, len(lines), 2):
                yield Example.from_json(lines[place])

    def subjects(self, indices: Sequence[int]) -> list[Subject]:
        """The rows at these indices."""
        return [self._subject(index) for index in indices]

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """Their examples."""
        return [Example.from_json(self._parts(index)[1]) for index in indices]

    def names(self, indices: Sequence[int]) -> list[str]:
        """Their ids."""
        return [row_id(self._numbers[index]) for index in indices]

    def different(self, indices: Sequence[int]) -> int:
        """How many different rows these are."""
        return len({self._numbers[index] for index in indices})

    def _subject(self, index: int) -> Subject:
        facts, row = self._parts(index)
        file, line, role, origin, source, reviewed = json.loads(facts)
        name = row_id(self._numbers[index])
        return Subject(Example.from_json(row), file, line, name, role, origin, source, reviewed)

    def _parts(self, index: int) -> tuple[bytes, bytes]:
        facts, row, _ = self._lines.read(index, index + 1).split(b"\n", 2)
        return facts, row
