"""Calibration: the error over bins, of the classifier and of a model's own label probabilities."""

import math
from itertools import pairwise

import numpy as np
import pytest

from chat.scripted import Scripted
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.calibration import ece


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
    assert ece([1.0, 1.0], [1.0, 1.0]) == 0.0
    assert ece([0.95] * 4, [0.0] * 4) == pytest.approx(0.95)
    for wrong in ([], [1.2], [float("nan")]):
        with pytest.raises(ValueError, match="in 0"):
            ece(wrong, [1.0] * len(wrong))


class Sure(Scripted):
    """Gives the right label a probability of 0.8 among three, by its own log-probabilities."""

    def loglikelihoods(self, asks, answers):
        right = {"card": "card", "money": "transfer", "pin": "pin"}
        found = []
        for ask, answer in zip(asks, answers, strict=True):
            hit = answer == right[ask.turns[-1]["content"].split()[0]]
            found.append((math.log(0.8 if hit else 0.1) - 5, 2))
        return found


def test_a_baseline_tells_how_sure_its_arms_are(project, settings):
    model = Sure(lambda ask: ask.choices[0] if ask.choices else "no idea")
    bench = open_bench(project, settings, model, label_scoring=True)
    _, report = run_baseline(bench, arms_named(["base", "classical"]))
    base, classical = (arm.extra for arm in report.arms)
    assert base["confidence"] == pytest.approx(0.8) and base["label_accuracy"] == 1.0
    assert base["ece"] == pytest.approx(0.2)
    assert 0 < classical["ece"] < 1 and "label_accuracy" not in classical


def test_labels_are_not_scored_unless_asked_for(project, settings):
    class Counting(Sure):
        calls = 0

        def loglikelihoods(self, asks, answers):
            Counting.calls += len(asks)
            return super().loglikelihoods(asks, answers)

    model = Counting(lambda ask: ask.choices[0] if ask.choices else "no idea")
    _, report = run_baseline(open_bench(project, settings, model), arms_named(["prompt"]))
    assert "ece" not in report.arms[0].extra and Counting.calls == 0
