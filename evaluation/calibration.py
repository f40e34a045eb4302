"""Calibration: an arm's probability of its answer, by the classifier, a local model or a server's logprobs.

Expected calibration error: the mean gap between confidence and accuracy over ten bins of equal width, weighted by their
items (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017). 0 is perfect.
"""

import math
from collections.abc import Sequence
from typing import Any

from chat.protocols import Progress, Scorer
from evaluation.abstention import SureAnswer
from evaluation.arms.arm_material import Variant
from evaluation.measure import EvalItem, Harness, ask_of
from evaluation.measurement_report import ItemOutcome

AT_ONCE = 24
"""Items scored together."""


def sure_answers(
    variant: Variant, items: Sequence[EvalItem], desk: Harness, watch: Progress | None = None
) -> list[SureAnswer]:
    """Return each item's answer with its probability; empty if an arm gives none.

    Of a model each possible answer is scored after the arm's prompt (a forward pass an answer) and the likeliest, by
    summed log-probability, is its choice.
    """
    if not items or desk.metric.judged:
        return []
    if variant.sure is not None and variant.predict is not None:
        questions = [item.question for item in items]
        chosen = list(zip(variant.predict(questions), variant.sure(questions), strict=True))
    elif isinstance(desk.model, Scorer) and desk.choices and variant.render is not None:
        chosen = label_choices(variant, items, desk, watch)
    else:
        return []
    return [
        SureAnswer(item.number, sure, desk.score(answer, item))
        for item, (answer, sure) in zip(items, chosen, strict=True)
    ]


def told_answers(outcomes: Sequence[ItemOutcome]) -> list[SureAnswer]:
    """Return each item's answer with the probability of the whole reply; empty if a reply has none."""
    found = [SureAnswer(o.item, min(1.0, math.exp(o.logprob)), o.score) for o in outcomes if o.logprob is not None]
    return found if len(found) == len(outcomes) else []


def calibration(answers: Sequence[SureAnswer], *, by_labels: bool) -> dict[str, float | None]:
    """`ece`, mean `confidence` and, where a model chose `by_labels`, `label_accuracy`; empty without answers."""
    if not answers:
        return {}
    sure, scores = [answer.sure for answer in answers], [answer.score for answer in answers]
    found: dict[str, float | None] = {"ece": ece(sure, scores), "confidence": math.fsum(sure) / len(sure)}
    return found | ({"label_accuracy": math.fsum(scores) / len(scores)} if by_labels else {})


def label_choices(
    variant: Variant, items: Sequence[EvalItem], desk: Harness, watch: Progress | None = None
) -> list[tuple[str, float]]:
    """Return for each item the likeliest answer, and its probability among the possible ones (softmax)."""
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


def ece(confidences: Sequence[float], scores: Sequence[float]) -> float:
    """`confidences` in 0..1 beside what was scored, 0..1. Raises ValueError for none, or a value out of range."""
    if not confidences or not all(0 <= c <= 1 for c in confidences):
        raise ValueError("confidences must be numbers in 0..1, at least one")
    groups: dict[int, list[tuple[float, float]]] = {}
    for confidence, score in zip(confidences, scores, strict=True):
        groups.setdefault(_bin(confidence), []).append((confidence, score))
    gaps = (abs(math.fsum(c for c, _ in group) - math.fsum(s for _, s in group)) for group in groups.values())
    return math.fsum(gaps) / len(confidences)


def _bin(confidence: float) -> int:
    """Return the bin's number, from 0: each holds its upper edge, as 0.7 is in (0.6, 0.7]; the first one also 0."""
    return max(0, math.ceil(round(confidence * BINS, 9)) - 1)
