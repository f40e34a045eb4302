"""The margin and the ten points on the plot of differences: their words never run into each other."""

import pytest

from rung.report.evaluation import _margins


@pytest.mark.parametrize(
    ("margin", "end", "words"),
    [
        (0.05, 0.1, ["margin 5"]),
        (0.05, 0.25, ["margin 5", "10"]),
        (0.05, 0.5, ["margin 5", "10"]),
        (0.05, 1.0, ["margin 5, 10", ""]),
        (0.1, 1.0, ["margin 10"]),
    ],
)
def test_one_label_names_both_where_two_would_touch(margin, end, words):
    assert [mark.words for mark in _margins(margin, end)] == words
