"""Answering only where an arm is sure, and leaving the rest to a person: risk and coverage.

El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017. The threshold is chosen on validation; coverage and precision are
measured on the test items.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from evaluation.verdict.intervals import TOLERANCE, score_interval
from workspace.artefact import ArtefactPart
from workspace.counted import interval, money, percent
from workspace.files import write_text

SURE = "sure.jsonl"
"""File of an evaluation with each arm's answers and probabilities, so that a threshold can be chosen again."""
STEPS = 10
"""Points of the curve: coverage from 1/STEPS to 1."""


@dataclass(frozen=True, slots=True)
class SureAnswer:
    """An arm's answer to an item: how sure it is (0..1), and the answer's score (0..1)."""

    item: int
    sure: float
    score: float


@dataclass(frozen=True, slots=True)
class SureSplits:
    """An arm's answers to the validation items and to the test items; none if it gives no probabilities."""

    held: Sequence[SureAnswer] = ()
    test: Sequence[SureAnswer] = ()


class CoveragePoint(ArtefactPart):
    """The items that are answered from a threshold on: their share, their mean score and its 95% interval."""

    threshold: float
    items: int
    coverage: float
    precision: float
    low: float
    high: float


class Abstention(ArtefactPart):
    """Result of an arm on the test items if it answers only when sure.

    `wanted` is the precision that the threshold was chosen for, on `chosen_on` validation items; `point` is None if
    no threshold reached it there, or none of the test items is above it. `curve` needs no threshold. `usd_per_item` is
    what an item costs on average, the people at `person_usd` each counted; None if a price is not known.
    """

    wanted: float
    chosen_on: int
    point: CoveragePoint | None
    curve: list[CoveragePoint]
    person_usd: float | None = None
    usd_per_item: float | None = None

    def words(self) -> str:
        """`71% of items at 98.1% precision (95%: 96.0 to 99.2); a person answers the rest, $0.290 an item in all`."""
        at = self.point
        if at is None:
            return f"no threshold reaches {self.wanted:.0%} precision: a person answers every item{self._price()}"
        rest = f"a person answers the rest{self._price()}" if at.coverage < 1 else "a person answers none"
        missed = f", wanted: {self.wanted:.0%}" if at.precision < self.wanted - 1e-9 else ""
        precise = f"{percent(at.precision)} precision {interval(at.low, at.high, 0.95)}"
        return f"{at.coverage:.0%} of items at {precise}{missed}; {rest}"

    def _price(self) -> str:
        if self.person_usd is None:
            return ", at a cost not counted here ([evaluation] person_usd)"
        if self.usd_per_item is None:
            return "; the price of a call is not known"
        return f", {money(self.usd_per_item, 3)} an item in all"


def abstention(
    held: Sequence[SureAnswer],
    test: Sequence[SureAnswer],
    wanted: float,
    groups: Mapping[int, str] | None = None,
    own_usd: float | None = 0.0,
    person_usd: float | None = None,
) -> Abstention | None:
    """Return the threshold from the validation answers `held`, and what it reaches on `test`; None without either.

    `groups` names the group of each test item where some share one: intervals are over groups then. `own_usd` is what
    the arm costs an item, `person_usd` what a person does.
    """
    if not held or not test:
        return None
    at = threshold(held, wanted)
    ordered = sorted((answer.sure for answer in test), reverse=True)
    steps = dict.fromkeys(ordered[math.ceil(len(ordered) * step / STEPS) - 1] for step in range(1, STEPS + 1))
    point = None if at is None or at > ordered[0] else _point(test, at, groups)
    usd = None
    if person_usd is not None and point is None:
        usd = person_usd
    elif person_usd is not None and point is not None and own_usd is not None:
        usd = own_usd + (1 - point.coverage) * person_usd
    return Abstention(
        wanted=wanted,
        chosen_on=len(held),
        point=point,
        curve=[_point(test, each, groups) for each in steps],
        person_usd=person_usd,
        usd_per_item=usd,
    )


def write_sure(path: Path, found: Mapping[str, SureSplits]) -> list[Path]:
    """Keep each arm's answers, a line an arm: item, probability and score of each. No file without arms."""
    lines = [
        json.dumps({"arm": arm, "held": list(map(astuple, each.held)), "test": list(map(astuple, each.test))})
        for arm, each in found.items()
    ]
    if lines:
        write_text(path, "".join(f"{line}\n" for line in lines))
    return [path] if lines else []


def read_sure(path: Path, arm: str) -> SureSplits:
    """Return an arm's answers; none where they were not kept."""
    for line in map(json.loads, path.read_text().splitlines()):
        if line["arm"] == arm:
            return SureSplits(*([SureAnswer(*each) for each in line[split]] for split in ("held", "test")))
    return SureSplits()


def threshold(answers: Sequence[SureAnswer], wanted: float) -> float | None:
    """Return the lowest probability from which on the mean score is at least `wanted`; None if none is."""
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
