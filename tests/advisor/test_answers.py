"""Reading answers: every fault is told, at once, in terms of the questions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from advisor.answer_file import load_answers, parse_answers, record_measured, record_said
from workspace.errors import InputError, Problem


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
