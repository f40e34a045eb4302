"""The questionnaire (short, never a dead end, nothing asked that is known) and the file of answers: faults at once."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from worked import FIELD

from advisor.answer_file import from_table, load_answers, parse_answers, record_measured, record_said
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
from workspace.errors import InputError, Problem

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
    same, lengths = 0, list[int]()
    for case in FIELD:
        answers, way = walk(case["answers"])
        end = verdict_of(BOOK, answers)
        if end.destination in ("prompt", "rag"):
            assert SHORTEST_WAY <= len(way) <= SHORT_WAY + 2, case["title"]
            lengths.append(len(way))
        same += end.outcome == verdict_of(BOOK, from_table(case["answers"])).outcome
    assert same >= 0.8 * len(FIELD) and sum(lengths) <= SHORT_WAY * len(lengths)


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


def problems(data: bytes | str) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        parse_answers(data, "answers.toml")
    return caught.value.problems


def test_all_problems_of_a_file_at_once_with_their_lines() -> None:
    found = problems('knowledge_change = "weakly"\nexampels = 3\nexamples = -4\ncitations = "yes"\ngoal_score = nan\n')
    assert [each.where for each in found] == [f"answers.toml line {n}" for n in range(1, 6)]
    assert [each.found for each in found] == ["weakly", "exampels", "-4", "yes", "nan"]
    assert '"weekly"' in found[0].text and '"examples"' in found[1].text
    assert found[0].expected.split(", ") == ["never", "yearly", "monthly", "weekly", "daily", "live", "unknown"]


@pytest.mark.parametrize(
    ("document", "datum"),
    [
        ('{"examples": 200, "reviewed_examples": 500}', "500"),
        ('{"classes": 10, "smallest_class": 50, "examples": 300}', "500"),
        ('{"prompting": "untried", "prompt_effort_days": 9}', "prompt"),
        ('{"task": "chat", "task": "code"}', '"task"'),
        ('{"examples": NaN}', "nan"),
        ('{"examples": Infinity}', "inf"),
        ('{"examples": true}', "true"),
        ('{"examples": 2.5}', "2.5"),
        ('{"task": null}', "null"),
        ('{"task": ["chat"]}', "chat"),
        ('task = "chat"\ntask = "code"', ""),
        ("[1, 2]", ""),
        ("[" * 200_000, "JSON"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"x" * (10 << 20), "1 MiB"),
        ('{"examples": 1' + "0" * 6000 + "}", "JSON"),
    ],
)
def test_bad_input_is_explained(document: bytes | str, datum: str) -> None:
    assert any(datum in str(each) for each in problems(document))


def test_unknown_and_missing_are_the_same_and_answered_changes_nothing() -> None:
    note = '\n[answered.task]\nby = "sam"\nat = 2026-11-25T10:00:00Z\nfrom = "said"\n'
    assert parse_answers('task = "unknown"').known() == parse_answers("").known() == {}
    assert parse_answers('\ufefftask = "chat"\r\n' + note).known() == {"task": "chat"}


def test_what_is_measured_outranks_what_was_said_which_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    record_said(path, {"examples": 3000, "task": "code"}, "sam")
    assert record_measured(path, {"examples": 2243}, "rung data import").examples == 2243
    assert record_said(path, {"examples": 9000}, "dana").examples == 2243
    answers = load_answers(path)
    note = answers.answered["examples"]
    assert (note["from"], note["said"], note["by"]) == ("measured", 9000, "rung data import")
    assert answers.measured() == {"examples"}
    again = record_measured(path, {"examples": 2244}, "rung baseline").answered["examples"]
    assert (again["said"], again["said_by"], again["by"]) == (9000, "dana", "rung baseline")
    back = record_measured(path, {"examples": None}, "rung data undo")
    assert (back.examples, back.measured()) == (9000, frozenset())


def test_a_measurement_sets_a_said_answer_aside_that_it_contradicts(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    record_said(path, {"examples": 3000, "reviewed_examples": 2500}, "sam")
    answers = record_measured(path, {"examples": 1000}, "rung data import")
    assert (answers.examples, answers.reviewed_examples) == (1000, None)
    assert answers.answered["reviewed_examples"]["set_aside"] == 2500
    before = path.read_bytes()
    with pytest.raises(InputError):
        record_said(path, {"reviewed_examples": 2000}, "sam")
    assert path.read_bytes() == before, "a contradiction is not written"


SAID = {"task": "extraction", "prompting": "partial", "failure": "breaks_rules", "breadth": "narrow", "privacy": "none"}


def test_of_programs_that_answer_at_once_none_writes_over_another(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    with ThreadPoolExecutor(len(SAID) + 1) as pool:
        for key, value in SAID.items():
            pool.submit(record_said, path, {key: value}, key)
        pool.submit(record_measured, path, {"examples": 500}, "rung data import")
    answers = load_answers(path)
    assert answers.known() == {**SAID, "examples": 500}
    assert {key: note["by"] for key, note in answers.answered.items() if key in SAID} == {key: key for key in SAID}
