"""The questionnaire: short where a prompt or retrieval is the answer, never a dead end, nothing asked that is known."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

from advisor.answer_file import from_table
from advisor.answers import FACTS, Answers
from advisor.decide import verdict_of
from advisor.interview import (
    LONG_WAY,
    SHORT_WAY,
    SHORTEST_WAY,
    askable,
    effects,
    hanging_rules,
    moot,
    next_question,
    progress,
)
from advisor.rulefiles import load_rulebook

BOOK = load_rulebook()


def walk(known: dict[str, Any]) -> tuple[Answers, list[str]]:
    """Answer as somebody who knows `known` and nothing else."""
    answers, way = Answers(), list[str]()
    while (question := next_question(BOOK, answers)) is not None:
        way.append(question.id)
        answers = said(answers, question.id, known.get(question.id))
        assert len(way) <= LONG_WAY
    return answers, way


def said(answers: Answers, key: str, value: Any) -> Answers:
    note = {"by": "sam", "at": "2026-11-25", "from": "said"}
    return answers.with_changes(**{key: value}, answered={**answers.answered, key: note})


def test_on_published_projects_the_way_is_short_and_ends_where_all_they_know_leads() -> None:
    cases = tomllib.loads((Path(__file__).parents[1] / "cases" / "field.toml").read_text())["case"]
    same, lengths = 0, list[int]()
    for case in cases:
        answers, way = walk(case["answers"])
        end = verdict_of(BOOK, answers)
        if end.destination in ("prompt", "rag"):
            assert SHORTEST_WAY <= len(way) <= SHORT_WAY + 2, case["title"]
            lengths.append(len(way))
        same += end.outcome == verdict_of(BOOK, from_table(case["answers"])).outcome
    assert same >= 0.8 * len(cases) and sum(lengths) <= SHORT_WAY * len(lengths)


def test_tuning_takes_at_most_twelve() -> None:
    known = {
        "task": "classification", "prompting": "insufficient", "failure": "breaks_rules", "few_shot": "insufficient",
        "private_knowledge": False, "breadth": "narrow", "prompt_effort_days": 8, "examples": 3000, "classes": 4,
        "reviewed_examples": 2000, "smallest_class": 300, "model_access": "open",
    }  # fmt: skip
    answers, way = walk(known)
    assert verdict_of(BOOK, answers).outcome == ("fine_tune", "fine_tune")
    assert SHORT_WAY < len(way) <= LONG_WAY and way[-1] == "model_access", "what settles the method comes last"


def test_every_leaf_ends_in_advice_and_dont_know_is_never_a_dead_end() -> None:
    rng = random.Random(7)
    answers, way = walk({})
    assert verdict_of(BOOK, answers).next_step == "prompt" and len(way) <= SHORT_WAY
    for _ in range(60):
        known: dict[str, Any] = {}
        for key, fact in FACTS.items():
            options = [None, *(fact.values or ((True, False) if fact.kind == "boolean" else ()))]
            known[key] = rng.choice(options) if not fact.numeric else None
        answers, way = walk(known)
        assert verdict_of(BOOK, answers).next_step
        assert len(way) == len(set(way))


def test_what_recommends_from_own_data_is_asked_for_live_systems() -> None:
    _, way = walk({"task": "agent", "private_knowledge": True, "prompting": "weak_effort"})
    assert "live_systems" not in way
    answers = Answers(task="recommendation", prompting="weak_effort", private_knowledge=True)
    while (question := next_question(BOOK, answers)) is not None and question.id != "live_systems":
        answers = said(answers, question.id, None)
    assert question is not None


def test_what_was_measured_is_neither_asked_nor_counted_as_asked() -> None:
    answers = from_table({"task": "chat", "prompting": "insufficient"})
    measured = answers.with_changes(examples=200, answered={"examples": {"from": "measured", "by": "rung"}})
    assert "examples" in askable(BOOK, answers) and "examples" not in askable(BOOK, measured)
    assert progress(BOOK, measured).asked == 2


def test_what_became_moot_is_kept() -> None:
    answers = from_table({"task": "classification", "prompting": "insufficient", "examples": 600, "classes": 5})
    assert "classes" not in moot(BOOK, answers)
    changed = answers.with_changes(task="writing", classes=5)
    assert "classes" in moot(BOOK, changed) and changed.classes == 5


def test_the_effects_of_each_answer_are_those_of_giving_it() -> None:
    table = {"task": "classification", "prompting": "insufficient", "few_shot": "untried", "private_knowledge": False}
    answers = from_table(table)
    for key in ("failure", "breadth", "few_shot", "examples", "model_access"):
        found = effects(BOOK, answers, key)
        assert found
        for effect in found:
            given = from_table({**table, key: effect.value})
            assert verdict_of(BOOK, given).outcome == (effect.next_step, effect.destination)
    assert {effect.destination for effect in effects(BOOK, answers, "failure")} >= {"rag", "few_shot"}


def test_why_do_you_ask_shows_the_rules_that_hang_on_it() -> None:
    rules = {rule.id for rule in hanging_rules(BOOK, "examples")}
    assert {"too-few-examples", "examples-in-hand", "gate-reviewed-only", "size-style"} <= rules
    assert all(hanging_rules(BOOK, key) for key in FACTS if key not in ("wants", "incumbent_model"))
