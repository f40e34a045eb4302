"""The worked cases of tests/cases: what an expert would say."""

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

BOOK = load_rulebook()
CASES = cases()
STATE = {True: "passed", False: "not passed", None: "open"}
SAME = {"action": "action", "method": "method", "variant": "variant", "base": "base"}


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name[:70] for name, _ in CASES])
def test_the_advice_is_acceptable(case: dict[str, Any]) -> None:
    got, expect = advice_for(BOOK, case), case["expect"]
    for part in ("next_step", "destination"):
        assert got[part] in expect.get(part, [got[part]])
        assert got[part] not in expect.get("never", [])
    assert got["next_step"] not in expect.get("never_next", [])
    for key, part in SAME.items():
        if key in expect:
            assert got[part] == expect[key]
    if "gate" in expect:
        assert got["gates"].get(expect["gate"], True) is not True
    for gate, state in expect.get("gate_state", {}).items():
        assert STATE[got["gates"][gate]] == state
    if "data" in expect:
        assert list(got["data"][:2]) == expect["data"]


def test_there_are_enough_and_each_has_its_source() -> None:
    assert len(CASES) >= 60
    for _, case in CASES:
        assert case["source"]
        assert all(name.partition(":")[0] in BOOK.sources for name in case["source"])
        assert case.keys() <= {"title", "source", "answers", "expect", "shows"}


def advised(book: Rulebook, case: dict[str, Any]) -> dict[str, Any] | None:
    """The advice, or None where no action or size is left."""
    try:
        return advice_for(book, case)
    except (AssertionError, IndexError):
        return None


@pytest.mark.slow
def test_dropping_a_rule_changes_a_worked_case() -> None:
    worked = [(case, advice_for(BOOK, case)) for _, case in CASES]
    idle = []
    for rule in BOOK.rules:
        if not rule.explains and rule.kind != "workload":  # tests/training/monitoring/test_workloads.py
            without = replace(BOOK, rules=tuple(other for other in BOOK.rules if other is not rule), engines={})
            shown_first = sorted(worked, key=lambda pair: pair[0].get("shows") != rule.id)
            if all(advised(without, case) == before for case, before in shown_first):
                idle.append(rule.id)
    assert idle == []
    assert sum(rule.explains for rule in BOOK.rules) * 3 <= len(BOOK.rules)
