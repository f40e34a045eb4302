"""Worked cases (what an expert would say), and published projects: scored as a whole, or only well-formed."""

from dataclasses import replace
from typing import Any

import pytest
from worked import FIELD, cases

from advisor.answer_file import from_table
from advisor.decide import verdict_of
from advisor.followup import action_of, data_of, gates_of, method_of, outcome_facts
from advisor.rulebook import Rulebook
from advisor.rulefiles import load_rulebook

BOOK = load_rulebook()
WORKED = cases()
STATE = {True: "passed", False: "not passed", None: "open"}


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


@pytest.mark.parametrize("case", [case for _, case in WORKED], ids=[name[:70] for name, _ in WORKED])
def test_the_advice_is_acceptable(case: dict[str, Any]) -> None:
    got, expect = advice_for(BOOK, case), case["expect"]
    for part in ("next_step", "destination"):
        assert got[part] in expect.get(part, [got[part]])
        assert got[part] not in expect.get("never", [])
    assert got["next_step"] not in expect.get("never_next", [])
    for key in expect.keys() & {"action", "method", "variant", "base"}:
        assert got[key] == expect[key]
    if "gate" in expect:
        assert got["gates"].get(expect["gate"], True) is not True
    for gate, state in expect.get("gate_state", {}).items():
        assert STATE[got["gates"][gate]] == state
    if "data" in expect:
        assert list(got["data"][:2]) == expect["data"]


def test_there_are_enough_and_each_has_its_source() -> None:
    assert len(WORKED) >= 60
    for _, case in WORKED:
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
    worked = [(case, advice_for(BOOK, case)) for _, case in WORKED]
    idle = []
    for rule in BOOK.rules:
        if not rule.explains and rule.kind != "workload":  # tests/training/monitoring/test_workloads.py
            without = replace(BOOK, rules=tuple(other for other in BOOK.rules if other is not rule), engines={})
            shown_first = sorted(worked, key=lambda pair: pair[0].get("shows") != rule.id)
            if all(advised(without, case) == before for case, before in shown_first):
                idle.append(rule.id)
    assert idle == []
    assert sum(rule.explains for rule in BOOK.rules) * 3 <= len(BOOK.rules)


def test_the_advice_holds_on_projects_it_was_not_written_with() -> None:
    tally = dict.fromkeys(("acceptable", "best", "forbidden", "next"), 0)
    for case in FIELD:
        expect, (step, end) = case["expect"], verdict_of(BOOK, from_table(case["answers"])).outcome
        tally["acceptable"] += end in expect["destination"]
        tally["best"] += end == expect["best"]
        tally["forbidden"] += end in expect["never"]
        tally["next"] += step in expect["next_step"]
    share = {name: hits / len(FIELD) for name, hits in tally.items()}
    assert len(FIELD) >= 60
    assert share["acceptable"] >= 0.9 and share["best"] >= 0.7
    assert share["forbidden"] <= 0.02 and share["next"] >= 0.92
