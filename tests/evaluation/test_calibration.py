"""Calibration: the error over bins, of the classifier and of a model's own label probabilities."""

import math
from itertools import pairwise

import numpy as np
import pytest
from bank import perfect
from scripted import Scripted

from curation.example import Example, chat_row
from evaluation.arms.classifiers import fit
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.measure import ece
from evaluation.retrieval import vectorizer


def test_the_error_is_the_weighted_gap_over_ten_bins():
    draw = np.random.default_rng(3)
    sure = draw.random(500)
    right = (draw.random(500) < sure).astype(float)
    edges = np.linspace(0, 1, 11)
    reference = 0.0
    for low, high in pairwise(edges):
        inside = (sure > low) & (sure <= high)
        if inside.any():
            reference += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert ece(sure.tolist(), right.tolist()) == pytest.approx(reference)
    assert ece([0.95] * 4, [0.0] * 4) == pytest.approx(0.95)
    assert ece([0.0, 0.1, 0.1], [1.0, 0.0, 0.0]) == pytest.approx(0.8 / 3), "an edge is in the lower bin"
    assert ece([0.7, 0.65], [0.35, 1.0]) == pytest.approx(0.0)
    for wrong in ([], [1.2], [float("nan")]):
        with pytest.raises(ValueError, match="in 0"):
            ece(wrong, [1.0] * len(wrong))


@pytest.mark.parametrize("answers", [["a", "b"], ["a", "b", "c"]])
def test_probabilities_are_calibrated_on_validation_and_answers_stay(answers):
    """Labels that are wrong in 3 of 10 rows: without calibration the classifier is too sure of them."""
    draw = np.random.default_rng(7)

    def rows(n, noise):
        right = draw.integers(len(answers), size=n)
        said = [answers[r] if draw.random() > noise else answers[draw.integers(len(answers))] for r in right]
        return [
            Example(chat_row(f"{answers[r]}word item{draw.integers(9)}", s)) for r, s in zip(right, said, strict=True)
        ]

    train, validation, test = rows(300, 0.0), rows(200, 0.45), rows(400, 0.45)
    found = [fit(vectorizer(), train, 100.0, chosen) for chosen in ([], validation)]
    questions = [row.question for row in test]
    assert list(found[0].predict(questions)) == list(found[1].predict(questions))
    hits = [float(row.answer == said) for row, said in zip(test, found[0].predict(questions), strict=True)]
    before, after = (ece(model.predict_proba(questions).max(axis=1).tolist(), hits) for model in found)
    assert after < 0.1 < before


def test_few_rows_that_are_all_right_make_nothing_certain():
    rows = [Example(chat_row(f"{word} {n}", word)) for word in ("card", "pin") for n in range(4)]
    model = fit(vectorizer(), rows, 1.0, rows[:3])
    assert model.predict_proba([row.question for row in rows]).max() < 0.9


class Sure(Scripted):
    """Gives the right label a probability of 0.8 among three, by its own log-probabilities."""

    scored = 0

    def loglikelihoods(self, asks, answers):
        self.scored += len(asks)
        right = [perfect(ask) == answer for ask, answer in zip(asks, answers, strict=True)]
        return [(math.log(0.8 if hit else 0.1) - 5, 2) for hit in right]


def test_a_baseline_tells_how_sure_its_arms_are(project, settings):
    model = Sure(lambda ask: ask.choices[0] if ask.choices else "no idea")
    bench = open_bench(project, settings, model, label_scoring=True)
    _, report = run_baseline(bench, arms_named(["base", "classical"]))
    base, classical = (arm.extra for arm in report.arms)
    assert base["confidence"] == pytest.approx(0.8) and base["label_accuracy"] == 1.0
    assert base["ece"] == pytest.approx(0.2)
    assert report.arms[0].abstention.point.items == 36, "label scoring of a local model has a threshold too"
    assert 0 < classical["ece"] < 1 and "label_accuracy" not in classical
