"""How sure an arm is of its answer, where there are probabilities: the classifier's, or a model's over the labels.

Expected calibration error: the mean gap between confidence and accuracy over ten bins of equal width, weighted by their
items (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017). 0 is perfect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chat.protocols import Progress, Scorer
from evaluation.arms.arm_material import Variant
from evaluation.measure import EvalItem, Harness, ask_of

AT_ONCE = 24
"""Items scored together."""


def calibration(
    variant: Variant, items: Sequence[EvalItem], desk: Harness, scored: Sequence[float], watch: Progress | None = None
) -> dict[str, float | None]:
    """`ece` and mean `confidence` of an arm; empty where it gives no probabilities.

    The classifier's `scored` are its items' scores. Of a model each possible answer is scored after the arm's prompt
    (a forward pass an answer) and the likeliest, by summed log-probability, is its choice: `label_accuracy`.
    """
    if not items or desk.metric.judged:
        return {}
    if variant.sure is not None:
        found = variant.sure([item.question for item in items])
        return {"ece": ece(found, scored), "confidence": math.fsum(found) / len(found)}
    if not (isinstance(desk.model, Scorer) and desk.choices and variant.render is not None):
        return {}
    chosen = label_choices(variant, items, desk, watch)
    sure = [confidence for _, confidence in chosen]
    scores = [desk.score(label, item) for (label, _), item in zip(chosen, items, strict=True)]
    return {
        "ece": ece(sure, scores),
        "confidence": math.fsum(sure) / len(sure),
        "label_accuracy": math.fsum(scores) / len(scores),
    }


def label_choices(
    variant: Variant, items: Sequence[EvalItem], desk: Harness, watch: Progress | None = None
) -> list[tuple[str, float]]:
    """For each item the likeliest of the possible answers, and its probability among them (softmax)."""
    model: Any = desk.model
    found: list[tuple[str, float]] = []
    width = len(desk.choices)
    for start in range(0, len(items), AT_ONCE):
        some = items[start : start + AT_ONCE]
        asks = [ask_of(variant, item, "free", desk) for item in some for _ in desk.choices]
        scores = [total for total, _ in model.loglikelihoods(asks, list(desk.choices) * len(some))]
        for first in range(0, len(scores), width):
            each = scores[first : first + width]
            best = max(range(width), key=each.__getitem__)
            found.append((desk.choices[best], 1 / math.fsum(math.exp(s - each[best]) for s in each)))
        if watch:
            watch(len(found), len(items))
    return found


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
