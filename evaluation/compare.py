"""Two arms on the same items: the difference, its interval, its p-value, and the gain that could be seen.

Interval: Student's t over the n differences plus one +1 and one -1 (n + 1 degrees of freedom), cut to [-1, 1]. The two
added points are the paired form of Agresti and Coull's adjustment: without them a set of ties has width zero, and small
samples cover too little. benchmarks/verdict.py enumerates its coverage beside other methods'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

CONFIDENCE = 0.95
POWER = 0.8
TOLERANCE = 1e-9
EXACT_FLIPS = 14
RANDOM_FLIPS = 20_000
MANY_FLIPS = 2000
FLIP_SEED = 13
MOST_UNITS = 1 << 30


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tuned against one arm. All values in absolute score points, -1..1; `difference` is the mean over the items.

    `units` is what the interval counts: items, or clusters where they are given. `spread` is the standard deviation
    of the units' differences.
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
    units: int
    spread: float


def compare(
    baseline: Sequence[float],
    tuned: Sequence[float],
    clusters: Sequence[str] | None = None,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare paired scores, item by item; `clusters` names each item's cluster, whose items count together."""
    differences = [t - b for b, t in zip(baseline, tuned, strict=True)]
    units = cluster_means(differences, clusters) if clusters is not None else differences
    low, high = paired_interval(units, confidence)
    better = sum(d > TOLERANCE for d in differences)
    worse = sum(d < -TOLERANCE for d in differences)
    n = len(differences)
    return Comparison(
        baseline=math.fsum(baseline) / n,
        tuned=math.fsum(tuned) / n,
        difference=math.fsum(differences) / n,
        low=low,
        high=high,
        p_value=p_value(units),
        better=better,
        worse=worse,
        same=n - better - worse,
        units=len(units),
        spread=deviation(units, 0),
    )


def cluster_means(differences: Sequence[float], clusters: Sequence[str]) -> list[float]:
    """The mean difference of each cluster, in order of first appearance."""
    groups: dict[str, list[float]] = {}
    for name, difference in zip(clusters, differences, strict=True):
        groups.setdefault(name, []).append(difference)
    return [math.fsum(group) / len(group) for group in groups.values()]


def paired_interval(differences: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided interval of the module's docstring, for the mean of `differences` (each in -1..1)."""
    padded = [*differences, 1.0, -1.0]
    centre = math.fsum(padded) / len(padded)
    half = t_quantile(len(padded) - 1, (1 + confidence) / 2) * deviation(padded) / math.sqrt(len(padded))
    return max(-1.0, centre - half), min(1.0, centre + half)


def deviation(values: Sequence[float], lost: int = 1) -> float:
    """Standard deviation; `lost` degrees of freedom are taken off (1: of a sample)."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / max(1, len(values) - lost))


@dataclass(frozen=True, slots=True)
class Retraining:
    """Trainings that differ in their seed: how many, and the standard deviation of their mean differences."""

    trainings: int = 1
    spread: float = 0.0

    @property
    def error(self) -> float:
        """Variance of the mean over the trainings."""
        return self.spread**2 / self.trainings

    def degrees(self, of_items: float, degrees: float) -> float:
        """Degrees of freedom of both errors together (Satterthwaite 1946); `degrees` are those of the items' one."""
        if not self.error:
            return degrees
        below = of_items**2 / degrees + self.error**2 / max(1, self.trainings - 1)
        return (of_items + self.error) ** 2 / below


ALONE = Retraining()


def over_trainings(differences: Sequence[Sequence[float]], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval over items and trainings: `differences[k][i]` of training k on item i.

    Both errors are added: that of the items (the padded one, over the means of the trainings) and that of k trainings'
    means; degrees of freedom by Satterthwaite (1946). Few trainings know little of each other: with 3 that scatter
    widely the interval is wide.
    """
    k = len(differences)
    means = [math.fsum(each) / k for each in zip(*differences, strict=True)]
    padded = [*means, 1.0, -1.0]
    centre = math.fsum(padded) / len(padded)
    of_items = deviation(padded) ** 2 / len(padded)
    half = _half(of_items, len(padded) - 1, confidence, retraining_of(differences))
    return max(-1.0, centre - half), min(1.0, centre + half)


def retraining_of(differences: Sequence[Sequence[float]]) -> Retraining:
    """How far the trainings' means lie apart (`differences[k][i]` of training k on item i)."""
    return Retraining(len(differences), deviation([math.fsum(one) / len(one) for one in differences]))


def _half(of_items: float, degrees: float, confidence: float, again: Retraining) -> float:
    """Half the interval's width, from the variance of the items' mean and the error of the trainings' one."""
    quantile = t_quantile(again.degrees(of_items, degrees), (1 + confidence) / 2)
    return quantile * math.sqrt(of_items + again.error)


def t_quantile(degrees: float, share: float) -> float:
    """Quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def p_value(differences: Sequence[float]) -> float:
    """Two-sided p of no difference: exact McNemar for 0/1 scores, else a sign-flip test.

    The sign-flip test is exact up to 14 differences that are not 0, above that 20,000 flips drawn by a fixed seed, and
    from 2,000 on the normal distribution that the sum of so many flips has.
    """
    moved = [d for d in differences if abs(d) > TOLERANCE]
    if not moved:
        return 1.0
    if all(abs(abs(d) - 1) <= TOLERANCE for d in moved):
        return mcnemar(sum(d > 0 for d in moved), len(moved))
    if len(moved) <= EXACT_FLIPS:
        return _flip_exact(moved)
    return _flip_random(moved) if len(moved) < MANY_FLIPS else _flip_normal(moved)


def mcnemar(wins: int, discordant: int) -> float:
    """Exact two-sided McNemar: twice the smaller binomial tail at one half, at most 1."""
    tail = sum(math.comb(discordant, k) for k in range(min(wins, discordant - wins) + 1))
    return min(1.0, float(2 * tail / 2**discordant)) if discordant < 1000 else _mcnemar_large(wins, discordant)


def _mcnemar_large(wins: int, discordant: int) -> float:
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(wins, discordant - wins), discordant, 0.5)))


def _flip_exact(moved: Sequence[float]) -> float:
    seen = abs(math.fsum(moved)) - TOLERANCE
    sums = [abs(sum(s * d for s, d in zip(signs, moved, strict=True))) for signs in product((1, -1), repeat=len(moved))]
    return sum(total >= seen for total in sums) / len(sums)


def _flip_random(moved: Sequence[float]) -> float:
    import numpy as np

    values, draw = np.asarray(moved), np.random.default_rng(FLIP_SEED)
    seen, extreme, left = abs(values.sum()) - TOLERANCE, 0, RANDOM_FLIPS
    while left:
        size = min(left, max(1, 2_000_000 // len(values)))
        signs = draw.integers(0, 2, (size, len(values)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ values) >= seen).sum())
        left -= size
    return (extreme + 1) / (RANDOM_FLIPS + 1)


def _flip_normal(moved: Sequence[float]) -> float:
    z = abs(math.fsum(moved)) / math.sqrt(math.fsum(d * d for d in moved))
    return math.erfc(z / math.sqrt(2))


def minimum_detectable(
    units: int,
    spread: float,
    margin: float,
    *,
    discordant: float | None = None,
    confidence: float = CONFIDENCE,
    again: Retraining = ALONE,
) -> float | None:
    """The true gain for which low > margin with 80% chance (normal approximation); None where no gain up to 1 does.

    With `discordant` (0/1 scores: the share of items on which both differ) the spread follows the gain: a gain of g
    needs at least g of the items to differ. Otherwise the spread stays as it was seen. `again` holds several trainings,
    whose scatter counts too; of few it is badly known, so the chance is that of the noncentral t.
    """

    def ships(gain: float) -> bool:
        variance = max(discordant, gain) - gain**2 if discordant is not None else spread**2
        centre = units * gain / (units + 2)
        padded = (units * (variance + gain**2) + 2 - (units + 2) * centre**2) / (units + 1)
        of_items = max(padded, 0.0) / (units + 2)
        luck = z_power() if not again.error else _luck(again.degrees(of_items, units + 1), confidence)
        chance = luck * math.sqrt(units * max(variance, 0.0) / (units + 2) ** 2 + again.error)
        return centre - chance - _half(of_items, units + 1, confidence, again) > margin

    if not ships(1.0):
        return None
    low, high = margin, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if ships(middle) else (middle, high)
    return high


def _luck(degrees: float, confidence: float) -> float:
    """By how many standard errors more than Student's quantile a gain must lie off, to be seen with 80% chance."""
    from scipy.special import nctdtrinc

    quantile = t_quantile(degrees, (1 + confidence) / 2)
    return float(nctdtrinc(degrees, 1 - POWER, quantile)) - quantile


def z_power() -> float:
    """The normal quantile of the wanted power, 80%."""
    return normal_quantile(POWER)


def normal_quantile(share: float) -> float:
    """Quantile of the standard normal."""
    from scipy.special import ndtri

    return float(ndtri(share))


def items_to_settle(
    result: Comparison, margin: float, confidence: float = CONFIDENCE, again: Retraining = ALONE
) -> int | None:
    """About how many units would settle it, were the estimate right; None where it lies within 1 point of the margin,
    or where the trainings of `again` scatter so far that no number of items would.

    The smallest number with which the interval just excludes the margin, which is a chance of about one half.
    """
    mean, square = result.difference, result.spread**2 + result.difference**2
    if abs(mean - margin) < 0.01 - TOLERANCE:
        return None

    def settles(units: int) -> bool:
        centre = units * mean / (units + 2)
        variance = (units * square + 2 - (units + 2) * centre**2) / (units + 1)
        half = _half(max(variance, 0.0) / (units + 2), units + 1, confidence, again)
        return centre - half > margin or centre + half < margin

    low, high = 1, 2
    while not settles(high):
        low, high = high, 2 * high
        if high > MOST_UNITS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return high
