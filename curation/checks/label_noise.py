"""Labels that are more probably wrong than right, by two models that never saw the row."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.checks.base import DataFinding, QualityCheck, Subject, Survey, evidence_of, one_thread
from curation.checks.labels import labels_of

FEWEST = 100
FEWEST_OF_CLASS = 5
HAS_WORD = re.compile(r"\w").search
FOLDS = 4
PASSES = 1000
"""Most passes over the rows; a model ends where its loss no longer falls, after 10 to 60 on the sets tried."""
CELLS = 40_000_000
"""Most weights (words and word pairs x classes) of a model: the rarest are left out."""
SURE = 0.2
"""The other class must be at least so probable."""
WRONG = 0.5
"""A label is doubted where it is more probably wrong than right."""
CHARACTERS, GRAMS = 500, 50_000
"""Characters of a question that the model of characters reads, and how many different runs of them it knows."""


class LabelNoise(QualityCheck):
    """Out-of-fold self-confidence of a logistic model on TF-IDF of words and word pairs and of a naive Bayes model on
    TF-IDF of 2 to 5 characters, weighed by how well they predict the labels; the share of wrong labels is estimated.
    """

    name = "label_noise"
    title = "Doubtful labels"
    reason = "Two models that did not see the row, taken together, find its label more probably wrong than right."
    action = "queue"

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the doubted rows, the surest first, with the label that both models give."""
        self.unseen = ""
        labels = labels_of(survey.sample, survey.options.label_limit)
        if labels is None:
            return None
        counts = Counter(labels)
        both = zip(survey.sample, labels, strict=True)
        rows = [(s, label) for s, label in both if counts[label] >= FEWEST_OF_CLASS and HAS_WORD(s.example.question)]
        left = Counter(label for _, label in rows)
        rows = [(s, label) for s, label in rows if left[label] >= FEWEST_OF_CLASS]
        if len(rows) < FEWEST or len({label for _, label in rows}) < 2:
            return None
        evidence = [
            evidence_of(f"{label!r} is probably {other!r} ({sure:.2f} against {given:.2f})", subject, score=sure)
            for subject, label, other, sure, given in self._doubted(rows, survey.options.seed)
        ]
        return self.finding(evidence, ids=[row for e in evidence for row in e.rows]) if evidence else None

    def _doubted(self, rows: Sequence[tuple[Subject, str]], seed: int) -> list[tuple[Subject, str, str, float, float]]:
        """Return the doubted rows, the surest first; `unseen` notes a model that was still learning."""
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings(record=True) as told, one_thread():
            warnings.simplefilter("always", ConvergenceWarning)
            found = sorted(doubted(rows, seed), key=lambda each: -each[3])
        if any(issubclass(each.category, ConvergenceWarning) for each in told):
            self.unseen = f"a model was still learning after {PASSES:,} passes, so some doubtful labels may be missing"
        return found


def doubted(rows: Sequence[tuple[Subject, str]], seed: int) -> list[tuple[Subject, str, str, float, float]]:
    """Return rows whose label is doubted: subject, label, other label, its probability and the given label's."""
    names, given = np.unique([label for _, label in rows], return_inverse=True)
    models = _out_of_fold([subject.example.question for subject, _ in rows], given, seed)
    combined, wrong = combined_and_wrong(models, given, seed)
    other, places = combined.argmax(axis=1), np.arange(len(given))
    best, own = combined[places, other], combined[places, given]
    odd = (other != given) & (best > SURE) & (wrong > WRONG)
    return [
        (rows[i][0], rows[i][1], str(names[other[i]]), float(best[i]), float(own[i]))
        for i in np.nonzero(odd)[0].tolist()
    ]


def _out_of_fold(texts: Sequence[str], given: Any, seed: int) -> tuple[Any, Any]:
    """Return two arrays rows x classes: the probabilities of two models trained on the other folds."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.naive_bayes import MultinomialNB

    classes = int(given.max()) + 1
    most = max(GRAMS, CELLS // classes)
    words = _vectors(texts, ngram_range=(1, 2), token_pattern=r"\w+", max_features=most)
    logistic = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=PASSES, random_state=seed)
    first = _asked(logistic, words, given, seed)
    del words
    short = [text[:CHARACTERS] for text in texts]
    runs = _vectors(short, analyzer="char_wb", ngram_range=(2, 5), max_features=GRAMS)
    return first, _asked(MultinomialNB(alpha=0.05), runs, given, seed)


def _vectors(texts: Sequence[str], **how: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **how).fit_transform(texts)


def _asked(model: Any, vectors: Any, given: Any, seed: int) -> Any:
    """Return the out-of-fold prediction for each row. Holds one model (classes x features) at a time."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return cross_val_predict(model, vectors, given, cv=folds, method="predict_proba").astype(np.float32)


Floats = npt.NDArray[np.float32]
LEAST = 1e-7
"""A probability of a model counts as at least this."""
FITTED = 4000
"""Rows on which the weights are fitted."""
MOST_WRONG = 0.3
"""Share of wrong labels that is assumed at the most: where no label can be predicted from the text, none is doubted."""
LEAST_WRONG = 0.05
"""The same at the least: people mix up classes that are close, which looks like what the classes have in common."""
START_WEIGHT, START_WRONG = 0.5, 0.05


def combined_and_wrong(
    models: Sequence[Floats], given: npt.NDArray[np.int64], seed: int
) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Return the combined probabilities (row, class), and of each label how probable it is that it is wrong.

    Weigh the models (rows x classes of probabilities, each row by a model that did not see it) by how well they
    predict the given labels, of which an unknown share is drawn at random from all classes: the weights and that share
    are those of the greatest likelihood. How probable it is that a label is wrong is then Bayes' rule.
    """
    logs = [np.log(np.maximum(each, LEAST)) for each in models]
    classes = logs[0].shape[1]
    some = np.random.default_rng(seed).permutation(len(given))[:FITTED]
    weights, share = _fitted([each[some] for each in logs], given[some])
    share = max(share, LEAST_WRONG)
    combined = _combined(logs, weights)
    own = combined[np.arange(len(given)), given]
    drawn = share / classes
    return combined, drawn / ((1 - share) * own + drawn)


def _fitted(logs: Sequence[Floats], given: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weight of each model, and the share of wrong labels."""
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
    """Return weights above 0, and a share between 0 and the most."""
    from scipy.special import expit

    return np.exp(np.minimum(at[:-1], 5.0)), float(MOST_WRONG * expit(at[-1]))


def _combined(logs: Sequence[Floats], weights: npt.NDArray[np.float64]) -> Floats:
    """Return the product of the models' probabilities, each to the power of its weight, as probabilities."""
    from scipy.special import softmax

    total: Floats = softmax(sum(np.float32(weight) * each for weight, each in zip(weights, logs, strict=True)), axis=1)
    return total
