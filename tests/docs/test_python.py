"""docs/python.md is run: every block that prints, with its output; and what the functions do with wrong values."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rung
from workspace.errors import InputError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
PAIRS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_print_what_the_page_says() -> None:
    names: dict[str, Any] = {}
    assert len(PAIRS) == 3
    for code, expected in PAIRS:
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            exec(compile(code, "docs/python.md", "exec"), names)
        assert told.getvalue() == expected


def wheres(call: Callable[[], object]) -> list[str]:
    """The places of the problems that a call raises."""
    with pytest.raises(InputError) as error:
        call()
    return [problem.where for problem in error.value.problems]


def test_wrong_rows_are_named_all_at_once() -> None:
    wrong = [ROW, {"quesion": "q", "answer": "a"}, {"nothing": 1}]
    assert wheres(lambda: rung.dedup(wrong)) == ["rows[1]", "rows[2]"]
    assert wheres(lambda: rung.leakage(train=[{"text": "a"}], test=[{}])) == ["test[0]"]


ROW = {"question": "q", "answer": "a"}
HALF, WHOLE = [0.0, 1.0] * 30, [1.0] * 60


@pytest.mark.parametrize("rows", [None, 3, "rows.jsonl", b"rows", ROW])
def test_what_is_no_list_of_rows_is_said(rows: Any) -> None:
    assert wheres(lambda: rung.dedup(rows)) == ["rows"]
    assert wheres(lambda: rung.leakage(rows, [5])) == ["train", "test[0]"]  # type: ignore[list-item]


@pytest.mark.parametrize(
    "row", [None, "a text", 3, ["question", "answer"], {1: "q"}, {"question": b"q", "answer": "a"}]
)
def test_what_is_no_row_is_named(row: Any) -> None:
    assert wheres(lambda: rung.dedup([ROW, row])) == ["rows[1]"]


@pytest.mark.parametrize("threshold", [0, -1, 1.01, 80, float("nan"), float("inf"), "0.8", None, True])
def test_a_threshold_out_of_range_is_said(threshold: Any) -> None:
    for call in (lambda: rung.dedup([ROW], threshold), lambda: rung.leakage([ROW], [ROW], threshold)):
        assert wheres(call) == ["threshold"]


@pytest.mark.parametrize("margin", [-0.1, 2, 5, float("nan"), "0.05", None])
def test_a_margin_out_of_range_is_said(margin: Any) -> None:
    assert wheres(lambda: rung.verdict(HALF, WHOLE, margin=margin)) == ["margin"]


def test_wrong_scores_are_refused_all_at_once() -> None:
    with pytest.raises(InputError, match="baseline 1, tuned 2"):
        rung.verdict([1.0], [1.0, 0.0])
    wrong: Any = ([1.0, 2.0, True], [1.0, float("nan"), "1"])
    assert wheres(lambda: rung.verdict(*wrong)) == ["baseline[1]", "baseline[2]", "tuned[1]", "tuned[2]"]
    for nothing in ([], {}):
        with pytest.raises(InputError, match="no item"):
            rung.verdict(nothing, [])
    with pytest.raises(InputError, match="clusters 1"):
        rung.verdict([1.0, 0.0], [1.0, 1.0], clusters=["a"])
    for values in (None, "1101", 1.0):
        assert wheres(lambda: rung.verdict(HALF, values)) == ["tuned"]  # type: ignore[arg-type]  # noqa: B023
    for chosen in (None, "c", 3):
        assert wheres(lambda: rung.verdict({"a": HALF, "b": HALF}, WHOLE, chosen=chosen)) == ["chosen"]  # noqa: B023


def test_arms_and_clusters_may_be_named_by_numbers() -> None:
    found = rung.verdict({1: HALF, 2: WHOLE}, WHOLE, chosen=1, clusters=[0, "0", 1, "1", 2] * 12)
    assert (found.chosen, found.baseline, found.clusters) == ("1", 0.5, 3)
    assert rung.verdict({1: HALF, 2: WHOLE}, WHOLE, chosen="2").chosen == "2"
    assert wheres(lambda: rung.verdict({1: HALF, "1": WHOLE}, WHOLE, chosen=1)) == ["baseline"]


def test_any_list_of_numbers_will_do() -> None:
    plain = rung.verdict(HALF, WHOLE)
    arrays = rung.verdict(np.array([0, 1] * 30), np.ones(60, np.float32))
    iterators = rung.verdict((n % 2 for n in range(60)), iter(WHOLE), clusters=range(60))  # type: ignore[arg-type]
    assert plain.difference == arrays.difference == iterators.difference == 0.5
    assert (iterators.low, iterators.clusters) == (plain.low, 60)


def test_facts_are_given_by_name() -> None:
    for call in (lambda: rung.decide({"examples": 3}), lambda: rung.decide(as_of="2026-01-01")):  # type: ignore[arg-type]
        with pytest.raises(InputError):
            call()


def test_margin_and_clusters_are_heeded() -> None:
    one, other = [0.0, 1.0] * 60, [1.0, 1.0] * 60
    assert rung.verdict(one, other).verdict == "ship" and rung.verdict(one, other, margin=0.6).verdict != "ship"
    assert rung.verdict(one, other, clusters=["a", "b"] * 60).verdict == "need_more_data"
