"""F1 over classes with a confusion matrix. Definitions as scikit-learn's f1_score: F1 = 2 tp / (2 tp + fp + fn), 0
where that is 0/0; macro = plain mean over classes, micro = over summed counts. Classes are the labels of `expected`; an
output that names none of them counts against its item's class and as `(other)` in the matrix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.metrics.text import label

OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class: its items, precision, recall and F1 (each 0..1)."""

    name: str
    items: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ClassReport:
    """`confusion` maps (expected, output) to a count; outputs of no class are `(other)`."""

    macro: float
    micro: float
    each: tuple[ClassFigures, ...]
    confusion: dict[tuple[str, str], int]


def class_report(outputs: Sequence[str], expected: Sequence[str]) -> ClassReport:
    """Figures over parallel lists of outputs and expected labels."""
    truth = [label(text) for text in expected]
    names = sorted(set(truth))
    other = OTHER if OTHER not in names else f"({OTHER})"
    found = [text if (text := label(output)) in set(names) else other for output in outputs]
    confusion = Counter(zip(truth, found, strict=True))
    given, answered = Counter(truth), Counter(found)
    each = tuple(_figures(name, confusion[name, name], given[name], answered[name]) for name in names)
    right = sum(confusion[name, name] for name in names)
    answered_known = sum(answered[name] for name in names)
    micro = 2 * right / (len(truth) + answered_known) if truth else 0.0
    return ClassReport(sum(c.f1 for c in each) / max(1, len(each)), micro, each, dict(confusion))


def _figures(name: str, right: int, given: int, answered: int) -> ClassFigures:
    return ClassFigures(
        name=name,
        items=given,
        precision=right / answered if answered else 0.0,
        recall=right / given if given else 0.0,
        f1=2 * right / (given + answered) if given + answered else 0.0,
    )
