"""Tests of two samples, with a false alarm rate that holds for every n: exact, or by seeded permutation.

A permutation test of B rounds with p = (1 + rounds at least as far) / (B + 1) rejects a true null with a chance of at
most alpha, whatever the distribution and for ties too (Phipson and Smyth 2010). Fisher's test conditions on the total
and keeps its level at every rate. Nothing here leans on a large n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ROUNDS = 999


def more_often(hits: int, n: int, hits_before: int, n_before: int) -> float:
    """P-value that something happens more often now: Fisher's exact test, one-sided (hypergeometric tail)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits - 1, n + n_before, hits + hits_before, n))


def differ(now: Sequence[float], before: Sequence[float], seed: int, rounds: int = ROUNDS) -> tuple[float, float]:
    """(largest difference of the two distribution functions, p-value): Kolmogorov-Smirnov by permutation."""
    import numpy as np

    values = np.concatenate([np.asarray(now, float), np.asarray(before, float)])
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) > 0, True))

    def distance(labels: Any) -> Any:
        inside = np.cumsum(labels[:, order], axis=1, dtype=np.int64)[:, ends]
        return np.abs(inside / len(now) - (ends + 1 - inside) / len(before)).max(axis=1)

    return _permuted(distance, len(now), len(before), seed, rounds)


def higher(now: Sequence[float], before: Sequence[float], seed: int, rounds: int = ROUNDS) -> tuple[float, float]:
    """(difference of means, p-value that the mean is higher now), by permutation."""
    import numpy as np

    values = np.concatenate([np.asarray(now, float), np.asarray(before, float)])
    total = values.sum()

    def gap(labels: Any) -> Any:
        inside = labels @ values
        return inside / len(now) - (total - inside) / len(before)

    return _permuted(gap, len(now), len(before), seed, rounds)


def ranks_higher(now: Sequence[float], before: Sequence[float], seed: int, rounds: int = ROUNDS) -> float:
    """P-value that values are larger now: the sum of ranks by permutation, so that one slow request decides nothing."""
    from scipy.stats import rankdata

    ranks = rankdata([*now, *before])
    return higher(ranks[: len(now)].tolist(), ranks[len(now) :].tolist(), seed, rounds)[1]


def spread_differs(now: Sequence[int], before: Sequence[int], seed: int, rounds: int = ROUNDS) -> tuple[float, float]:
    """(chi-square of two samples of classes, p-value), by permutation."""
    import numpy as np

    both = np.concatenate([np.asarray(now), np.asarray(before)])
    classes = (both[:, None] == np.unique(both)[None, :]).astype(float)
    totals = classes.sum(axis=0)
    expected = totals * len(now) / len(both)

    def chi(labels: Any) -> Any:
        return ((labels @ classes - expected) ** 2 / (expected * (1 - len(now) / len(both)))).sum(axis=1)

    return _permuted(chi, len(now), len(before), seed, rounds)


def _permuted(statistic: Any, n: int, m: int, seed: int, rounds: int) -> tuple[float, float]:
    """The statistic as it is, and the share of relabellings that reach it."""
    import numpy as np

    real = np.arange(n + m) < n
    found = float(statistic(real[None, :].astype(float))[0])
    labels = np.random.default_rng(seed).permuted(np.tile(real, (rounds, 1)), axis=1).astype(float)
    reached = int((statistic(labels) >= found - 1e-9).sum())
    return found, (1 + reached) / (rounds + 1)
