"""The public JSON of random partial answer sets: what it claims holds when run, and nothing is left out."""

from __future__ import annotations

import json
import random
from datetime import date
from typing import Any

import pytest

from advisor.answer_file import from_table
from advisor.answers import FACTS, UNASKED
from advisor.contradictions import consistent
from advisor.counterfactual import NearbyAnswers
from advisor.decide import SILENT, decide, verdict_of
from advisor.ladder import engine_of
from advisor.rulefiles import load_rulebook

BOOK = load_rulebook()
DAY = date(2026, 11, 25)
COUNTS = {
    "prompt_effort_days": [0, 1, 4.5, 5, 12],
    "examples": [0, 12, 49, 50, 73, 100, 450, 500, 1000, 9_999, 150_000],
    "reviewed_examples": [0, 12, 49, 50, 100, 450, 1000],
    "classes": [1, 2, 12, 230],
    "smallest_class": [0, 7, 50, 100, 500],
    "calls_per_day": [0, 300, 1000, 49_999, 50_000, 3_000_000],
    "gpus": [0, 1, 4],
    "gpu_memory_gb": [0, 12, 24, 80],
    "model_size_b": [0.6, 8, 70],
    "goal_score": [0, 0.75, 1],
}
KEYS = [key for key in FACTS if key not in SILENT and FACTS[key].kind != "text"]


def answers_to(key: str) -> list[Any]:
    fact = FACTS[key]
    return COUNTS.get(key, [0, 100]) if fact.numeric else list(fact.values or (True, False))


def random_sets(count: int, seed: int) -> list[dict[str, Any]]:
    rng, found = random.Random(seed), list[dict[str, Any]]()
    while len(found) < count:
        keys = rng.sample(KEYS, rng.choice([0, 1, 2, 4, 6, 8, 12, 20]))
        table = {key: rng.choice(answers_to(key)) for key in keys}
        if consistent(table):
            found.append(table)
    return found


def public(table: dict[str, Any]) -> dict[str, Any]:
    shown = json.loads(decide(BOOK, from_table(table), DAY).to_bytes())
    assert isinstance(shown, dict)
    return shown


def outcome(table: dict[str, Any]) -> tuple[str, str] | None:
    return verdict_of(BOOK, from_table(table)).outcome if consistent(table) else None


def check(table: dict[str, Any]) -> None:
    shown = public(table)
    now = (shown["next_step"], shown["destination"])
    for change in shown["would_change"]:
        again = outcome({**table, change["question"]: change["to"]})
        assert again == (change["next_step"], change["destination"]) != now
        assert change["question"] in FACTS and change["from"] == table.get(change["question"], "unknown")
        assert change["to"] in FACTS[change["question"]].values or isinstance(change["to"], (bool, int, float))
    moving = {
        key
        for key in KEYS
        if key not in table and key not in UNASKED
        for value in answers_to(key)
        if outcome({**table, key: value}) not in (now, None)
    }
    assert moving <= set(shown["open_questions"])
    assert shown["provisional"] is bool(shown["open_questions"])
    assert {c["question"] for c in shown["would_change"] if c["from"] == "unknown"} == set(shown["open_questions"])
    assert value_order(table, shown["open_questions"]) == shown["open_questions"]


def value_order(table: dict[str, Any], keys: list[str]) -> list[str]:
    """By how many next steps, then outcomes, then answers a question leads to, counted afresh."""
    near = NearbyAnswers(engine_of(BOOK), {k: v for k, v in table.items() if k not in SILENT})

    def worth(key: str) -> tuple[int, int, int]:
        flips = near.singles(key)
        return len({f.outcome[0] for f in flips}), len({f.outcome for f in flips}), len(flips)

    return sorted(keys, key=worth, reverse=True)


def test_claims_hold_and_none_is_missing() -> None:
    for table in random_sets(120, seed=1):
        check(table)


@pytest.mark.slow
def test_claims_hold_and_none_is_missing_on_a_thousand_sets() -> None:
    for table in random_sets(1000, seed=2):
        check(table)
