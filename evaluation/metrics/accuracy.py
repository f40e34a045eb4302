"""Accuracy: the share of items whose label is right. A label is the output's first line that is not empty, normalised.

Equal to scikit-learn's accuracy_score over the same labels.
"""

from __future__ import annotations

from evaluation.metrics.normalised_match import normalise


def label(output: str) -> str:
    """The label that an output names."""
    lines = [line for line in output.splitlines() if line.strip()]
    return normalise(lines[0]) if lines else ""


def score(output: str, expected: str) -> float:
    """1.0 or 0.0."""
    return float(label(output) == label(expected))
