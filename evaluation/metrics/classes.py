"""F1 over classes, by scikit-learn's f1_score (0 if it is 0/0): macro is the plain mean over classes, micro is over
summed counts. Classes are the labels of `expected`; an output that names none of them counts against its item's class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.metrics.text import label


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
    """The figures of each class, in the order of their names."""

    macro: float
    micro: float
    each: tuple[ClassFigures, ...]


def class_report(outputs: Sequence[str], expected: Sequence[str]) -> ClassReport:
    """Figures over parallel lists of outputs and expected labels, of one item at least."""
    from sklearn.metrics import f1_score, precision_recall_fscore_support

    truth, found = list(map(label, expected)), list(map(label, outputs))
    names = sorted(set(truth))
    figures = zip(*precision_recall_fscore_support(truth, found, labels=names, zero_division=0), strict=True)
    each = tuple(
        ClassFigures(name, int(items), float(precision), float(recall), float(f1))
        for name, (precision, recall, f1, items) in zip(names, figures, strict=True)
    )
    micro = float(f1_score(truth, found, labels=names, average="micro", zero_division=0))
    return ClassReport(sum(one.f1 for one in each) / len(each), micro, each)
