"""Acceptance sampling: what a random sample without faults says of the rows that nobody looked at.

Exact, by the hypergeometric distribution: `population` rows hold `faulty` ones, `size` are drawn without return.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

CONFIDENCE = 0.95


def at_most(population: int, faulty: int, size: int, found: int) -> float:
    """Chance that a sample of `size` holds at most `found` of the `faulty` rows."""
    if not 0 <= faulty <= population or not 0 <= size <= population:
        raise ValueError(f"{faulty} faulty rows and a sample of {size} do not fit into {population} rows")
    total = _choose(population, size)
    terms = [
        math.exp(_choose(faulty, hits) + _choose(population - faulty, size - hits) - total)
        for hits in range(max(0, size - (population - faulty)), min(found, faulty, size) + 1)
    ]
    return min(1.0, math.fsum(terms))


def pass_chance(population: int, size: int, allowed: int, error: float) -> float:
    """Chance that the plan passes where a share `error` of the rows is faulty (rounded up to whole rows)."""
    return at_most(population, math.ceil(error * population - 1e-9), size, allowed)


def most_faulty(population: int, size: int, found: int, confidence: float = CONFIDENCE) -> int:
    """Upper bound, one-sided: the most faulty rows in the whole population that still agree with `found` of `size`."""
    low, high = found, population - (size - found)
    while low < high:
        middle = (low + high + 1) // 2
        if at_most(population, middle, size, found) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def bound_of_rest(population: int, size: int, found: int, confidence: float = CONFIDENCE) -> float:
    """Upper bound of the share of faulty rows among those that were not in the sample; 0.0 where none is left."""
    left = population - size
    return (most_faulty(population, size, found, confidence) - found) / left if left else 0.0


def draw(seed: int, keys: Sequence[str], size: int) -> list[int]:
    """Indices of a random sample of `keys`, in order: the same seed and keys draw the same rows, in any order."""
    ranked = sorted(range(len(keys)), key=lambda index: (rank(seed, keys[index]), index))
    return sorted(ranked[:size])


def rank(seed: int, key: str, purpose: str = "sample") -> float:
    """A uniform number in [0, 1) that depends on seed, purpose and key alone."""
    digest = hashlib.sha256(f"{purpose}:{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _choose(n: int, k: int) -> float:
    """Natural logarithm of n over k; minus infinity where there is no way."""
    if k < 0 or k > n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
