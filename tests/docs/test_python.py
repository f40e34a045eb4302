"""docs/python.md is run: every block that prints, with its output; and what the functions do with wrong values."""

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


def wheres(call: Callable[..., object], *given: Any, **options: Any) -> list[str]:
    """The places of the problems that a call raises."""
    with pytest.raises(InputError) as error:
        call(*given, **options)
    return [problem.where for problem in error.value.problems]


ROW = {"question": "q", "answer": "a"}
HALF, WHOLE = [0.0, 1.0] * 30, [1.0] * 60


def test_wrong_rows_are_named_all_at_once() -> None:
    assert wheres(rung.dedup, [ROW, {"quesion": "q", "answer": "a"}, {"nothing": 1}]) == ["rows[1]", "rows[2]"]
    assert wheres(rung.leakage, train=[{"text": "a"}], test=[{}]) == ["test[0]"]
    for rows in (None, 3, "rows.jsonl", b"rows", ROW):
        assert wheres(rung.dedup, rows) == ["rows"], rows
        assert wheres(rung.leakage, rows, [5]) == ["train", "test[0]"], rows
    odd: list[Any] = [None, "a text", 3, ["question", "answer"], {1: "q"}, {"question": b"q", "answer": "a"}]
    for row in odd:
        assert wheres(rung.dedup, [ROW, row]) == ["rows[1]"], row


@pytest.mark.parametrize("number", [0, -1, 1.01, 80, float("nan"), float("inf"), "0.8", None, True])
def test_a_threshold_or_margin_out_of_range_is_said(number: Any) -> None:
    assert wheres(rung.dedup, [ROW], number) == wheres(rung.leakage, [ROW], [ROW], number) == ["threshold"]
    if number not in (0, True):
        assert wheres(rung.verdict, HALF, WHOLE, margin=number) == ["margin"]


def test_wrong_scores_are_refused_all_at_once() -> None:
    with pytest.raises(InputError, match="baseline 1, tuned 2"):
        rung.verdict([1.0], [1.0, 0.0])
    wrong: Any = ([1.0, 2.0, True], [1.0, float("nan"), "1"])
    assert wheres(rung.verdict, *wrong) == ["baseline[1]", "baseline[2]", "tuned[1]", "tuned[2]"]
    for nothing in ([], {}):
        with pytest.raises(InputError, match="no item"):
            rung.verdict(nothing, [])
    with pytest.raises(InputError, match="clusters 1"):
        rung.verdict([1.0, 0.0], [1.0, 1.0], clusters=["a"])
    for values in (None, "1101", 1.0):
        assert wheres(rung.verdict, HALF, values) == ["tuned"]
    for chosen in (None, "c", 3):
        assert wheres(rung.verdict, {"a": HALF, "b": HALF}, WHOLE, chosen=chosen) == ["chosen"]
    assert wheres(rung.decide, {"examples": 3}) and wheres(rung.decide, as_of="2026-01-01"), "facts are given by name"


def test_arms_and_clusters_may_be_named_by_numbers() -> None:
    found = rung.verdict({1: HALF, 2: WHOLE}, WHOLE, chosen=1, clusters=[0, "0", 1, "1", 2] * 12)
    assert (found.chosen, found.baseline, found.clusters) == ("1", 0.5, 3)
    assert rung.verdict({1: HALF, 2: WHOLE}, WHOLE, chosen="2").chosen == "2"
    assert wheres(rung.verdict, {1: HALF, "1": WHOLE}, WHOLE, chosen=1) == ["baseline"]


def test_any_list_of_numbers_will_do() -> None:
    plain = rung.verdict(HALF, WHOLE)
    arrays = rung.verdict(np.array([0, 1] * 30), np.ones(60, np.float32))
    iterators = rung.verdict((n % 2 for n in range(60)), iter(WHOLE), clusters=range(60))  # type: ignore[arg-type]
    assert plain.difference == arrays.difference == iterators.difference == 0.5
    assert (iterators.low, iterators.clusters) == (plain.low, 60)


def test_margin_and_clusters_are_heeded() -> None:
    one, other = [0.0, 1.0] * 60, [1.0, 1.0] * 60
    assert rung.verdict(one, other).verdict == "ship" and rung.verdict(one, other, margin=0.6).verdict != "ship"
    assert rung.verdict(one, other, clusters=["a", "b"] * 60).verdict == "need_more_data"
