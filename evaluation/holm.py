"""Holm's step-down correction (1979) for several tests at once, and the secondary metrics that it is used on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evaluation.compare import compare
from evaluation.metrics import normalised_match, refusal, token_f1
from evaluation.report import Outcome

SECONDARY: dict[str, Callable[[Outcome], float]] = {
    "normalised match": lambda o: normalised_match.score(o.output, o.expected),
    "token F1": lambda o: token_f1.score(o.output, o.expected),
    "refusals": lambda o: float(refusal.refuses(o.output, o.stopped)),
    "cut at the limit": lambda o: float(o.stopped == "length"),
}
"""Scores of single items beside the primary metric, by their words."""


def holm(values: Sequence[float]) -> list[float]:
    """The adjusted p of each: at level a, those not above a hold together with at most a chance of a false one."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, most = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = most
    return adjusted


def with_holm(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows, each with `p_holm` from its `p_value` among all of them."""
    adjusted = holm([row["p_value"] for row in rows])
    return [{**row, "p_holm": p} for row, p in zip(rows, adjusted, strict=True)]


def secondary_tests(
    trainings: Sequence[Sequence[Outcome]],
    baseline: Sequence[Outcome],
    metric: str,
    clusters: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Each secondary metric paired over the items, or their `clusters`, the primary one left out: it decides, these
    only inform. Of several `trainings` an item's value is their mean.
    """
    rows = []
    for name, score in SECONDARY.items():
        if name.replace(" ", "_").lower() == metric:
            continue
        tuned = [sum(map(score, each)) / len(each) for each in zip(*trainings, strict=True)]
        result = compare([score(o) for o in baseline], tuned, clusters)
        rows.append(
            {
                "name": name,
                "n": len(baseline),
                "tuned": result.tuned,
                "baseline": result.baseline,
                "difference": result.difference,
                "low": result.low,
                "high": result.high,
                "p_value": result.p_value,
            }
        )
    return with_holm(rows)
