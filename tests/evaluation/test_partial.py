"""A score so far is told of the items that are answered, on the test alone, and never where a model judges."""

from types import SimpleNamespace

import pytest

from evaluation.measure import Partial
from rung.cli.output import ProgressLine


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
