"""Advice after a baseline: keep, no language model, more data, or tuning is allowed."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

import pytest

from advisor.answer_file import from_table
from advisor.answers import UNASKED
from advisor.decide import decide
from advisor.decision import Decision
from advisor.rulefiles import load_rulebook
from rung.demo.walk import HERE

BOOK = load_rulebook()
HOUSE = tomllib.loads((HERE / "project" / "answers.toml").read_text())
DAY = date(2026, 11, 25)
CHAPTERS = {**HOUSE, "task": "classification", "calls_per_day": 500, "goal_score": 0.75}
SHORT = {"prompting": "insufficient", "few_shot": "insufficient", "rag": "insufficient"}
ROWS = {"examples": 450, "reviewed_examples": 450, "test_set": True}
CLASSES = {"classes": 12, "smallest_class": 20, "examples": 276, "reviewed_examples": 276}
STOPS = {"collect_more_data", "needs_test_set", "prompted_baseline", "use_reviewed_only", "failed_tune_understood"}
"""Gates that stand before a run, not beside it."""


def advised(table: dict[str, Any], **more: Any) -> Decision:
    return decide(BOOK, from_table({**table, **more}), DAY)


@pytest.mark.parametrize("answers", [HOUSE, CHAPTERS], ids=["house", "chapter"])
def test_before_measuring_the_demo_is_told_to_try_examples(answers: dict[str, Any]) -> None:
    for known in ({}, ROWS):
        decision = advised(answers, **known)
        assert decision.next_step in ("prompt", "few_shot") and decision.action.name in ("climb", "measure")


def test_measured_shortfall_with_reviewed_rows_opens_the_door() -> None:
    for classifier in ({}, {"classifier": "insufficient"}, {"classifier": "untried"}):
        decision = advised(HOUSE, **SHORT, **ROWS, **classifier)
        assert (decision.next_step, decision.destination, decision.action.name) == ("fine_tune", "fine_tune", "climb")
        assert decision.method.name in ("lora", "qlora")
        assert not {gate.id for gate in decision.gates if gate.passed is False} & STOPS


@pytest.mark.parametrize("answers", [HOUSE, CHAPTERS], ids=["house", "chapter"])
@pytest.mark.parametrize("prompting", ["untried", "weak_effort", "partial", "insufficient", "works"])
def test_a_classifier_that_works_ends_it(answers: dict[str, Any], prompting: str) -> None:
    table = {key: value for key, value in answers.items() if key != "prompt_effort_days"}
    decision = advised(table, **{**SHORT, "prompting": prompting}, **ROWS, classifier="works")
    assert (decision.next_step, decision.destination, decision.action.name) == ("prompt", "prompt", "no_llm")
    assert decision.settled and decision.reasons[0].rule == "classifier-does"
    assert all("classifier-does" in {r.rule for r in rules} for rules in decision.why_not.values())


def test_a_classifier_is_measured_first_unless_facts_are_missing() -> None:
    answers = {"task": "classification", "classifier": "untried", "breadth": "narrow", "examples": 2000}
    short = {"task": "extraction", "classifier": "untried", "prompting": "insufficient", "few_shot": "insufficient"}
    for table in (answers, {**answers, **short}, short):
        decision = advised(table)
        assert decision.action.name == "measure" and "fine_tune" not in decision.next_step + decision.destination
    decision = advised(answers, failure="missing_facts")
    assert (decision.next_step, decision.action.name) == ("rag", "climb")


def test_few_rows_in_each_class_wait_for_more() -> None:
    decision = advised(CHAPTERS, **SHORT, **{**ROWS, **CLASSES}, classifier="insufficient")
    assert decision.next_step == "few_shot" and decision.action.name == "more_data"
    assert not decision.data.enough


def test_what_is_volunteered_is_never_an_open_question() -> None:
    for known in ({}, {"task": "reasoning", "prompting": "insufficient"}, HOUSE):
        decision = advised(known)
        named = {change["question"] for change in decision.would_change} | set(decision.open_questions)
        assert not named & UNASKED
    back = advised(HOUSE, **SHORT, **ROWS, classifier="works")
    assert any(change["question"] == "classifier" for change in back.would_change)
