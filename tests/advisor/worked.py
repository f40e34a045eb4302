"""The worked cases of tests/cases and what is compared of an answer set's advice."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from advisor.answer_file import from_table
from advisor.decide import verdict_of
from advisor.followup import action_of, data_of, gates_of, method_of, outcome_facts
from advisor.rulebook import Rulebook

CASES = Path(__file__).resolve().parents[1] / "cases"
FIELD = "field"


def cases() -> list[tuple[str, dict[str, Any]]]:
    """(file and title, case) of every worked case; field.toml is scored as a whole instead."""
    found = []
    for path in sorted(CASES.glob("*.toml")):
        if path.stem == FIELD:
            continue
        for case in tomllib.loads(path.read_text())["case"]:
            found.append((f"{path.stem}: {case['title']}", case))
    return found


def advice_for(book: Rulebook, case: dict[str, Any]) -> dict[str, Any]:
    """Everything of the advice for a case that a rule may decide: steps, action, method, gates, data."""
    answers = from_table(case["answers"])
    verdict = verdict_of(book, answers)
    facts = outcome_facts(answers.deciding(), verdict)
    method, data = method_of(book, facts), data_of(book, facts)
    action = action_of(book, facts)
    return {
        "next_step": verdict.next_step,
        "destination": verdict.destination,
        "action": action.name,
        "action_rule": action.rule,
        "method": method.name,
        "variant": method.variant,
        "base": method.base_model,
        "gates": {gate.id: gate.passed for gate in gates_of(book, facts, data)},
        "data": (data.minimum, data.recommended, data.have, data.enough),
    }
