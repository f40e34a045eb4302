"""Rows under check: a sample of them that is held, and all of them by their place."""

from __future__ import annotations

import heapq
import random
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from curation.checks.base import EVIDENCE_KEPT, Subject
from curation.rows.rowfile import Chosen
from curation.store import StoredRow, StoredRows, number_of, row_id
from curation.store.reading import by_numbers
from curation.store.records import LEARNT


def role_of(path: Path) -> str:
    """`test`, `validation` or `train`, as a file's name says; `pool` where it says nothing."""
    name = path.name.lower()
    for word, role in (("test", "test"), ("valid", "validation"), ("dev", "validation"), ("train", "train")):
        if word in name:
            return role
    return "pool"


class FileRows(Chosen):
    """Rows of files, none of which is held."""

    def subjects(self, indices: Sequence[int]) -> list[Subject]:
        """Return the rows at these indices."""
        found = zip(self.fetch(indices), map(self.where, indices), strict=True)
        return [Subject(example, file, line, role=role_of(Path(file))) for example, (file, line) in found]

    def names(self, indices: Sequence[int]) -> list[str]:
        """Rows of files have no ids."""
        return [""] * len(indices)


class ProjectRows(StoredRows):
    """Rows of a project."""

    def subjects(self, indices: Sequence[int]) -> list[Subject]:
        """Return the rows at these indices."""
        names = self.names(indices)
        found = {row.id: stored_subject(row) for row in by_numbers(self.connection, list(map(number_of, names)))}
        return [found[name] for name in names]

    def names(self, indices: Sequence[int]) -> list[str]:
        """Return their ids."""
        return [row_id(self.numbers[index]) for index in indices]


SAMPLE = 20_000
"""Rows that are held for the statistical checks; of more rows a sample drawn by seed."""
SAMPLE_BYTES = 64 << 20
"""Bytes of rows, as they lie in their file, that are held: of longer rows the sample is smaller."""
FEWEST_HELD = 1_000


class Sampler:
    """A sample drawn by seed, in input order: the rows with the highest random numbers, which are at most SAMPLE, and
    of more than FEWEST_HELD at most SAMPLE_BYTES; all rows where there are fewer.
    """

    def __init__(self, seed: int) -> None:
        self.seen = 0
        self.held: list[tuple[float, int, int, Subject]] = []
        self._random, self._bytes, self._lowest = random.Random(seed), 0, 0.0

    def add(self, subject: Subject, size: int = 0) -> None:
        """Add a row of `size` bytes."""
        self.seen += 1
        if (number := self._random.random()) < self._lowest:
            return
        heapq.heappush(self.held, (number, self.seen, size, subject))
        self._bytes += size
        while len(self.held) > SAMPLE or (self._bytes > SAMPLE_BYTES and len(self.held) > FEWEST_HELD):
            self._lowest, _, dropped, _ = heapq.heappop(self.held)
            self._bytes -= dropped

    @property
    def sampled(self) -> int | None:
        """Return the number of rows held, if these are not all."""
        return len(self.held) if len(self.held) < self.seen else None

    def rows(self) -> list[Subject]:
        """Return the sample."""
        return [subject for *_, subject in sorted(self.held, key=lambda each: each[1])]


DUPLICATE_REASONS = {"exact duplicate": "exact", "near duplicate": "near"}


class Sides:
    """The rows of a project by what they are for, none of them held; those of a frozen test set are no longer learnt
    from. `reviewed` says of each row that is learnt from whether a person reviewed it; `imported` is how many were
    imported, `waiting` the numbers of those that wait in review.
    """

    def __init__(self, connection: Connection, tested_before: frozenset[str]) -> None:
        self.learnt, self.validated, self.tested = (ProjectRows(connection, array("q")) for _ in range(3))
        self._tested_before, self.reviewed = tested_before, bytearray()
        self.imported, self.waiting = 0, array("q")

    def add(self, row: StoredRow) -> None:
        """Add a row."""
        self.imported += row.origin == "import"
        if row.queued and not row.is_reviewed:
            self.waiting.append(number_of(row.id))
        if row.role == "test" or row.id in self._tested_before:
            self.tested.numbers.append(number_of(row.id))
        elif row.role == "validation":
            self.validated.numbers.append(number_of(row.id))
        elif row.role in LEARNT:
            self.learnt.numbers.append(number_of(row.id))
            self.reviewed.append(row.is_kept_by_person)

    @property
    def known(self) -> ProjectRows:
        """The rows to learn from, then those of validation."""
        return ProjectRows(self.learnt.connection, self.learnt.numbers + self.validated.numbers)

    @property
    def measured(self) -> ProjectRows:
        """The rows of validation, then those of test."""
        return ProjectRows(self.learnt.connection, self.validated.numbers + self.tested.numbers)


@dataclass(slots=True)
class GoneRows:
    """The rows that were taken out: duplicates counted by kind, by the row that was kept, and the first of them."""

    kinds: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    first: list[StoredRow] = field(default_factory=list)

    def add(self, row: StoredRow) -> None:
        """Add a row."""
        if not (kind := DUPLICATE_REASONS.get(row.excluded or "")):
            return
        self.kinds[kind] += 1
        self.kept[kept_for(row)] += 1
        if len(self.first) < EVIDENCE_KEPT:
            self.first.append(row)


def kept_for(row: StoredRow) -> str:
    """Return the id of the row that was kept for a duplicate; empty if its evidence names none."""
    return str(row.evidence.get("kept") or "")


def stored_subject(row: StoredRow) -> Subject:
    """Return a stored row as the checks see it."""
    file = row.source.rpartition(":")[0] if row.line else row.source
    maker = f"{row.meta.get('strategy') or 'generated'} by {row.meta.get('model') or 'a model'}"
    source = maker if row.origin == "generated" else file
    return Subject(row.example, file, row.line or 0, row.id, row.role, row.origin, source, row.is_reviewed)
