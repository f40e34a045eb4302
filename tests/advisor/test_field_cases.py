"""How the advice does, as a whole, on published projects that no rule was written with (tests/cases/field.toml)."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from worked import CASES, FIELD

from advisor.answer_file import from_table
from advisor.decide import verdict_of
from advisor.rulefiles import load_rulebook

BOOK = load_rulebook()
FIELDS = tomllib.loads((CASES / f"{FIELD}.toml").read_text())["case"]


def judged(cases: list[dict[str, Any]]) -> dict[str, float]:
    """Shares: destination acceptable, best and forbidden, next step acceptable."""
    tally = dict.fromkeys(("acceptable", "best", "forbidden", "next"), 0)
    for case in cases:
        expect, (step, end) = case["expect"], verdict_of(BOOK, from_table(case["answers"])).outcome
        tally["acceptable"] += end in expect["destination"]
        tally["best"] += end == expect["best"]
        tally["forbidden"] += end in expect["never"]
        tally["next"] += step in expect["next_step"]
    return {name: hits / len(cases) for name, hits in tally.items()}


def test_the_advice_holds_on_projects_it_was_not_written_with() -> None:
    share = judged(FIELDS)
    assert len(FIELDS) >= 60
    assert share["acceptable"] >= 0.9 and share["best"] >= 0.7
    assert share["forbidden"] <= 0.02 and share["next"] >= 0.92


def test_one_answer_that_is_not_known_does_little_harm() -> None:
    hidden = [
        {**case, "answers": {k: v for k, v in case["answers"].items() if k != key}}
        for case in FIELDS
        for key in case["answers"]
        if key != "task"
    ]
    share = judged(hidden)
    assert share["acceptable"] >= 0.9 and share["forbidden"] <= 0.02 and share["next"] >= 0.88
