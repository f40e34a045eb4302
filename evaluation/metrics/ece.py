"""Expected calibration error: the mean gap between confidence and accuracy over ten bins of equal width, weighted by
their items (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017). 0 is perfect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BINS = 10


def ece(confidences: Sequence[float], scores: Sequence[float], bins: int = BINS) -> float:
    """`confidences` in 0..1 beside what was scored, 0..1. Raises ValueError for none, or a value out of range."""
    if not confidences or not all(0 <= c <= 1 for c in confidences):
        raise ValueError("confidences must be numbers in 0..1, at least one")
    groups: dict[int, list[tuple[float, float]]] = {}
    for confidence, score in zip(confidences, scores, strict=True):
        groups.setdefault(_bin(confidence, bins), []).append((confidence, score))
    gaps = (abs(math.fsum(c for c, _ in group) - math.fsum(s for _, s in group)) for group in groups.values())
    return math.fsum(gaps) / len(confidences)


def _bin(confidence: float, bins: int) -> int:
    """Which bin, from 0: each holds its upper edge, as 0.7 is in (0.6, 0.7]; the first one holds 0 too."""
    return max(0, math.ceil(round(confidence * bins, 9)) - 1)
