"""How probable it is that a label is wrong, by what models say that never saw the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
LEAST = 1e-7
"""A probability of a model counts as at least this."""
FITTED = 4000
"""Rows on which the weights are fitted."""
MOST_WRONG = 0.3
"""Share of wrong labels that is assumed at the most: where no label can be told from the text, none is doubted."""
LEAST_WRONG = 0.05
"""The same at the least: people mix up classes that are close, which looks like what the classes have in common."""
START_WEIGHT, START_WRONG = 0.5, 0.05


@dataclass(frozen=True, slots=True)
class Doubt:
    """By row and class the `combined` probabilities; by row how probable it is that the given label is `wrong`; the
    `share` of wrong labels that this assumes.
    """

    combined: Floats
    wrong: Floats
    share: float


def doubt_of(models: Sequence[Floats], given: npt.NDArray[np.int64], seed: int) -> Doubt:
    """Weigh the models (rows x classes of probabilities, each row by a model that did not see it) by how well they
    foretell the given labels, of which an unknown share is drawn at random from all classes: the weights and that
    share are those of the greatest likelihood. How probable it is that a label is wrong is then Bayes' rule.
    """
    logs = [np.log(np.maximum(each, LEAST)) for each in models]
    classes = logs[0].shape[1]
    some = np.random.default_rng(seed).permutation(len(given))[:FITTED]
    weights, share = _fitted([each[some] for each in logs], given[some])
    share = max(share, LEAST_WRONG)
    combined = _combined(logs, weights)
    own = combined[np.arange(len(given)), given]
    drawn = share / classes
    return Doubt(combined, (drawn / ((1 - share) * own + drawn)).astype(np.float32), share)


def _fitted(logs: Sequence[Floats], given: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], float]:
    """The weight of each model, and the share of wrong labels."""
    from scipy.optimize import minimize

    rows, classes = np.arange(len(given)), logs[0].shape[1]

    def loss(at: Any) -> float:
        weights, share = _told(at)
        own = _combined(logs, weights)[rows, given]
        return float(-np.log((1 - share) * own.astype(np.float64) + share / classes).mean())

    start = [np.log(START_WEIGHT)] * len(logs) + [np.log(START_WRONG / (MOST_WRONG - START_WRONG))]
    found = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 200, "xatol": 0.02, "fatol": 1e-5})
    return _told(found.x)


def _told(at: Any) -> tuple[npt.NDArray[np.float64], float]:
    """Weights above 0, and a share between 0 and the most."""
    return np.exp(np.minimum(at[:-1], 5.0)), float(MOST_WRONG / (1 + np.exp(-np.clip(at[-1], -50, 50))))


def _combined(logs: Sequence[Floats], weights: npt.NDArray[np.float64]) -> Floats:
    """The product of the models' probabilities, each to the power of its weight, as probabilities."""
    total = np.zeros_like(logs[0])
    for each, weight in zip(logs, weights.tolist(), strict=True):
        total += np.float32(weight) * each
    total -= total.max(axis=1, keepdims=True)
    np.exp(total, out=total)
    total /= total.sum(axis=1, keepdims=True)
    return total
