"""Answering only where an arm is sure, and leaving the rest to a person: risk and coverage.

El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017. The threshold is chosen on validation; coverage and precision are
measured on the test items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from evaluation.verdict.intervals import TOLERANCE, score_interval

STEPS = 10
"""Points of the curve: coverage from 1/STEPS to 1."""


@dataclass(frozen=True, slots=True)
class SureAnswer:
    """An arm's answer to an item: how sure it is (0..1), and the answer's score (0..1)."""

    item: int
    sure: float
    score: float


class CoveragePoint(BaseModel):
    """The items that are answered from a threshold on: their share, their mean score and its 95% interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    threshold: float
    items: int
    coverage: float
    precision: float
    low: float
    high: float


class Abstention(BaseModel):
    """What an arm reaches on the test items where it answers only if it is sure.

    `wanted` is the precision that the threshold was chosen for, on `chosen_on` validation items; `point` is None where
    no threshold reached it there, or none of the test items is above it. `curve` needs no threshold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    wanted: float
    chosen_on: int
    point: CoveragePoint | None
    curve: list[CoveragePoint]

    def words(self) -> str:
        """`71% of items at 98.1% precision (95%: 96.0 to 99.2), the rest to a person`."""
        at = self.point
        if at is None:
            return f"no threshold reaches {self.wanted:.0%} precision, so every item goes to a person"
        rest = "the rest to a person" if at.coverage < 1 else "none to a person"
        bounds = f"(95%: {100 * at.low:.1f} to {100 * at.high:.1f})"
        return f"{at.coverage:.0%} of items at {at.precision:.1%} precision {bounds}, {rest}"


def abstention(
    held: Sequence[SureAnswer], test: Sequence[SureAnswer], wanted: float, groups: Mapping[int, str] | None = None
) -> Abstention | None:
    """The threshold from the validation answers `held`, and what it reaches on `test`; None without either.

    `groups` names the group of each test item where some share one: intervals are over groups then.
    """
    if not held or not test:
        return None
    at = threshold(held, wanted)
    ordered = sorted((answer.sure for answer in test), reverse=True)
    steps = dict.fromkeys(ordered[math.ceil(len(ordered) * step / STEPS) - 1] for step in range(1, STEPS + 1))
    curve = [_point(test, each, groups) for each in steps]
    point = None if at is None or at > ordered[0] else _point(test, at, groups)
    return Abstention(wanted=wanted, chosen_on=len(held), point=point, curve=curve)


def threshold(answers: Sequence[SureAnswer], wanted: float) -> float | None:
    """The lowest probability from which on the mean score is at least `wanted`; None where none is."""
    found, total = None, 0.0
    ordered = sorted(answers, key=lambda answer: -answer.sure)
    for count, answer in enumerate(ordered, 1):
        total += answer.score
        is_last = count == len(ordered) or ordered[count].sure < answer.sure
        if is_last and total / count >= wanted - TOLERANCE:
            found = answer.sure
    return found


def _point(test: Sequence[SureAnswer], at: float, groups: Mapping[int, str] | None) -> CoveragePoint:
    kept = [answer for answer in test if answer.sure >= at]
    scores = [answer.score for answer in kept]
    low, high = score_interval(scores, clusters=None if groups is None else [groups[a.item] for a in kept])
    share, mean = len(kept) / len(test), math.fsum(scores) / len(kept)
    return CoveragePoint(threshold=at, items=len(kept), coverage=share, precision=mean, low=low, high=high)
