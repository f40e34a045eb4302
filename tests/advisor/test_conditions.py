"""Derived facts, bounds and conditions at their edges, and that the compiled form agrees with the plain one there."""

from __future__ import annotations

from datetime import date

from advisor.answers import Answers
from advisor.counterfactual import Flip
from advisor.decide import decide, open_questions, ordered, verdict_of
from advisor.ladder import engine_of
from advisor.rulebook import ALL_FACTS, THIN, Bounds, Condition, derive, holds
from advisor.rulefiles import load_rulebook


def test_examples_that_are_usable_and_those_not_reviewed() -> None:
    assert set(derive({}).values()) == {None}
    for given, usable, unreviewed in (
        ({"examples": 100}, 100, None),
        ({"examples": 100, "reviewed_examples": 40}, 40, 60),
        ({"examples": 30, "reviewed_examples": 40}, 40, 0),
        ({"reviewed_examples": 40}, None, None),
        ({"examples": 100, "reviewed_examples": 0}, 0, 100),
    ):
        found = derive(given)
        assert (found["usable_examples"], found["unreviewed"]) == (usable, unreviewed), given


def test_the_smallest_class_where_it_was_counted_or_surely_is_small() -> None:
    assert derive({"examples": 100, "classes": 8})["class_floor"] == 12
    assert derive({"examples": THIN * 4, "classes": 4})["class_floor"] is None
    assert derive({"examples": THIN * 4 - 1, "classes": 4})["class_floor"] == THIN - 1
    counted = derive({"examples": 1000, "classes": 4, "smallest_class": 100})
    assert (counted["class_floor"], counted["class_balance"]) == (100, 0.4)
    for given in ({"smallest_class": 100}, {"examples": 1000, "classes": 0, "smallest_class": 100}):
        assert (derive(given)["class_floor"], derive(given)["class_balance"]) == (100, None)


def test_memory_for_each_billion_parameters() -> None:
    for gpus, total in ((None, 3.0), (1, 3.0), (4, 12.0), (0, 0.0)):
        found = derive({"gpu_memory_gb": 24, "model_size_b": 8, "gpus": gpus})
        assert (found["gb_per_billion"], found["total_gb_per_billion"]) == (3.0, total)
    for given in ({"gpu_memory_gb": 24}, {"model_size_b": 8}, {"gpu_memory_gb": 24, "model_size_b": 0}):
        assert derive({**given, "gpus": 2})["total_gb_per_billion"] is None


def test_bounds_hold_from_their_lower_edge_to_below_their_upper() -> None:
    between = Bounds(at_least=5, below=50)
    assert [value in between for value in (4.9, 5, 49.9, 50, None, "5")] == [False, True, True, False, False, False]
    assert None in Bounds(below=50, unknown=True) and -1 in Bounds(below=50) and 10**9 in Bounds(at_least=5)
    assert {"5,", "50"} < set(between.words().split()) and {"9", "unknown"} < set(
        Bounds(below=9, unknown=True).words().split()
    )


def test_a_condition_is_open_only_where_nothing_known_speaks_against_it() -> None:
    condition: Condition = {"gpus": Bounds(at_least=1), "test_set": frozenset({True})}
    assert holds(condition, {"gpus": 1, "test_set": True}) is True
    assert holds(condition, {"gpus": 1}) is None
    assert holds(condition, {"test_set": False}) is False and holds(condition, {"gpus": 0}) is False
    assert holds({"test_set": frozenset({True, None})}, {}) is True


def test_compiled_conditions_agree_with_plain_ones_at_every_edge() -> None:
    engine = engine_of(load_rulebook())
    conditions = [rule.when for rule in engine.rules]
    conditions += [part for rule in engine.rules for part in rule.unless]
    for key in engine.keys:
        values = [None, *(ALL_FACTS[key].values or (() if key in engine.edges else (True, False)))]
        if key in engine.edges:
            values += [edge + step for edge in engine.edges[key] for step in (-1, -0.25, 0, 0.25, 1)]
        for value in values:
            plain = [key not in condition or value in condition[key] for condition in conditions]
            assert engine.mask_of(key, value) == sum(1 << i for i, holds_here in enumerate(plain) if holds_here)


def test_open_questions_stand_in_the_order_of_what_they_can_move() -> None:
    prompt, rag, tune = ("prompt", "prompt"), ("prompt", "rag"), ("fine_tune", "fine_tune")
    flips = [
        Flip("given", "a", "b", tune),
        Flip("one", None, "a", rag),
        Flip("two answers", None, "a", rag),
        Flip("two answers", None, "b", rag),
        Flip("two outcomes", None, "a", rag),
        Flip("two outcomes", None, "b", prompt),
        Flip("two steps", None, "a", prompt),
        Flip("two steps", None, "b", tune),
    ]
    assert open_questions(flips) == ["two steps", "two outcomes", "two answers", "one"]
    verdict = verdict_of(load_rulebook(), Answers())
    moves = ("rag", "rag")
    assert verdict.next_step == "prompt"
    told = [Flip("u", None, 1, prompt), Flip("v", None, 1, moves), Flip("g", 0, 1, prompt), Flip("h", 0, 1, moves)]
    assert [flip.key for flip in ordered(told, verdict)] == ["h", "g", "v", "u"]


def test_the_experiment_settles_the_first_open_question_that_one_can() -> None:
    book = load_rulebook()
    decision = decide(book, Answers(task="extraction", prompting="weak_effort"), date(2026, 11, 25))
    settled = [key for key in decision.open_questions if book.questions[key].settle]
    assert settled and decision.experiment is not None and decision.experiment.question == settled[0]
    assert decision.experiment.text == book.questions[settled[0]].settle
