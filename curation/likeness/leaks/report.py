"""Report of the leakage check: leaks and suspects with their evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter
from typing import Literal

Kind = Literal["exact", "near", "contained", "answer"]
Part = Literal["question", "answer"]
STRENGTH: dict[str, int] = {"exact": 3, "near": 2, "contained": 1, "answer": 1}
SHOWN = 100
"""Leaks that the report lists for one test item; all are counted."""


@dataclass(frozen=True, slots=True)
class LeakEvidence:
    """`part` of the test item (question or answer) that is in message number `message` (from 0, -1: the whole
    question) of the train row, which is `role`'s; `why` says for a suspect why it is not a leak. `said` gives the
    shared words when they are asked for.
    """

    part: Part
    message: int
    role: str
    why: str
    said: Callable[[], str] = field(compare=False, repr=False)

    @property
    def shared(self) -> str:
        """The longest run of words that both have."""
        return self.said()

    def as_json(self) -> dict[str, object]:
        """Return the report as in `--json`."""
        out: dict[str, object] = {
            "part": self.part, "message": self.message, "role": self.role, "shared": self.shared,
        }  # fmt: skip
        return {**out, "why": self.why} if self.why else out


@dataclass(frozen=True, slots=True)
class Leak:
    """Test item `test` (input order) in train row `train`: `score` is the share found, `answer`: same answer."""

    test: int
    train: int
    kind: Kind
    answer: Literal["same", "different"]
    score: float
    evidence: LeakEvidence

    @property
    def rank(self) -> tuple[int, float, int]:
        """Sorts the stronger evidence first; of equals the earlier train row."""
        return -STRENGTH[self.kind], -self.score, self.train


@dataclass(frozen=True, slots=True)
class LeakReport:
    """`leaks` by test item, the strongest first; `suspects` likewise. `train_rows` are all train rows that leak."""

    train: int
    test: int
    leaks: tuple[Leak, ...]
    suspects: tuple[Leak, ...]

    @property
    def leaked_test(self) -> int:
        """Return the number of test items that leak."""
        return len(self.leaked)

    @property
    def leaked(self) -> list[int]:
        """The test items that leak, in input order."""
        return sorted({leak.test for leak in self.leaks})

    @property
    def train_rows(self) -> list[int]:
        """Train rows that hold a leak, in input order."""
        return sorted({leak.train for leak in self.leaks})

    def strongest(self) -> dict[int, Leak]:
        """Return the strongest leak of each leaked test item."""
        return {leak.test: leak for leak in map(next, _by_item(self.leaks))}

    def shown(self) -> Iterator[Leak]:
        """Return the leaks of each test item, at most 100 each."""
        return (leak for mine in _by_item(self.leaks) for leak in islice(mine, SHOWN))


def in_order(leaks: Iterable[Leak], most: int | None = None) -> tuple[Leak, ...]:
    """Return leaks by test item, the strongest first, at most `most` each; of one train row only the strongest."""
    best: dict[tuple[int, int], Leak] = {}
    for leak in leaks:
        if leak.rank < best.setdefault((leak.test, leak.train), leak).rank:
            best[leak.test, leak.train] = leak
    found = sorted(best.values(), key=lambda leak: (leak.test, leak.rank))
    return tuple(leak for mine in _by_item(found) for leak in islice(mine, most))


def _by_item(leaks: Iterable[Leak]) -> Iterator[Iterator[Leak]]:
    """Return the leaks of each test item, of leaks in order."""
    return (mine for _, mine in groupby(leaks, key=attrgetter("test")))
