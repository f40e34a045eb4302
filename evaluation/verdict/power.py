"""Statistical power before any run: the gains that n test items detect, by the share on which two models disagree."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.verdict.compare import minimum_detectable
from evaluation.verdict.intervals import CONFIDENCE, are_few, degrees_of, effective_number

DISAGREEMENTS = (0.1, 0.2, 0.3, 0.5)
"""Shares of items on which exactly one of two models is right, from similar to very different models."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Statistical power at one share of disagreement: gain that ships, and gain detected, each with 80% power."""

    disagreement: float
    ships: float | None
    told: float | None


@dataclass(frozen=True, slots=True)
class Power:
    """Statistical power of n items at a margin, for scores of 0 or 1.

    `groups` is the number of groups where items share one, `effective` the number of groups of equal size with the same
    precision. The table is then for that many items, as if all items of a group were right or wrong together: the
    less alike they are, the more is detected. The table is for one training run. The variance between `trainings`
    is unknown before they are measured, and lowers the power.
    """

    n: int
    margin: float
    seen: tuple[Seen, ...]
    confidence: float = CONFIDENCE
    groups: int | None = None
    effective: float | None = None
    trainings: int = 1

    @property
    def few(self) -> bool:
        """True if the groups are too few or too unequal for a verdict."""
        return are_few(self.groups, self.effective)


def power_of(
    n: int, margin: float, confidence: float = CONFIDENCE, groups: Sequence[str] | None = None, trainings: int = 1
) -> Power:
    """Return the table for n items; `groups` names each item's group if some share one. With too few nothing ships."""
    sizes = [float(size) for size in Counter(groups).values()] if groups is not None else [1.0] * n
    units = effective_number(sizes)
    degrees = degrees_of([*sizes, n / units, n / units], 1.0)
    count, effective = (None, None) if groups is None else (len(sizes), units)

    def least(over: float, discordant: float) -> float | None:
        if are_few(count, effective):
            return None
        return minimum_detectable(units, 0.0, over, degrees=degrees, discordant=discordant, confidence=confidence)

    seen = tuple(Seen(d, least(margin, d), least(0.0, d)) for d in DISAGREEMENTS)
    return Power(n, margin, seen, confidence, count, effective, trainings)
