"""The decision: same bytes for the same input, provisional exactly where it must be, and claims that hold when run."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.answer_file import from_table, parse_answers
from advisor.answers import FACTS, SILENT, UNASKED, Answers, consistent
from advisor.counterfactual import Flip
from advisor.decide import decide, open_questions, ordered, verdict_of
from advisor.decision import BreakEven, Decision
from advisor.rulebook import OPTIONS
from advisor.rulefiles import load_rulebook
from rung import decide as decide_by_name
from rung.text.decision_text import likely_end

BOOK = load_rulebook()
DAY = date(2026, 11, 25)
NUMBERS: dict[str, list[Any]] = {
    "prompt_effort_days": [0, 2, 4.9, 5, 30],
    "examples": [0, 10, 49, 50, 99, 100, 499, 500, 999, 1000, 2500, 20_000, 400_000],
    "reviewed_examples": [0, 49, 50, 99, 100, 500, 999, 1000, 20_000],
    "classes": [1, 2, 5, 10, 40, 300],
    "smallest_class": [0, 20, 99, 100, 600],
    "calls_per_day": [0, 999, 1000, 49_999, 50_000, 10_000_000],
    "gpus": [0, 1, 8],
    "gpu_memory_gb": [0, 8, 24, 80],
    "model_size_b": [0.5, 7, 70],
    "goal_score": [0, 0.8, 1],
    "tokens_in": [0, 1500],
    "tokens_out": [0, 150],
}


def choices(key: str) -> list[Any]:
    fact = FACTS[key]
    return NUMBERS[key] if fact.numeric else list(fact.values or ((True, False) if fact.kind == "boolean" else ("m",)))


@st.composite
def tables(draw: st.DrawFn, most: int = 14) -> dict[str, Any]:
    keys = draw(st.lists(st.sampled_from(list(FACTS)), unique=True, max_size=most))
    table = {key: draw(st.sampled_from(choices(key))) for key in keys}
    while not consistent(table):
        table.popitem()
    return table


RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@RELAXED
@given(tables())
def test_what_the_json_says_would_change_it_is_true_and_nothing_is_left_out(table: dict[str, Any]) -> None:
    shown = json.loads(decide(BOOK, from_table(table), DAY).to_bytes())
    now, told = (shown["next_step"], shown["destination"]), set()
    for change in shown["would_change"]:
        key, then = change["question"], (change["next_step"], change["destination"])
        assert verdict_of(BOOK, from_table({**table, key: change["to"]})).outcome == then != now
        assert change["from"] == table.get(key, "unknown")
        told.add((key, *then))
    for key in (key for key in FACTS if key not in SILENT and (key in table or key not in UNASKED)):
        for other in ({**table, key: value} for value in choices(key)):
            if consistent(other) and (found := verdict_of(BOOK, from_table(other)).outcome) != now:
                assert (key, *found) in told
    asked = set(shown["open_questions"])
    assert {key for key, *_ in told if key not in table} == asked and not asked & UNASKED
    assert shown["provisional"] is bool(shown["open_questions"])


@RELAXED
@given(tables(), st.sampled_from(OPTIONS), st.randoms())
def test_hopes_order_and_form_never_matter(table: dict[str, Any], hope: str, rng: Any) -> None:
    plain = {key: value for key, value in table.items() if key != "wants"}
    items = list(plain.items())
    rng.shuffle(items)
    one, two = decide(BOOK, from_table(plain), DAY), decide(BOOK, parse_answers(json.dumps(dict(items))), DAY)
    assert one.to_bytes() == two.to_bytes()
    assert decide(BOOK, from_table({**plain, "wants": hope}), DAY).to_bytes() == one.to_bytes()


@RELAXED
@given(tables())
def test_the_end_is_the_lowest_candidate_and_the_only_one_once_it_is_settled(table: dict[str, Any]) -> None:
    decision = decide(BOOK, from_table(table), DAY)
    older = json.loads(decision.to_bytes()) | {"nearly": [], "would_change_pairs": []}
    assert Decision.model_validate_json(json.dumps(older)) == decision, "one that an older Rung wrote opens too"
    assert decision.reasons and all(reason.rule and reason.source for reason in decision.reasons)
    assert decision.why_not.keys() == set(OPTIONS) - {decision.next_step} and all(decision.why_not.values())
    assert (decision.method.name is not None) == ("fine_tune" in decision.next_step + decision.destination)
    options = [candidate.option for candidate in decision.candidates]
    assert options[0] == decision.destination and options == sorted(set(options), key=OPTIONS.index)
    assert not decision.settled or len(options) == 1
    assert all(set(candidate.decided_by) <= set(FACTS) for candidate in decision.candidates)
    if decision.settled and decision.action.name != "keep" and "fine_tune" in decision.destination:
        assert {"task", "model_access"} <= table.keys()
        assert table.get("prompting") == "works_but_costly" or table.keys() & {"examples", "reviewed_examples"}
        if table.get("prompting") in (None, "untried", "weak_effort", "partial"):
            fell_short = {**table, "prompting": "insufficient", "few_shot": "insufficient", "prompt_effort_days": 9}
            assert decision.destination == verdict_of(BOOK, from_table(fell_short)).destination


@pytest.mark.parametrize("examples", ["unknown", 0, 20_000])
@pytest.mark.parametrize("missing", [None, "prompting", "task", "model_access"])
def test_tuning_is_settled_without_rows_only_where_a_prompt_writes_them(missing: str | None, examples: Any) -> None:
    table = {"task": "extraction", "prompting": "works_but_costly", "cost_pressure": True, "model_access": "open"}
    table |= {"examples": examples} | ({missing: "unknown"} if missing else {})
    decision = decide(BOOK, from_table(table), DAY)
    assert decision.settled is (missing is None)
    assert missing or (decision.next_step, decision.destination) == ("fine_tune", "fine_tune")


@RELAXED
@given(tables(most=3))
def test_tuning_is_never_named_as_the_end_on_three_answers(table: dict[str, Any]) -> None:
    decision = decide(BOOK, from_table(table), DAY)
    if decision.action.name != "keep":
        assert "fine-tune" not in likely_end(decision)


@pytest.mark.parametrize("prompting", ["untried", "weak_effort", "partial", "insufficient", "works"])
def test_a_classifier_that_works_ends_it(prompting: str) -> None:
    table = {"task": "extraction", "few_shot": "insufficient", "examples": 450, "reviewed_examples": 450}
    decision = decide(BOOK, from_table({**table, "prompting": prompting, "classifier": "works"}), DAY)
    assert (decision.next_step, decision.destination, decision.action.name) == ("prompt", "prompt", "no_llm")
    assert decision.settled and decision.reasons[0].rule == "classifier-does"
    assert all("classifier-does" in {r.rule for r in rules} for rules in decision.why_not.values())
    assert prompting == "works" or any(change["question"] == "classifier" for change in decision.would_change)


def test_an_expired_source_is_marked_and_lowers_the_evidence() -> None:
    answers = from_table({"prompting": "insufficient", "domain_behaviour": True, "output_form": "strict"})
    now, late = decide(BOOK, answers, DAY), decide(BOOK, answers, date(2040, 1, 1))
    assert not any(reason.expired for reason in now.reasons)
    assert any(reason.expired for reason in late.reasons)
    assert (now.next_step, now.destination) == (late.next_step, late.destination)
    assert now.evidence != "low" and late.evidence == "low"


def break_even(**more: Any) -> BreakEven:
    table = {"prompting": "works_but_costly", "calls_per_day": 60_000, "tokens_in": 1500, "tokens_out": 150}
    money = decide(BOOK, from_table({**table, **more}), DAY).break_even
    assert money is not None
    return money


def test_break_even_uses_dated_prices_and_says_what_is_unknown() -> None:
    known = break_even(incumbent_model="claude-sonnet-4-6")
    assert known.prompted_usd_per_call == 0.00675
    assert known.calls_per_day is not None and known.tuned_usd_per_day is not None
    upkeep = (known.upkeep_usd_per_month or 0) * 12 / 365.25
    assert (known.calls_per_day - 1) * 0.00675 < known.tuned_usd_per_day + upkeep <= known.calls_per_day * 0.00675
    dated = break_even(incumbent_model="claude-sonnet-4-6-20260101")
    assert dated.prompted_usd_per_call == 0.00675, "an id with its date is priced as it is asked"
    for missing, words in (({"incumbent_model": "no-such"}, 'price of "no-such"'), ({}, "the answer incumbent_model")):
        found = break_even(**missing)
        assert found.calls_per_day is None and words in " ".join(found.unknown)


def test_break_even_counts_batches_where_minutes_are_fine_and_says_what_a_cache_would_change() -> None:
    sonnet = {"incumbent_model": "claude-sonnet-4-6"}
    at_once, in_batches = break_even(**sonnet), break_even(**sonnet, latency="relaxed")
    assert at_once.calls_per_day and in_batches.prompted_usd_per_call == 0.00675 / 2
    assert in_batches.calls_per_day in (2 * at_once.calls_per_day, 2 * at_once.calls_per_day - 1)
    assert (at_once.calls_per_day_cached or 0) > at_once.calls_per_day * 2
    assert len(at_once.assumed) == len(in_batches.assumed) == 2
    no_discounts = break_even(incumbent_model="gpt-6-luna", latency="relaxed")
    assert no_discounts.calls_per_day and no_discounts.calls_per_day_cached is None and len(no_discounts.assumed) == 1


def test_the_lines_in_the_docs_run(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "advice.md").read_text()
    block = page.split("```python\n")[1].split("```")[0]
    exec(compile(block, "docs/advice.md", "exec"), {})
    assert capsys.readouterr().out.startswith("few_shot few_shot [")
    assert decide_by_name(Answers(task="classification", prompting="works"), as_of=DAY).action.name == "keep"


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
    verdict = verdict_of(BOOK, Answers())
    moves = ("rag", "rag")
    assert verdict.next_step == "prompt"
    told = [Flip("u", None, 1, prompt), Flip("v", None, 1, moves), Flip("g", 0, 1, prompt), Flip("h", 0, 1, moves)]
    assert [flip.key for flip in ordered(told, verdict)] == ["h", "g", "v", "u"]


def test_the_experiment_settles_the_first_open_question_that_one_can() -> None:
    decision = decide(BOOK, Answers(task="extraction", prompting="weak_effort"), DAY)
    settled = [key for key in decision.open_questions if BOOK.questions[key].settle]
    assert settled and decision.experiment is not None and decision.experiment.question == settled[0]
    assert decision.experiment.text == BOOK.questions[settled[0]].settle
