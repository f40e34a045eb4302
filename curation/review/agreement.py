"""Agreement of reviewers: raw agreement, Cohen's kappa, Krippendorff's alpha, with bootstrap intervals.

Cohen 1960 (Educational and Psychological Measurement 20:37); Krippendorff, Content Analysis, 4th ed., ch. 12.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Mapping[str, str]
"""One item seen by several people: reviewer -> label."""

ENOUGH = 40
"""Fewer units than this carry no interval."""
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two or more reviewers' labels. None: undefined (no overlap, or one label only).

    `measure` is `kappa` for two reviewers, `alpha` for more; `low`..`high` its two-sided 95% bootstrap interval;
    `raw_low` the one-sided 95% lower bound of raw agreement (Clopper-Pearson). Under 40 units there is no bound of
    either kind. `rejects` is the share of pairs that agree among those where anyone rejected; `prevalence` the share of
    each label, `edit:TEXT` counted as `edit`.
    """

    measure: Literal["kappa", "alpha"]
    value: float | None
    low: float | None
    high: float | None
    raw: float | None
    raw_low: float | None
    rejects: float | None
    rejects_low: float | None
    units: int
    reviewers: tuple[str, ...]
    prevalence: Mapping[str, float]


def measure(units: Sequence[Unit], *, seed: int = 13) -> Agreement:
    """Return all figures for these units; those seen by one person alone are left out."""
    kept = [unit for unit in units if len(unit) > 1]
    people = sorted({name for unit in kept for name in unit})
    two = len(people) == 2

    def value(some: Sequence[Unit]) -> float | None:
        return cohen_kappa([(unit[people[0]], unit[people[1]]) for unit in some]) if two else krippendorff_alpha(some)

    low, high = bootstrap(kept, value, seed=seed)
    agreed = [len(set(unit.values())) == 1 for unit in kept]
    rejects = [same for unit, same in zip(kept, agreed, strict=True) if "reject" in unit.values()]
    enough = len(kept) >= ENOUGH
    labels = Counter(label.partition(":")[0] for unit in kept for label in unit.values())
    return Agreement(
        measure="kappa" if two else "alpha",
        value=value(kept),
        low=low,
        high=high,
        raw=_share(agreed),
        raw_low=lower_bound(sum(agreed), len(agreed)) if enough else None,
        rejects=_share(rejects),
        rejects_low=lower_bound(sum(rejects), len(rejects)) if enough else None,
        units=len(kept),
        reviewers=tuple(people),
        prevalence={label: n / labels.total() for label, n in sorted(labels.items())},
    )


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Agreement beyond chance of two reviewers; None without pairs, or where chance agreement is 1."""
    if not pairs:
        return None
    n = len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    seen = sum(a == b for a, b in pairs) / n
    chance = sum(first[label] * second[label] for label in first) / n**2
    return None if chance == 1 else (seen - chance) / (1 - chance)


def krippendorff_alpha(units: Sequence[Unit]) -> float | None:
    """Return 1 - observed / expected disagreement of nominal labels, any number of reviewers; None if undefined."""
    labels = [list(unit.values()) for unit in units if len(unit) > 1]
    expected = _unlike([label for each in labels for label in each])
    if not expected:
        return None
    observed = sum(_unlike(each) / (len(each) - 1) for each in labels)
    return 1 - (sum(map(len, labels)) - 1) * observed / expected


def _unlike(labels: Sequence[str]) -> int:
    return len(labels) ** 2 - sum(many**2 for many in Counter(labels).values())


def bootstrap(
    units: Sequence[Unit], value: Callable[[Sequence[Unit]], float | None], *, seed: int = 13
) -> tuple[float | None, float | None]:
    """Two-sided 95% percentile interval over resampled units; (None, None) below ENOUGH units.

    Resamples in which the figure is undefined are left out; where they are the majority there is no interval.
    """
    if len(units) < ENOUGH:
        return None, None
    draw = random.Random(seed)
    found = [value(draw.choices(units, k=len(units))) for _ in range(RESAMPLES)]
    values = sorted(each for each in found if each is not None)
    if len(values) < RESAMPLES / 2:
        return None, None
    return values[int(0.025 * len(values))], values[min(len(values) - 1, int(0.975 * len(values)))]


def lower_bound(hits: int, n: int) -> float | None:
    """Return the 95% one-sided exact (Clopper-Pearson) lower bound of a share; None for n = 0."""
    if n == 0:
        return None
    if hits == 0:
        return 0.0
    from scipy.stats import beta

    return float(beta.ppf(0.05, hits, n - hits + 1))


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
