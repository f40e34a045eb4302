"""`classical`: TF-IDF with logistic regression, no language model. Seconds of work, and it often wins.

Not a prompted arm, but a tuned model must beat it to ship.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

from curation.example import Example
from evaluation.arms.arm_material import ArmMaterial, Variant
from evaluation.retrieval.tfidf import vectorizer

NAME = "classical"
NEEDS = "rows that may be learnt from, with at least two answers that form a closed set"
STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse regularisation strengths; validation chooses."""


def variants(material: ArmMaterial) -> list[Variant]:
    """One a regularisation strength."""
    answers = {example.answer for example in material.examples}
    return [_variant(material, c) for c in STRENGTHS] if material.closed and len(answers) > 1 else []


def fit(examples: Sequence[Example], strength: float) -> Any:
    """The pipeline, fitted: vectorizer, then model."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(vectorizer(), LogisticRegression(C=strength, max_iter=1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit([e.question for e in examples], [e.answer or "" for e in examples])
    return model


def _variant(material: ArmMaterial, strength: float) -> Variant:
    @cache
    def fitted() -> Any:
        return fit(material.examples, strength)

    def predict(questions: Sequence[str]) -> list[str]:
        return [str(answer) for answer in fitted().predict(list(questions))]

    def sure(questions: Sequence[str]) -> list[float]:
        return [float(row.max()) for row in fitted().predict_proba(list(questions))]

    settings = {"C": strength, "features": "words, characters 2-4", "rows": len(material.examples)}
    return Variant(settings, predict=predict, sure=sure)
