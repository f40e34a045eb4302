"""Every assistant turn of a conversation is asked with the true turns before it, and a conversation counts together."""

import json

import pytest
from bank import changed, evaluated, ladder
from in_shell import rung
from scripted import Scripted

from curation.example import Example, chat_row
from evaluation.bench import open_bench
from evaluation.measure import items_of
from evaluation.measurement_report import read_outcomes
from rung.report.evaluation import write_page
from workspace.errors import Refusal
from workspace.settings import load_settings

ARMS = ("base", "prompt", "few_shot")


def conversation(*rows, **other):
    return {"messages": [message for row in rows for message in row["messages"]], **other}


def talks(kit, word):
    """One conversation of three turns a place."""
    return [conversation(*kit.rows_of([place], word)) for place in kit.PLACES]


@pytest.fixture
def talking(project, kit):
    kit.freeze_by_hand(project, "v002", test=talks(kit, " today"), validation=talks(kit, " now"), train=talks(kit, ""))
    project.settings_file.write_text('[evaluation]\nturns = "all"\nfew_shot = 2\n')
    return project, load_settings(project.settings_file, {})


def test_each_turn_is_asked_with_the_true_turns_before_it_and_other_turns_are_another_measure(talking, model, kit):
    project, settings = talking
    folder, report = ladder(project, settings, model, *ARMS)
    found = [o for o in read_outcomes(folder / "outputs.jsonl") if (o.split, o.arm) == ("test", "base")]
    assert [(o.item, o.line, o.turn) for o in found[:4]] == [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 1)]
    assert (report.n, {o.expected for o in found}) == (24, {"card", "transfer", "pin"})
    question = talks(kit, " today")[0]["messages"][4]["content"]
    third = next(ask for ask in model.asked if ask.turns[-1]["content"] == question)
    said = [(turn["role"], turn["content"]) for turn in third.turns if turn["role"] != "system"][-5:]
    assert [content for role, content in said if role == "assistant"] == ["card", "transfer"]
    folder, verdict = evaluated(project, settings)
    page = write_page(project, folder).read_text()
    assert (verdict.n, verdict.clusters, verdict.tuned, verdict.metric) == (24, 8, 1.0, report.metric)
    assert question in page
    why = json.loads(rung("why", "E-002:6", "--json", cwd=project.root).stdout)
    assert (why["line"], why["turn"], why["expected"]) == (2, 3, "pin")
    assert why["question"].splitlines()[::2] == [turn["content"] for turn in talks(kit, " today")[1]["messages"][::2]]
    last = changed(settings, turns="last")
    with pytest.raises(Refusal, match=report.metric):
        evaluated(project, last, model)
    _, report = ladder(project, last, model, "base")
    assert (report.n, report.metric, [arm.arm for arm in report.arms]) == (8, "exact_match", ["base"])


UNTRAINED = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "bad", "weight": 0}]}


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"text": "nothing is asked"}, []),
        (chat_row("q", "a"), ["a"]),
        ({"messages": [{"role": "user", "content": "q"}]}, []),
        (conversation(chat_row("q", "a"), {"messages": [{"role": "user", "content": "more"}]}), ["a"]),
        (conversation(chat_row("q", "a"), chat_row("q2", "b"), tests="assert True"), ["b"]),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, ["a"]),
        (conversation(UNTRAINED, chat_row("again", "good")), ["good"]),
    ],
)
def test_which_turns_of_a_row_are_asked(row, asked):
    assert [item.expected for item in items_of([Example(row)], "all")] == asked


def test_a_call_between_the_turns_is_an_item_of_its_own_and_asked_of_no_model_that_cannot_read_it(talking, kit):
    called = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    said = {"role": "assistant", "content": "done"}
    row = {"messages": [{"role": "user", "content": "q"}, called, {"role": "tool", "content": "ok"}, said]}
    one, two = items_of([Example(row)], "all")
    assert (json.loads(one.expected)[0]["name"], two.expected, two.turns[-1]["role"]) == ("f", "done", "tool")
    project, settings = talking
    kit.freeze_by_hand(project, "v003", test=[row], validation=[row], train=[row])
    deaf = Scripted(["x"])
    deaf.calls_unread = "deaf"  # type: ignore[attr-defined]
    with pytest.raises(Refusal, match="deaf"):
        open_bench(project, settings, deaf)
