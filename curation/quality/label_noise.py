"""Labels that two models, which never saw the row, both doubt."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from curation.quality.base import Check, Evidence, Finding, Subject, Survey, evidence_of
from curation.quality.labels import labels_of

FEWEST = 100
FEWEST_OF_CLASS = 5
HAS_WORD = re.compile(r"\w").search
FOLDS = 4
PASSES = 1000
"""Most passes over the rows; a model ends where its loss no longer falls, after 10 to 60 on the sets tried."""
SURE = 0.2
TIMES = 20.0
"""Both models name the same other class, with a mean probability over SURE and TIMES that of the given label."""


class LabelNoise(Check):
    """Out-of-fold self-confidence of a logistic and a naive Bayes model on TF-IDF of words and word pairs."""

    name = "label_noise"
    title = "Doubtful labels"
    reason = "Two models that did not see the row both give it another label."
    action = "queue"

    def end(self, survey: Survey) -> Finding | None:
        """The doubted rows, the surest first, with the label that both models give."""
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
        found = [
            (
                sure,
                evidence_of(f"{label!r} is probably {other!r} ({sure:.2f} against {given:.2f})", subject, score=sure),
            )
            for subject, label, other, sure, given in self._doubted(rows, survey.options.seed)
        ]
        evidence: list[Evidence] = [each for _, each in sorted(found, key=lambda pair: -pair[0])]
        return self.finding(evidence, ids=[row for e in evidence for row in e.rows]) if evidence else None

    def _doubted(self, rows: Sequence[tuple[Subject, str]], seed: int) -> list[tuple[Subject, str, str, float, float]]:
        """The doubted rows; that a model was still learning when it was stopped is told beside the check's name."""
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ConvergenceWarning)
            found = doubted(rows, seed)
        if any(issubclass(each.category, ConvergenceWarning) for each in told):
            self.unseen = f"a model was still learning after {PASSES:,} passes, so some doubtful labels may be missing"
        return found


def doubted(rows: Sequence[tuple[Subject, str]], seed: int) -> list[tuple[Subject, str, str, float, float]]:
    """Rows whose label both models doubt: subject, label, other label, its probability and the given label's."""
    import numpy as np

    names, given = np.unique([label for _, label in rows], return_inverse=True)
    first, second = _out_of_fold([subject.example.question for subject, _ in rows], given, seed)
    mean = (first + second) / 2
    best, own = mean.max(axis=1), mean[np.arange(len(given)), given]
    other = first.argmax(axis=1)
    odd = (other == second.argmax(axis=1)) & (other != given) & (best > SURE) & (best > TIMES * own)
    return [
        (rows[i][0], rows[i][1], str(names[other[i]]), float(best[i]), float(own[i]))
        for i in np.nonzero(odd)[0].tolist()
    ]


def _out_of_fold(texts: Sequence[str], given: Any, seed: int) -> tuple[Any, Any]:
    """Two arrays rows x classes: the probabilities of two models trained on the other folds."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedKFold
    from sklearn.naive_bayes import MultinomialNB

    vectors = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+", dtype=np.float32
    ).fit_transform(texts)
    shape = (len(texts), int(given.max()) + 1)
    first, second = np.zeros(shape), np.zeros(shape)
    for learn, ask in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(vectors, given):
        logistic = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=PASSES, random_state=seed)
        _ask(logistic.fit(vectors[learn], given[learn]), vectors, ask, first)
        del logistic  # each model holds classes x features
        _ask(MultinomialNB(alpha=0.05).fit(vectors[learn], given[learn]), vectors, ask, second)
    return first, second


def _ask(model: Any, vectors: Any, ask: Any, result: Any) -> None:
    import numpy as np

    result[np.ix_(ask, model.classes_)] = model.predict_proba(vectors[ask])
