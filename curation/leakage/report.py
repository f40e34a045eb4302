"""What the leakage check found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from curation.leakage.leaks import LeakList

Kind = Literal["exact", "near", "contained", "answer"]
STRENGTH: dict[str, int] = {"exact": 3, "near": 2, "contained": 1, "answer": 1}
SHOWN = 100
"""Leaks that the report lists for one test item; all are counted."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """`part` of the test item (question or answer) that stands in message number `message` (from 0, -1: the whole
    question) of the train row, which is `role`'s; `shared` is the longest run of words that both have; `why` says
    for a suspect why it is not a leak. `run` is where the shared words stand in the part.
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
    evidence: Evidence

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
        return len(self.leaks.firsts())

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
        for begin, end in zip(firsts, [*firsts[1:], len(self.leaks)], strict=True):
            yield from map(self.leaks.__getitem__, range(begin, min(end, begin + SHOWN)))
