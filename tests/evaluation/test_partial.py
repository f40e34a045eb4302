"""A score so far is told of the items that are answered, on the test alone, and never where a model judges."""

from types import SimpleNamespace

import pytest

from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.measure import Partial
from evaluation.measurement_report import read_outcomes
from rung.cli.output import ProgressLine


class Line:
    """A progress line that keeps what it would show."""

    so_far = None

    def __init__(self):
        self.told = []

    def __call__(self, done, total):
        self.told.append((done, total, self.so_far() if self.so_far else None))


def test_it_is_the_mean_of_what_is_answered_and_ends_at_the_arms_score(project, settings, model):
    lines = {}
    bench = open_bench(project, settings, model, watch=lambda what: lines.setdefault(what, Line()))
    folder, report = run_baseline(bench, arms_named(["base", "prompt", "few_shot"]))
    outcomes = read_outcomes(folder / "outputs.jsonl")
    for arm in report.arms:
        told = lines[f"{arm.arm}, {arm.form}"].told
        scores = [o.score for o in outcomes if (o.split, o.arm, o.form) == ("test", arm.arm, arm.form)]
        assert told[-1] == (arm.n, arm.n, pytest.approx(arm.score))
        assert told[0] == (0, arm.n, None)  # at once, before the first reply
        for done, _, score in told[1:]:
            assert score is not None
            assert abs(score * done - round(score * done)) < 1e-9  # right or wrong: whole items
            assert round(score * done) <= sum(scores)
    chosen = [line for what, line in lines.items() if what.endswith("choosing")]
    assert chosen and all(score is None for line in chosen for _, _, score in line.told)


def test_each_item_is_scored_once_however_often_it_is_asked():
    scored = []

    def score(text, number):
        scored.append(number)
        return float(text == "yes")

    replies = {}
    partial = Partial(["a", "b", "a"], replies, score)
    assert partial() is None
    replies["a"] = SimpleNamespace(text="yes")
    assert partial() == partial() == 1.0
    replies["b"] = SimpleNamespace(text="no")
    assert partial() == pytest.approx(2 / 3)
    assert sorted(scored) == [0, 1, 2]


def test_the_line_shows_it_until_the_end(capsys):
    ticks = iter(range(100))
    line = ProgressLine("few-shot", scored=True, every=0, clock=lambda: float(next(ticks)))
    line(1, 4)
    line.so_far = lambda: 0.5
    line(2, 4)
    line(4, 4)
    assert ["50.0%" in told for told in capsys.readouterr().err.splitlines()] == [False, True, False]
