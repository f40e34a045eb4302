"""Report of the leakage check: leaks and suspects with their evidence, held in columns of some 40 bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from curation.likeness.sets import I64
from curation.rows.pieces import Made

Kind = Literal["exact", "near", "contained", "answer"]
STRENGTH: dict[str, int] = {"exact": 3, "near": 2, "contained": 1, "answer": 1}
SHOWN = 100
"""Leaks that the report lists for one test item; all are counted."""


@dataclass(frozen=True, slots=True)
class LeakEvidence:
    """`part` of the test item (question or answer) that is in message number `message` (from 0, -1: the whole
    question) of the train row, which is `role`'s; `shared` is the longest run of words that both have; `why` says
    for a suspect why it is not a leak. `run` is where the shared words are in the part.
    """

    part: Literal["question", "answer"]
    message: int
    role: str
    shared: str
    why: str = ""
    run: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def as_json(self) -> dict[str, object]:
        """As `--json` shows it."""
        out: dict[str, object] = {
            "part": self.part, "message": self.message, "role": self.role, "shared": self.shared,
        }  # fmt: skip
        return {**out, "why": self.why} if self.why else out


@dataclass(frozen=True, slots=True)
class Leak:
    """Test item `test` (index in input order) found in train row `train`. `score` is the share found, 0..1; `answer`
    whether both rows have the same answer.
    """

    test: int
    train: int
    kind: Kind
    answer: Literal["same", "different"]
    score: float
    evidence: LeakEvidence

    @property
    def rank(self) -> tuple[int, float, int]:
        """The stronger evidence sorts higher; of equals the earlier train row."""
        return STRENGTH[self.kind], self.score, -self.train


@dataclass(frozen=True, slots=True)
class LeakReport:
    """`leaks` by test item, the strongest first; `suspects` likewise. `train_rows` are all train rows that leak."""

    train: int
    test: int
    leaks: LeakList
    suspects: LeakList

    @property
    def leaked_test(self) -> int:
        """How many test items leak."""
        return len(self.leaked)

    @property
    def leaked(self) -> list[int]:
        """The test items that leak, in input order."""
        return self.leaks.items()

    @property
    def train_rows(self) -> list[int]:
        """Train rows that hold a leak, in input order."""
        return self.leaks.train_rows()

    def strongest(self) -> dict[int, Leak]:
        """The strongest leak of each leaked test item."""
        return {leak.test: leak for leak in map(self.leaks.__getitem__, self.leaks.firsts())}

    def shown(self) -> Iterator[Leak]:
        """The leaks of each test item, at most 100 each."""
        firsts = self.leaks.firsts()
        for begin, end in pairwise([*firsts, len(self.leaks)]):
            yield from map(self.leaks.__getitem__, range(begin, min(end, begin + SHOWN)))


KINDS: tuple[Kind, ...] = ("exact", "near", "contained", "answer")
ANSWERS: tuple[Literal["same", "different"], ...] = ("same", "different")
PARTS: tuple[Literal["question", "answer"], ...] = ("question", "answer")
Said = Callable[[int, str, int, int], str]
"""The words of a test item's part, from one place to another."""
CODES = "iiBBdBiIIIH"
"""Types of the columns: test, train, kind, answer, score, part, message, role, why, begin and end of the run."""


class LeakList(Made[Leak]):
    """As a tuple of leaks. What was found in both rows is kept as its place in the test item."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._columns = [array(code) for code in CODES]
        self._names: dict[str, int] = {}
        self._strings: list[str] = []

    def add(self, leaks: Iterable[Leak]) -> None:
        """More leaks, behind the others."""
        for leak in leaks:
            found = leak.evidence
            begin, end = found.run
            values: tuple[Any, ...] = (
                leak.test, leak.train, KINDS.index(leak.kind), ANSWERS.index(leak.answer), leak.score,
                PARTS.index(found.part), found.message, self._number(found.role), self._number(found.why),
                begin, end - begin,
            )  # fmt: skip
            for column, value in zip(self._columns, values, strict=True):
                column.append(value)

    def in_order(self, most: int | None = None) -> LeakList:
        """By test item, the strongest first; of one train row only the strongest. At `most` so many of each item."""
        test, train, kind, score = (self._column(place) for place in (0, 1, 2, 4))
        weak = -np.array([STRENGTH[name] for name in KINDS])[kind]
        order = np.lexsort((-score, weak, train, test))
        order = order[_is_first(test[order], train[order])]
        order = order[np.lexsort((train[order], -score[order], weak[order], test[order]))]
        if most is not None:
            starts = np.flatnonzero(_is_first(test[order]))
            sizes = np.diff(np.append(starts, len(order)))
            order = order[np.arange(len(order)) - np.repeat(starts, sizes) < most]
        out = LeakList(self._said)
        out._names, out._strings = self._names, self._strings
        for place, code in enumerate(CODES):
            out._columns[place] = array(code, self._column(place)[order].tobytes())
        return out

    def firsts(self) -> list[int]:
        """Where the leaks of each test item begin, of leaks in order."""
        return [int(place) for place in np.flatnonzero(_is_first(self._column(0)))]

    def items(self) -> list[int]:
        """The test items, each once, in input order."""
        return [int(item) for item in np.unique(self._column(0))]

    def train_rows(self) -> list[int]:
        """The train rows, each once, in input order."""
        return [int(row) for row in np.unique(self._column(1))]

    def __len__(self) -> int:
        return len(self._columns[0])

    def _at(self, index: int) -> Leak:
        test, train, kind, answer, score, part, message, role, why, begin, size = (c[index] for c in self._columns)
        run = (begin, begin + size)
        shared = self._said(test, PARTS[part], *run)
        found = LeakEvidence(PARTS[part], message, self._strings[role], shared, self._strings[why], run)
        return Leak(test, train, KINDS[kind], ANSWERS[answer], score, found)

    def _number(self, name: str) -> int:
        """The number of a string, of which there are few."""
        number = self._names.setdefault(name, len(self._strings))
        if number == len(self._strings):
            self._strings.append(name)
        return number

    def _column(self, place: int) -> Any:
        return np.frombuffer(self._columns[place], np.dtype(CODES[place])) if len(self) else np.zeros(0, np.int64)


def _is_first(*columns: I64) -> Any:
    """For each place whether it differs from the one before."""
    first = np.zeros(len(columns[0]), np.bool_)
    first[:1] = True
    for column in columns:
        first[1:] |= column[1:] != column[:-1]
    return first
