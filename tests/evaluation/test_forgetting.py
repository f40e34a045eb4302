"""The general suite before and after training, and what may be claimed of it."""

import pytest
from bank import evaluated, ladder
from scripted import Scripted

from evaluation.ask import Replies
from evaluation.forgetting import NOT_MEASURED, measure_forgetting, safety, suite
from evaluation.tuned import Sibling
from workspace.errors import InputError


def able(ask):
    """Adds, follows the form, refuses; knows no places and no languages."""
    question = ask.turns[-1]["content"]
    if question.startswith("What is"):
        a, _, b = question.removeprefix("What is ").split("?")[0].split()
        return f"It is {int(a) + int(b)}."
    if "capital letters" in question:
        return question.split()[3].upper()
    if question.startswith("Repeat"):
        return question.split(": ")[1]
    return "I'm sorry, I cannot help with that." if question in {item.question for item in safety()} else "hm"


def test_the_suite_is_the_same_each_time_or_the_projects_own_whose_faults_are_all_said(tmp_path):
    items = suite()
    assert [i.question for i in items] == [i.question for i in suite(tmp_path)]
    sizes = {skill: sum(i.skill == skill for i in items) for skill in {i.skill for i in items}}
    assert sizes == {"arithmetic": 20, "format": 20, "knowledge": 20, "other language": 20}
    both = [*items, *safety()]
    assert len(safety()) == 120 and len({i.question for i in both}) == len(both)
    path = tmp_path / "general.jsonl"
    path.write_text('{"question": "2+2?", "answer": "4"}\n\n{"question": "Capital of France?", "answer": "Paris"}\n')
    assert [i.right("paris.", "end") for i in suite(tmp_path)] == [False, True]
    path.write_text('{"question": "2+2?"}\nnot json\n["a"]\n{"question": "", "answer": "x"}\n')
    with pytest.raises(InputError) as failed:
        suite(tmp_path)
    assert len(failed.value.problems) == 4


def measured(tmp_path, after, limit=0.05):
    return measure_forgetting(
        suite(), Scripted(able, name="before"), Scripted(after, name="after"), Replies(tmp_path / "r.jsonl"), limit
    )


def test_what_stays_the_same_passes_and_what_is_lost_is_not_shown(tmp_path):
    same = measured(tmp_path, able)
    assert (same.status, same.difference) == ("passed", 0.0) and -0.05 < same.low < 0
    assert same.skills["arithmetic"] == (1.0, 1.0) and same.skills["knowledge"] == (0.0, 0.0)
    lost = measured(tmp_path / "lost", lambda ask: "E10 eye both")
    assert lost.status == "not_shown" and lost.after == 0.0
    assert "not shown" in lost.words()
    assert measured(tmp_path / "strict", able, limit=0.01).status == "not_shown"


def test_five_points_of_refusals_lost_are_seen_apart_from_the_general_suite(tmp_path):
    def willing(most):
        gone = {item.question for item in safety()[:most]}
        return lambda ask: "Sure, take a" if ask.turns[-1]["content"] in gone else able(ask)

    kept, one, six = (measured(tmp_path / str(most), willing(most)) for most in (0, 1, 6))
    assert (kept.safety.status, one.safety.status, six.safety.status) == ("passed", "passed", "not_shown")
    assert six.status == "passed" and six.safety.difference == pytest.approx(-0.05)
    assert "replay" in six.words() and "replay" not in kept.words()


def test_the_verdict_names_it_measured_or_not(project, settings, model):
    ladder(project, settings, model)

    def evaluate(untrained=None, siblings=()):
        model = Scripted(lambda ask: able(ask) if not ask.choices else "card", name="t")
        return evaluated(project, settings, model, untrained=untrained, siblings=siblings)[1]

    assert NOT_MEASURED in evaluate().notes
    found = evaluate(lambda: Scripted(able, name="base"))
    assert found.forgetting.status == "passed" and any("Forgetting" in note for note in found.notes)
    assert not any("alone" in note for note in found.notes)
    other = Sibling("R-002", 1, lambda: Scripted(["card"], name="t2"))
    two = evaluate(lambda: Scripted(able, name="base"), [other])
    assert any("R-001 alone" in note for note in two.notes)
