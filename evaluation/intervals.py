"""The 95% interval of one arm's score."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evaluation.compare import CONFIDENCE, TOLERANCE, cluster_means, deviation, t_quantile


def score_interval(
    scores: Sequence[float], confidence: float = CONFIDENCE, clusters: Sequence[str] | None = None
) -> tuple[float, float]:
    """Wilson's interval for 0/1 scores; for others Student's t over the scores plus one 0 and one 1, cut to [0, 1].

    `clusters` names each item's: it is then over their means.
    """
    scores = scores if clusters is None else cluster_means(scores, clusters)
    if is_binary(scores):
        return wilson(round(math.fsum(scores)), len(scores), confidence)
    padded = [*scores, 0.0, 1.0]
    centre = math.fsum(padded) / len(padded)
    half = t_quantile(len(padded) - 1, (1 + confidence) / 2) * deviation(padded) / math.sqrt(len(padded))
    return max(0.0, centre - half), min(1.0, centre + half)


def is_binary(scores: Sequence[float]) -> bool:
    """Whether every score is 0 or 1: only then is their sum a count."""
    return all(min(abs(s), abs(s - 1)) <= TOLERANCE for s in scores)


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval (1927) for `hits` of `n`."""
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    share, spread = hits / n, z * z / n
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    low, high = (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)
