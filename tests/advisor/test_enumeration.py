"""Properties that hold for every answer set, proved by enumeration over the discrete answers that matter."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from advisor.answers import consistent
from advisor.counterfactual import NearbyAnswers
from advisor.followup import applies
from advisor.ladder import PARTS, LadderVerdict, engine_of
from advisor.rulebook import OPTIONS, Rule, derive
from advisor.rulefiles import load_rulebook

BOOK = load_rulebook()
ENGINE = engine_of(BOOK)
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
"""870,912 sets in all; every 197th of them is run, every 13th by `make slow`."""
STRIDES = pytest.mark.parametrize("stride", [197, pytest.param(13, marks=pytest.mark.slow)])
STEPS = pytest.mark.parametrize("stride", [61, pytest.param(1, marks=pytest.mark.slow)])
"""Of the sets without an answer that the test itself varies every 61st is run, all of them by `make slow`."""


def verdict(values: dict[str, Any]) -> LadderVerdict:
    return ENGINE.verdict(ENGINE.mask({**values, **derive(values)}))


def answer_sets(stride: int, *without: str) -> Iterator[dict[str, Any]]:
    keys = [key for key in GRID if key not in without]
    for combination in itertools.islice(itertools.product(*(GRID[key] for key in keys)), 0, None, stride):
        yield {key: value for key, value in zip(keys, combination, strict=True) if value is not None}


def vetoed(values: dict[str, Any], *, now: bool) -> set[str]:
    """The options that a veto forbids, by the plain reading of the rules: no masks."""
    facts = {**values, **derive(values)}
    found: set[str] = set()
    for rule in BOOK.of("veto"):
        if rule.effect["blocks"] == ("next_step" if now else "destination") and applies(rule, facts):
            found |= set(rule.effect["forbids"])
    for size in BOOK.of("size") if now else ():
        if (values.get("task") or "unknown") in size.effect["tasks"]:
            have = facts["class_floor" if size.effect.get("per_class") else "usable_examples"]
            written = values.get("prompting") == "works_but_costly"
            found |= TUNED if not written and have is not None and have < size.effect["minimum"] else set()
    return found


@STRIDES
def test_no_option_is_advised_against_a_veto_and_none_above_one_that_covers_every_need(stride: int) -> None:
    count = 0
    for values in answer_sets(stride):
        if not consistent(values):
            continue
        count += 1
        found, forbidden = verdict(values), vetoed(values, now=False)
        assert found.destination not in forbidden, values
        assert found.next_step not in forbidden | vetoed(values, now=True), values
        for option in () if found.kept else OPTIONS[: RUNG[found.destination]]:
            covers = option not in forbidden and all(covered(option, need, found, forbidden) for need in found.needs)
            assert not covers, (values, option)
        assert RUNG[found.next_step] <= RUNG[found.destination], values
        if values.get("prompting") == "works" and "failure" not in values and found.kept:
            assert found.outcome == ("prompt", "prompt")
    assert count >= 700_000 // stride


def covered(option: str, need: Rule, found: LadderVerdict, forbidden: set[str]) -> bool:
    """Tell whether a plan covers a need: the cells read plainly, here again."""
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
@STEPS
def test_trying_a_rung_and_failing_never_moves_the_next_step_down(rung: str, stride: int) -> None:
    for values in answer_sets(stride, rung):
        before, after = (verdict({**values, rung: how}).next_step for how in ("untried", "insufficient"))
        assert RUNG[after] >= RUNG[before], values


@STEPS
def test_more_work_on_the_prompt_without_reaching_the_goal_never_moves_the_next_step_down(stride: int) -> None:
    efforts = ("untried", "weak_effort", "partial", "insufficient")
    for values in answer_sets(stride, "prompting"):
        steps = [RUNG[verdict({**values, "prompting": how}).next_step] for how in efforts]
        assert steps == sorted(steps), values


@STEPS
def test_more_reviewed_data_never_lowers_the_standing_of_fine_tuning(stride: int) -> None:
    for values in answer_sets(stride, "examples"):
        before = (False, False)
        for reviewed in (0, 30, 60, 200, 700, 1500, 20_000):
            found = verdict({**values, "examples": 20_000, "reviewed_examples": reviewed})
            now = (RUNG[found.destination] >= RUNG["fine_tune"], RUNG[found.next_step] >= RUNG["fine_tune"])
            assert now >= before, (values, reviewed)
            before = now


@STRIDES
def test_hiding_an_answer_brings_a_vetoed_option_only_where_that_question_is_open(stride: int) -> None:
    for values in itertools.islice(answer_sets(stride), 0, None, 29):
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
                near = NearbyAnswers(ENGINE, rest)
                assert any(flip.was is None for flip in near.singles(key)), (values, key)
