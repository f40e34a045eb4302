"""pass@k, unbiased: 1 - C(n - c, k) / C(n, k) for c of n samples that pass (Chen et al. 2021, arXiv:2107.03374)."""

from __future__ import annotations

import math


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The chance that at least one of k samples passes. Raises ValueError unless 0 <= passed <= n and 1 <= k <= n."""
    if not (0 <= passed <= n and 1 <= k <= n):
        raise ValueError(f"{passed} passed of {n}, k = {k}")
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)
