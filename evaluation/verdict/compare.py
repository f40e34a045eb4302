"""Comparison of two arms on the same items: difference, interval, p-value, and smallest detectable gain; and, before
any run, the gains that n items detect, by the share on which two models disagree.

Every figure is about the mean over items (evaluation/verdict/intervals.py has the interval). Clusters change its
standard error, never the mean itself.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from evaluation.verdict.intervals import (
    ALONE,
    CONFIDENCE,
    TOLERANCE,
    Retraining,
    are_few,
    by_cluster,
    degrees_of,
    effective_number,
    estimate,
    half_width,
    normal_quantile,
    t_quantile,
)

POWER = 0.8
EXACT_FLIPS = 14
RANDOM_FLIPS = 20_000
MANY_FLIPS = 2000
FLIP_SEED = 13
MOST_UNITS = 1 << 30


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tuned model against one arm. Scores in 0..1, differences in -1..1; `difference` is the mean over the items.

    `better`, `worse` and `same` count items. `clusters`, `units` and `degrees` are those of the interval's estimate;
    `spread` is the standard deviation of the differences; with clusters, that of `units` independent items with the
    same standard error.
    """

    baseline: float
    tuned: float
    difference: float
    low: float
    high: float
    p_value: float
    better: int
    worse: int
    same: int
    clusters: int | None
    units: float
    spread: float
    degrees: float

    @property
    def figures(self) -> dict[str, Any]:
        """Return the figures that every report has of a comparison."""
        names = ("difference", "low", "high", "p_value", "better", "worse", "same")
        return {name: getattr(self, name) for name in names}


def compare(
    baseline: Sequence[float],
    tuned: Sequence[float],
    clusters: Sequence[str] | None = None,
    confidence: float = CONFIDENCE,
    again: Retraining = ALONE,
) -> Comparison:
    """Compare paired scores, item by item. `clusters` names each item's cluster; `again` adds the training variance."""
    differences = [t - b for b, t in zip(baseline, tuned, strict=True)]
    found = estimate(differences, clusters)
    low, high = found.interval(confidence, again)
    better = sum(d > TOLERANCE for d in differences)
    worse = sum(d < -TOLERANCE for d in differences)
    n = len(differences)
    p = p_value(differences if clusters is None else by_cluster(differences, clusters)[0])
    return Comparison(
        baseline=math.fsum(baseline) / n,
        tuned=math.fsum(tuned) / n,
        difference=found.mean,
        low=low,
        high=high,
        p_value=1.0 if clusters and (low, high) == (-1.0, 1.0) else p,  # what the interval leaves open, p does too
        better=better,
        worse=worse,
        same=n - better - worse,
        clusters=found.clusters,
        units=found.units,
        spread=found.spread,
        degrees=found.degrees,
    )


def p_value(differences: Sequence[float]) -> float:
    """Two-sided p of no difference: exact McNemar for 0/1 scores, else a sign-flip test.

    With clusters `differences` are the clusters' sums, and the sign of a whole cluster is flipped.
    The sign-flip test is exact up to 14 differences that are not 0, above that 20,000 flips drawn by a fixed seed, and
    from 2,000 on the normal distribution that the sum of so many flips has.
    """
    moved = [d for d in differences if abs(d) > TOLERANCE]
    if not moved:
        return 1.0
    if all(abs(abs(d) - 1) <= TOLERANCE for d in moved):  # twice the smaller binomial tail at one half
        from scipy.special import bdtr

        wins = sum(d > 0 for d in moved)
        return min(1.0, 2 * float(bdtr(min(wins, len(moved) - wins), len(moved), 0.5)))
    if len(moved) >= MANY_FLIPS:
        return math.erfc(abs(math.fsum(moved)) / math.sqrt(2 * math.fsum(d * d for d in moved)))
    return _flipped(moved)


def _flipped(moved: Sequence[float]) -> float:
    import numpy as np

    values, draw = np.asarray(moved), np.random.default_rng(FLIP_SEED)
    seen, extreme, left = abs(values.sum()) - TOLERANCE, 0, RANDOM_FLIPS
    if len(values) <= EXACT_FLIPS:
        every = np.array(list(product((1, -1), repeat=len(values))))
        return float((np.abs(every @ values) >= seen).mean())
    while left:
        size = min(left, max(1, 2_000_000 // len(values)))
        signs = draw.integers(0, 2, (size, len(values)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ values) >= seen).sum())
        left -= size
    return (extreme + 1) / (RANDOM_FLIPS + 1)


def minimum_detectable(
    units: float,
    spread: float,
    margin: float,
    *,
    degrees: float | None = None,
    discordant: float | None = None,
    confidence: float = CONFIDENCE,
    again: Retraining = ALONE,
) -> float | None:
    """Return the true gain that ships (low > margin) with 80% probability, by a normal approximation; None if no gain
    up to 1 does.

    With `discordant` (0/1 scores: the share of items on which both differ) the spread follows the gain: a gain of g
    needs at least g of the items to differ. Otherwise the observed spread is used. `again` holds several training
    runs, whose variance is added; a few runs estimate it badly, so the probability is that of the noncentral t.
    `units` and `degrees` are those of the interval: without clusters n, and n + 1.
    """
    freedom = units + 1 if degrees is None else degrees

    def ships(gain: float) -> bool:
        variance = max(discordant, gain) - gain**2 if discordant is not None else spread**2
        centre = units * gain / (units + 2)
        padded = (units * (variance + gain**2) + 2 - (units + 2) * centre**2) / (units + 1)
        of_items = max(padded, 0.0) / (units + 2)
        luck = normal_quantile(POWER) if not again.error else _luck(again.degrees(of_items, freedom), confidence)
        chance = luck * math.sqrt(units * max(variance, 0.0) / (units + 2) ** 2 + again.error)
        return centre - chance - half_width(of_items, freedom, confidence, again) > margin

    if not ships(1.0):
        return None
    low, high = margin, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if ships(middle) else (middle, high)
    return high


def _luck(degrees: float, confidence: float) -> float:
    """Return how many standard errors, beyond Student's quantile, a gain needs to be detected with 80% probability."""
    from scipy.special import nctdtrinc

    quantile = t_quantile(degrees, (1 + confidence) / 2)
    return float(nctdtrinc(degrees, 1 - POWER, quantile)) - quantile


def items_to_settle(
    result: Comparison, margin: float, confidence: float = CONFIDENCE, again: Retraining = ALONE
) -> int | None:
    """Estimate how many items, or clusters of the same sizes, would decide the verdict if the estimate is right.

    It is the smallest number whose interval excludes the margin, so it is enough with a probability of about one half.
    None if the estimate is within 1 point of the margin, or if the variance of `again` alone covers the margin.
    """
    mean, square = result.difference, result.spread**2 + result.difference**2
    if abs(mean - margin) < 0.01 - TOLERANCE:
        return None
    each = result.units / result.clusters if result.clusters is not None else 1.0
    freedom = (result.degrees - 1) / result.units

    def settles(count: int) -> bool:
        units = each * count
        centre = units * mean / (units + 2)
        variance = (units * square + 2 - (units + 2) * centre**2) / (units + 1)
        half = half_width(max(variance, 0.0) / (units + 2), 1 + freedom * units, confidence, again)
        return centre - half > margin or centre + half < margin

    count = 2 + bisect_left(range(2, MOST_UNITS + 1), True, key=settles)
    return count if count <= MOST_UNITS else None


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
