"""docs/python.md is run: every block that prints, with its output; and what the functions do with wrong values."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import rung
from workspace.errors import InputError, RungError

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


def test_wrong_rows_are_named_all_at_once() -> None:
    with pytest.raises(InputError) as error:
        rung.dedup([{"question": "q", "answer": "a"}, {"quesion": "q", "answer": "a"}, {"nothing": 1}])
    assert "rows[1]" in error.value.message and "rows[2]" in error.value.message
    with pytest.raises(InputError, match=r"test\[0\]"):
        rung.leakage(train=[{"text": "a"}], test=[{}])


def test_wrong_scores_are_refused() -> None:
    with pytest.raises(RungError, match="baseline 1, tuned 2"):
        rung.verdict([1.0], [1.0, 0.0])
    with pytest.raises(InputError):
        rung.verdict([1.0, 2.0], [1.0, float("nan")])
    with pytest.raises(RungError):
        rung.verdict([], [])
    with pytest.raises(RungError, match="clusters 1"):
        rung.verdict([1.0, 0.0], [1.0, 1.0], clusters=["a"])


def test_margin_and_clusters_are_heeded() -> None:
    one, other = [0.0, 1.0] * 60, [1.0, 1.0] * 60
    assert rung.verdict(one, other).verdict == "ship" and rung.verdict(one, other, margin=0.6).verdict != "ship"
    assert rung.verdict(one, other, clusters=["a", "b"] * 60).verdict == "need_more_data"
