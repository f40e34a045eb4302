"""Mean over items with its confidence interval: for scores, differences, labels and votes, single items and clusters.

Interval: Student's t over the n values plus two pseudo-items at the ends of the scale (-1 and +1 for differences; n + 1
degrees of freedom), cut to the scale. The two are the paired form of Agresti and Coull's adjustment. Without them the
interval of ties alone has width zero, and intervals of small samples cover the truth too rarely.

Items of one cluster (such as questions on one document) are not independent. The quantity is still the mean over items,
so its error is that of a ratio: sum of the clusters' sums over sum of their sizes. Its variance is the jackknife that
leaves one cluster out (Cochran 1977, 6.17). The pseudo-items become two pseudo-clusters of the size-weighted mean size,
so that they weigh as much among clusters as two items do among items. Degrees of freedom are Bell and McCaffrey's
(2002), with the items' own correlation inside clusters (Imbens and Kolesar 2016): fewer if few clusters carry the
weight. With one item a cluster this equals the formula above. benchmarks/verdict.py measures how often the interval
covers the truth.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

CONFIDENCE = 0.95
TOLERANCE = 1e-9
FEWEST_CLUSTERS = 10
"""With fewer clusters, by number or by effective number, nothing is decided."""


@dataclass(frozen=True, slots=True)
class Retraining:
    """Training runs that differ only in their seed: their number, and the standard deviation of their mean scores."""

    trainings: int = 1
    spread: float = 0.0

    @property
    def error(self) -> float:
        """Return the variance of the mean over the training runs."""
        return self.spread**2 / self.trainings

    def degrees(self, of_items: float, degrees: float) -> float:
        """Return the degrees of freedom of both errors together (Satterthwaite 1946); `degrees`: the items'."""
        if not self.error:
            return degrees
        below = of_items**2 / degrees + self.error**2 / max(1, self.trainings - 1)
        return (of_items + self.error) ** 2 / below


ALONE = Retraining()


def retraining_of(scores: Sequence[Sequence[float]]) -> Retraining:
    """Return the spread between training runs, from `scores[k][i]` of training k on item i."""
    return Retraining(len(scores), stdev(map(fmean, scores))) if scores else ALONE


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """Mean over items, with the Student's t of its interval: `centre`, `variance` and `degrees` of freedom.

    `clusters` is their number, None if items are independent. `units` is the number of items, or the clusters'
    effective number `(sum of sizes)^2 / sum of squared sizes`. `ends` is the scale's lowest and highest value.
    """

    mean: float
    centre: float
    variance: float
    degrees: float
    units: float
    clusters: int | None
    ends: tuple[float, float]

    def interval(self, confidence: float = CONFIDENCE, again: Retraining = ALONE) -> tuple[float, float]:
        """Return the two-sided interval; `again` adds the error of several training runs to that of the items.

        With few runs the interval is wide: three say little about the spread between runs.
        """
        half = half_width(self.variance, self.degrees, confidence, again)
        return max(self.ends[0], self.centre - half), min(self.ends[1], self.centre + half)

    @property
    def spread(self) -> float:
        """Return the standard deviation at which `units` independent differences have the same variance."""
        n = self.units
        square = ((n + 2) * (n + 1) * self.variance - 2 + (n + 2) * self.centre**2) / n
        return math.sqrt(max(0.0, square - self.mean**2))


def estimate(
    values: Sequence[float], clusters: Sequence[str] | None = None, ends: tuple[float, float] = (-1.0, 1.0)
) -> MeanEstimate:
    """Estimate the mean of `values`, one per item, each within `ends`; `clusters` names each item's cluster."""
    names = range(len(values)) if clusters is None else clusters
    sums, sizes = by_cluster(values, names)
    total, units = len(values), effective_number(sizes)
    mean = math.fsum(values) / total
    size = total / units
    sums, sizes = [*sums, *(size * end for end in ends)], [*sizes, size, size]
    weight = math.fsum(sizes)
    centre = math.fsum(sums) / weight
    left_out = [(s - n * centre) / (weight - n) for s, n in zip(sums, sizes, strict=True)]
    return MeanEstimate(
        mean=mean,
        centre=centre,
        variance=(len(sizes) - 1) / len(sizes) * math.fsum(gap**2 for gap in left_out),
        degrees=degrees_of(sizes, _alike(values, names)),
        units=units,
        clusters=None if clusters is None else len(sizes) - 2,
        ends=ends,
    )


def by_cluster(values: Iterable[float], names: Iterable[object]) -> tuple[list[float], list[float]]:
    """Return the sum and size of each cluster, in order of first appearance."""
    groups: dict[object, list[float]] = {}
    for name, value in zip(names, values, strict=True):
        groups.setdefault(name, []).append(value)
    return [math.fsum(group) for group in groups.values()], [float(len(group)) for group in groups.values()]


def effective_number(sizes: Sequence[float]) -> float:
    """Return the number of equal clusters as precise (Kish 1965): `(sum of sizes)^2 / sum of squared sizes`."""
    return math.fsum(sizes) ** 2 / math.fsum(size**2 for size in sizes)


def are_few(clusters: int | None, effective: float | None) -> bool:
    """True if clusters are too few, or too unequal, for a decision; never for independent items."""
    if clusters is None:
        return False
    return min(clusters, clusters if effective is None else effective) < FEWEST_CLUSTERS - TOLERANCE


def degrees_of(sizes: Sequence[float], alike: float) -> float:
    """Return the degrees of freedom of the jackknife variance over clusters of these sizes (Bell and McCaffrey 2002).

    They match its first two moments if a cluster's sum has the variance n(1 + (n - 1) `alike`): `alike` is 0 for
    independent items and 1 if those of a cluster are always right or wrong together. Clusters of equal size give one
    degree less than their number, for any `alike`.
    """
    if max(sizes) - min(sizes) < TOLERANCE:
        return len(sizes) - 1.0
    total = math.fsum(sizes)
    shares = [n / total for n in sizes]
    variances = [n * (1 + (n - 1) * alike) for n in sizes]
    factors = [1 / (1 - w) ** 2 for w in shares]
    rows = list(zip(factors, shares, variances, strict=True))
    whole = math.fsum(variances)
    ww = math.fsum(b * w * w for b, w, _ in rows)
    wv = math.fsum(b * w * v for b, w, v in rows)
    vv = math.fsum(b * v * v for b, _, v in rows)
    first = math.fsum(b * (v - 2 * w * v + w * w * whole) for b, w, v in rows)
    own = math.fsum(b * b * v * (v - 2 * (2 * w * v - w * w * whole)) for b, w, v in rows)
    return first**2 / (own + 2 * ww * vv + 2 * wv**2 + (whole * ww) ** 2 - 4 * whole * ww * wv)


def _alike(values: Sequence[float], names: Iterable[object]) -> float:
    """Return the intraclass correlation by one-way analysis of variance, 0..1; 1 if the values do not show it."""
    names = list(names)
    sums, sizes = by_cluster(values, names)
    items, count = len(values), len(sizes)
    if count < 2 or items == count:
        return 1.0
    mean = math.fsum(values) / items
    between = math.fsum(n * (s / n - mean) ** 2 for s, n in zip(sums, sizes, strict=True))
    inside = math.fsum((v - mean) ** 2 for v in values) - between
    across, within = between / (count - 1), max(0.0, inside) / (items - count)
    usual = (items - math.fsum(n * n for n in sizes) / items) / (count - 1)
    below = across + (usual - 1) * within
    return min(1.0, max(0.0, (across - within) / below)) if below > TOLERANCE**2 else 1.0


def half_width(of_items: float, degrees: float, confidence: float, again: Retraining = ALONE) -> float:
    """Return half the interval's width, from the variance over items and over training runs."""
    return t_quantile(again.degrees(of_items, degrees), (1 + confidence) / 2) * math.sqrt(of_items + again.error)


def score_interval(scores: Sequence[float], clusters: Sequence[str] | None = None) -> tuple[float, float]:
    """Return the 95% interval of a score: Wilson's for independent 0/1 scores, else the module's, within [0, 1]."""
    alone = clusters is None or len(set(clusters)) == len(clusters)
    if alone and is_binary(scores):
        return wilson(round(math.fsum(scores)), len(scores))
    return estimate(scores, clusters, (0.0, 1.0)).interval()


def is_binary(scores: Sequence[float]) -> bool:
    """True if every score is 0 or 1: only then is their sum a count."""
    return all(min(abs(s), abs(s - 1)) <= TOLERANCE for s in scores)


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Wilson's score interval (1927) for `hits` of `n`."""
    z = normal_quantile((1 + confidence) / 2)
    share, spread = hits / n, z * z / n
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    low, high = (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


def covariance(one: Mapping[int, float], other: Mapping[int, float], names: Mapping[int, object]) -> float:
    """Return the covariance of two means that share items, or clusters by `names`; 0 if they share at most one."""
    mine, theirs = (_residuals(values, names) for values in (one, other))
    if len(mine.keys() & theirs.keys()) < 2:
        return 0.0
    shared = math.fsum(mine[name] * gap for name, gap in theirs.items() if name in mine)
    return shared / len(one) / len(other) * len(theirs) / (len(theirs) - 1)


def _residuals(values: Mapping[int, float], names: Mapping[int, object]) -> dict[object, float]:
    """Return by cluster the sum of its values' distances from their mean."""
    mean = math.fsum(values.values()) / len(values)
    found: dict[object, list[float]] = {}
    for item, value in values.items():
        found.setdefault(names[item], []).append(value - mean)
    return {name: math.fsum(gaps) for name, gaps in found.items()}


def t_quantile(degrees: float, share: float) -> float:
    """Return the quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def normal_quantile(share: float) -> float:
    """Return the quantile of the standard normal."""
    return NormalDist().inv_cdf(share)
