"""Each rule earns its place: without it some worked case would be advised otherwise."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from worked import advice_for, cases

from advisor.rulebook import Rulebook
from advisor.rulefiles import load_rulebook


def advised(book: Rulebook, case: dict[str, Any]) -> dict[str, Any] | None:
    """The advice, or None where no action or size is left."""
    try:
        return advice_for(book, case)
    except (AssertionError, IndexError):
        return None


@pytest.mark.slow
def test_dropping_a_rule_changes_a_worked_case() -> None:
    book = load_rulebook()
    worked = [(case, advice_for(book, case)) for _, case in cases()]
    idle = []
    for rule in book.rules:
        if not rule.explains and rule.kind != "workload":  # tests/training/monitoring/test_workloads.py
            without = replace(book, rules=tuple(other for other in book.rules if other is not rule), engines={})
            shown_first = sorted(worked, key=lambda pair: pair[0].get("shows") != rule.id)
            if all(advised(without, case) == before for case, before in shown_first):
                idle.append(rule.id)
    assert idle == []
    assert sum(rule.explains for rule in book.rules) * 3 <= len(book.rules)
