"""The verdict in parts: by class and by length. Many parts, little data each: places to look, never a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from evaluation.compare import compare
from evaluation.report import Outcome

FEWEST = 10
"""Items that a slice must have to be called worse: below that a single item moves it by 10 points and more."""


def slices(tuned: Sequence[Outcome], baseline: Sequence[Outcome], *, by_class: bool) -> list[dict[str, Any]]:
    """Per slice: kind, name, n, tuned, baseline, difference, low, high and `worse`; the worst first.

    `worse` is set where the difference is below 0 on at least 10 items. Lengths are of the expected answer and are
    cut at the terciles; only slices that leave something out are listed.
    """
    pairs = list(zip(tuned, baseline, strict=True))
    found = _cut("length", pairs, _length_names(tuned))
    if by_class:
        found += _cut("class", pairs, lambda outcome: outcome.expected.strip())
    return sorted(found, key=lambda s: (s["difference"], s["name"]))


def _cut(kind: str, pairs: Sequence[tuple[Outcome, Outcome]], name: Callable[[Outcome], str]) -> list[dict[str, Any]]:
    groups: dict[str, list[tuple[Outcome, Outcome]]] = {}
    for pair in pairs:
        groups.setdefault(name(pair[0]), []).append(pair)
    return [_slice(kind, key, group) for key, group in groups.items()] if len(groups) > 1 else []


def _slice(kind: str, name: str, pairs: Sequence[tuple[Outcome, Outcome]]) -> dict[str, Any]:
    result = compare([b.score for _, b in pairs], [t.score for t, _ in pairs])
    return {
        "kind": kind,
        "name": name,
        "n": len(pairs),
        "tuned": result.tuned,
        "baseline": result.baseline,
        "difference": result.difference,
        "low": result.low,
        "high": result.high,
        "worse": len(pairs) >= FEWEST and result.difference < 0,
    }


def _length_names(outcomes: Sequence[Outcome]) -> Callable[[Outcome], str]:
    lengths = sorted(len(o.expected) for o in outcomes)
    first, second = lengths[len(lengths) // 3], lengths[math.ceil(2 * len(lengths) / 3) - 1]

    def name(outcome: Outcome) -> str:
        length = len(outcome.expected)
        if length < first:
            return f"answers under {first} characters"
        return f"answers over {second} characters" if length > second else f"answers of {first} to {second} characters"

    return name
