"""Properties that hold for every answer set, proved by enumeration over the discrete answers that matter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from advisor.answers import FACTS
from advisor.conditions import OPTIONS, derive, holds
from advisor.contradictions import consistent
from advisor.counterfactual import Neighbours
from advisor.engine import PARTS, Engine, Verdict, engine_of
from advisor.rulebook import Rule, load_rulebook

BOOK = load_rulebook()
ENGINE: Engine = engine_of(BOOK)
RUNG = {option: place for place, option in enumerate(OPTIONS)}
TUNED = {"fine_tune", "rag_and_fine_tune"}

GRID: dict[str, tuple[Any, ...]] = {
    "task": (None, "classification", "question_answering", "style"),
    "prompting": (None, "untried", "weak_effort", "partial", "insufficient", "works_but_costly", "works"),
    "few_shot": (None, "untried", "insufficient", "works"),
    "rag": (None, "insufficient", "works"),
    "failure": (None, "missing_facts", "breaks_rules", "weak_reasoning"),
    "private_knowledge": (None, True, False),
    "knowledge_change": (None, "never", "weekly"),
    "output_form": (None, "strict"),
    "domain_behaviour": (None, True),
    "examples": (None, 30, 3000),
    "breadth": (None, "general"),
    "model_access": (None, "hosted_only", "open"),
}
"""870,912 sets in all; every seventh of them is run."""
STRIDE = 7


def verdict(values: dict[str, Any]) -> Verdict:
    known = {key: value for key, value in values.items() if value is not None}
    return ENGINE.verdict(ENGINE.mask({**known, **derive(known)}))


def answer_sets() -> Iterator[dict[str, Any]]:
    keys = list(GRID)
    for combination in itertools.islice(itertools.product(*GRID.values()), 0, None, STRIDE):
        yield {key: value for key, value in zip(keys, combination, strict=True) if value is not None}


@cache
def standing(kind: str) -> tuple[Rule, ...]:
    return tuple(BOOK.of(kind))


def vetoed(values: dict[str, Any], *, now: bool) -> set[str]:
    """The options that a veto forbids, by the plain reading of the rules: no masks, no memory."""
    facts = {**values, **derive(values)}
    found: set[str] = set()
    for rule in standing("veto"):
        if rule.effect["blocks"] == ("next_step" if now else "destination") and _holds(rule, facts):
            found |= set(rule.effect["forbids"])
    if now:
        for size in standing("size"):
            task = values.get("task") or "unknown"
            have = facts["class_floor" if size.effect.get("per_class") else "usable_examples"]
            if task in size.effect["tasks"] and have is not None and have < size.effect["minimum"]:
                found |= TUNED
    return found


def _holds(rule: Rule, facts: dict[str, Any]) -> bool:
    return holds(rule.when, facts) is True and not any(holds(part, facts) is True for part in rule.unless)


def test_no_option_is_advised_against_a_veto_and_none_above_one_that_covers_every_need() -> None:
    count = 0
    for values in answer_sets():
        if not consistent(values):
            continue
        count += 1
        found = verdict(values)
        assert found.destination not in vetoed(values, now=False), values
        assert found.next_step not in vetoed(values, now=False), values
        assert found.next_step not in vetoed(values, now=True), values
        assert_lowest(values, found)
        assert RUNG[found.next_step] <= RUNG[found.destination], values
        if values.get("prompting") == "works" and "failure" not in values and found.kept:
            assert found.outcome == ("prompt", "prompt")
    assert count >= 100_000


def assert_lowest(values: dict[str, Any], found: Verdict) -> None:
    """No lower plan that is allowed covers every need that stands (cells read plainly, here again)."""
    forbidden = vetoed(values, now=False)
    for option in OPTIONS[: RUNG[found.destination]]:
        if option in forbidden or found.kept:
            continue
        assert not all(covered(option, need, found, forbidden) for need in found.needs), (values, option)


def covered(option: str, need: Rule, found: Verdict, forbidden: set[str]) -> bool:
    for part in PARTS[option]:
        if part == "few_shot" and part in forbidden:
            continue
        cell, fared = need.effect["cells"][part], found.status.get(part)
        quality = need.effect["kind"] != "cost"
        if cell in ("best", "yes") or (cell == "partly" and fared not in ("insufficient", "partial")):
            return True
        if cell in ("hardly", "unlikely") and (fared == "works" or (fared == "costly" and quality)):
            return True
    return False


@pytest.mark.parametrize("rung", ["few_shot", "rag", "fine_tuning"])
def test_trying_a_rung_and_failing_never_moves_the_next_step_down(rung: str) -> None:
    for values in answer_sets():
        before = verdict({**values, rung: "untried"})
        after = verdict({**values, rung: "insufficient"})
        assert RUNG[after.next_step] >= RUNG[before.next_step], (values, before.outcome, after.outcome)


def test_more_work_on_the_prompt_without_reaching_the_goal_never_moves_the_next_step_down() -> None:
    for values in answer_sets():
        steps = [
            RUNG[verdict({**values, "prompting": how}).next_step]
            for how in ("untried", "weak_effort", "partial", "insufficient")
        ]
        assert steps == sorted(steps), values


def test_more_reviewed_data_never_lowers_the_standing_of_fine_tuning() -> None:
    for values in answer_sets():
        standing_before = (False, False)
        for reviewed in (0, 30, 60, 200, 700, 1500, 20_000):
            found = verdict({**values, "examples": 20_000, "reviewed_examples": reviewed})
            now = (found.destination in TUNED, found.next_step in TUNED)
            assert now >= standing_before, (values, reviewed)
            standing_before = now


def test_hiding_an_answer_brings_a_vetoed_option_only_where_that_question_is_open() -> None:
    for values in itertools.islice(answer_sets(), 0, None, 29):
        if not consistent(values):
            continue
        found = verdict(values)
        blocked = set(found.vetoes)
        for key in values:
            rest = {name: value for name, value in values.items() if name != key}
            hidden = verdict(rest)
            assert hidden.destination not in vetoed(rest, now=False)
            brought = ({hidden.destination, hidden.next_step} & blocked) | ({hidden.next_step} & set(found.waits))
            if brought:
                near = Neighbours(ENGINE, rest)
                assert any(flip.was is None for flip in near.singles(key)), (values, key)


def test_the_grid_reads_only_known_answers() -> None:
    assert set(GRID) <= set(FACTS)
    for key, values in GRID.items():
        for value in values:
            assert value is None or not FACTS[key].values or value in FACTS[key].values
