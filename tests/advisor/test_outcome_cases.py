"""The published projects with outcomes (tests/cases/outcomes) are well-formed; the advice is not run on them here."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from worked import CASES

from advisor.answer_file import from_table
from advisor.rulebook import OPTIONS

OUTCOMES: list[dict[str, Any]] = [
    case for path in sorted((CASES / "outcomes").glob("*.toml")) for case in tomllib.loads(path.read_text())["case"]
]
READ = {"page", "abstract", "excerpt", "summary"}


def test_each_project_is_there_once() -> None:
    assert len(OUTCOMES) >= 90
    for key in ("id", "title"):
        assert len({case[key] for case in OUTCOMES}) == len(OUTCOMES), key


@pytest.mark.parametrize("case", OUTCOMES, ids=lambda case: case["id"])
def test_a_project_has_its_source_its_answers_and_a_label_that_agrees_with_itself(case: dict[str, Any]) -> None:
    assert case.get("page", "https://").startswith("https://") and case["source"] and case["outcome"]
    assert case["read"] in READ and case["confidence"] in ("high", "medium", "low") and 2023 <= case["year"] <= 2026
    assert from_table(case["answers"]).known() == case["answers"]
    expect = case["expect"]
    assert expect["best"] in expect["destination"] and expect["next_step"]
    assert not set(expect["destination"]) & set(expect["never"])
    assert {*expect["destination"], *expect["never"], *expect["next_step"]} <= {*OPTIONS, "no_llm"}
