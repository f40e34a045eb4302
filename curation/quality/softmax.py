"""A logistic model of many classes at once, learnt from sparse rows in a few passes.

One model a class (scikit-learn's) takes as many passes over the rows as there are classes: minutes with hundreds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PASSES, BATCH, STEP = 6, 64, 1.0
"""Passes over the rows, rows a step, and the length of the first steps (Adagrad, one sum for each feature): as good on
the sets tried as a model that is learnt to the end, and no better with more."""
BASE_STEP = 0.01
START = 0.01
"""What each feature's sum of squared gradients begins with."""


class Softmax:
    """`fit` and `predict_proba` as scikit-learn's models have them; the same seed learns the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __sklearn_clone__(self) -> Softmax:
        return Softmax(self.seed)

    def fit(self, rows: Any, given: Any) -> Softmax:
        """Learn from rows (sparse, rows x features) and the class of each."""
        self.classes_, place = np.unique(given, return_inverse=True)
        self.weights = np.zeros((rows.shape[1], len(self.classes_)), np.float32)
        self.base = np.zeros(len(self.classes_), np.float32)
        self._squares = np.full(rows.shape[1], START, np.float32)
        self._column = np.zeros(rows.shape[1], np.int32)
        rng = np.random.default_rng(self.seed)
        for _ in range(PASSES):
            order = rng.permutation(rows.shape[0])
            mixed, wanted = rows[order], place[order]
            for start in range(0, len(order), BATCH):
                self._step(mixed[start : start + BATCH], wanted[start : start + BATCH])
        return self

    def predict_proba(self, rows: Any) -> Any:
        """How probable each class is, for each row."""
        return _probable(rows @ self.weights + self.base)

    def _step(self, rows: Any, wanted: Any) -> None:
        """Go down the slope of a few rows; only the features that stand in them are touched."""
        from scipy.sparse import csr_matrix

        there = np.zeros(len(self._squares), bool)
        there[rows.indices] = True
        features = np.flatnonzero(there)
        self._column[features] = np.arange(len(features), dtype=np.int32)
        few = csr_matrix((rows.data, self._column[rows.indices], rows.indptr), shape=(rows.shape[0], len(features)))
        weights = self.weights[features]
        error = _probable(few @ weights + self.base)
        error[np.arange(len(wanted)), wanted] -= 1
        slope = few.T @ error
        self._squares[features] += np.einsum("ij,ij->i", slope, slope)
        slope *= (STEP / np.sqrt(self._squares[features]))[:, None]
        self.weights[features] = weights - slope
        self.base -= BASE_STEP * error.sum(axis=0)


def put_together(rows: Any) -> Any:
    """Rows whose own features, those that no other row has, are one feature each: they say nothing of other rows, and
    most words and word pairs of short texts are such.
    """
    from scipy.sparse import diags, hstack

    held = np.bincount(rows.indices, minlength=rows.shape[1])
    shared = rows[:, held > 1]
    rest = _squared(rows) - _squared(shared)
    own = diags(np.sqrt(np.maximum(rest, 0.0)), format="csr", dtype=np.float32)
    return hstack([shared, own], format="csr")


def _squared(rows: Any) -> Any:
    return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()


def _probable(scores: Any) -> Any:
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
