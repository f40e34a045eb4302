"""Rows whose answer is a tool call in review: shown as a table, edited as text or as a whole row."""

import csv
import json

import pytest

from chat.tool_calls import calls_of
from curation.example import Example, chat_row, edited_text
from curation.review.ruling import with_text
from rung.text.message_text import message_text
from workspace.errors import RungError

CALL = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": '{"to": "Ann", "sum": 3}'}}
CALLING = {"role": "assistant", "content": "I pay.", "tool_calls": [CALL]}
ROW = {"messages": [{"role": "user", "content": "Pay Ann 3"}, CALLING], "tools": [{"type": "function"}]}


def test_the_text_of_an_edit_is_read_back_as_the_same_row_or_as_another_call():
    text = edited_text(ROW)
    assert text == message_text(CALLING) and json.loads(with_text(Example(ROW), text)) == ROW
    changed = Example.from_json(with_text(Example(ROW), text.replace("3", "4")))
    assert changed.calls and changed.answer == Example(ROW).answer.replace("3", "4")
    plain = Example.from_json(with_text(Example(ROW), "No."))
    assert plain.answer == "No." and not plain.calls
    wrongs = (
        text[:-3],
        text.replace("3", ""),
        f"{text}\n  sum  4",
        text.replace("->", " ->"),
        text.replace("-> ", "->"),
    )
    for wrong in wrongs:
        with pytest.raises(RungError):
            with_text(Example(ROW), wrong)
    pair = {"prompt": ROW["messages"][:1], "chosen": [CALLING], "rejected": [{"role": "assistant", "content": "No."}]}
    changed = Example.from_json(with_text(Example(pair), edited_text(pair).replace("3", "4")))
    assert changed.calls and "4" in str(changed.answer), "in the better answer of a pair, too"


def test_a_text_with_an_arrow_is_a_call_only_of_a_tool_that_the_row_has():
    tools = [None, {"function": None}, {"name": ["x"]}, {"type": "function", "function": {"name": "pay"}}]
    row = Example(chat_row("How do I pay?", "Here.", tools=tools))
    for text, calls in (("-> Settings\n  Billing  open it", False), ("-> pay\n  to  Ann", True)):
        changed = Example.from_json(with_text(row, text))
        assert changed.calls == calls and (calls or changed.answer == text)


@pytest.mark.parametrize(
    ("arguments", "edit", "wanted"),
    [
        ({"to": "Ann", "sum": 3}, ('"Ann"', "Bob Smith"), {"to": "Bob Smith", "sum": 3}),
        ({}, ("pay", "pay\n  to  Ann"), {"to": "Ann"}),
        ({"to": ["Ann", {"id": 1}], "note": "two\nlines -> pay"}, ('"id": 1', '"id": 2'),
         {"to": ["Ann", {"id": 2}], "note": "two\nlines -> pay"}),
        ({"first name": "Ann"}, ("Ann", "Bob"), {"first name": "Bob"}),
    ],
    ids=["a text without quotes", "a field more", "a list and a line break", "a name with a blank"],
)  # fmt: skip
def test_a_call_is_edited_by_field(arguments, edit, wanted):
    made = [{"type": "function", "function": {"name": name, "arguments": arguments}} for name in ("look", "pay")]
    calling = {"role": "assistant", "content": None, "tool_calls": made}
    row = {"messages": [{"role": "user", "content": "q"}, calling]}
    text = edited_text(row)
    assert Example.from_json(with_text(Example(row), text)).row == row
    head, mark, tail = text.rpartition("pay\n" if "pay\n" in text else "pay")
    edited = Example.from_json(with_text(Example(row), head + (mark + tail).replace(*edit)))
    found = [(call["name"], call["arguments"]) for call in calls_of(edited.messages[-1])]
    assert found == [("look", arguments), ("pay", wanted)]


def test_a_call_is_edited_by_field_in_a_sheet_and_in_the_shell(rung, told, imported, ruled, project):
    """And the sheet is read twice."""
    imported("rows.jsonl", [Example(ROW)], "--as", "candidates")
    rung("review", "export", "-o", "s.csv")
    sheet = project.root / "s.csv"
    (entry,) = csv.DictReader(sheet.open(newline=""))
    assert entry["answer"] == message_text(CALLING)
    entry |= {"decision": "edit", "text": entry["answer"].replace("3", "4"), "reviewer": "ana"}
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, entry)
        writer.writeheader()
        writer.writerow(entry)
    once, twice = (told("review", "import", "s.csv") for _ in range(2))
    assert (once["decided"], twice["decided"], twice["conflicts"]) == (1, 0, [])
    rung("review", "undo", entry["id"], "--reviewer", "ana")
    shown = rung("review", "next", "--reviewer", "ana").stdout
    assert "None" not in shown and "pay" in shown
    item = told("review", "next", "--reviewer", "ana")
    assert item["messages"] == ROW["messages"]
    (project.root / "answer.txt").write_text("-> pay\n  to   Bob\n  sum  3\n")
    ruled("edit", item, "--text-file", "answer.txt", reviewer="ana")
    chain = rung("why", item["id"]).stdout
    assert "Bob" in chain and "edited" in chain, chain
