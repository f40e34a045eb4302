"""Masking in an item: the row stays as it is, arguments go by their names, no cut halves a secret."""

import json
from dataclasses import replace
from time import process_time
from timeit import timeit

import pytest

from curation.example import Example, chat_row
from curation.mask import mask
from curation.review import next_item
from curation.review.item import OtherDecision, hidden_words, is_unmasked, log_unmasked, veiled
from curation.review.ruling import Ruling, edited
from workspace.errors import RungError

PHONE, MAIL = "+1 415 555 0132", "ann.lee@example.org"
CALL = {"function": {"name": "dial", "arguments": {"phone": 4155550132, "count": 3, "note": f"to {MAIL}"}}}
TALK = {
    "messages": [
        {"role": "user", "content": f"Call {PHONE}"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "no answer"},
        {"role": "assistant", "content": f"Nobody answers at {PHONE}."},
    ]
}


def test_every_part_is_masked_and_the_row_is_not(desk):
    desk.store.add([Example(TALK)], role="pool")
    name = desk.store.rows()[-1].id
    item = next_item(desk, "dana", want=name).item
    item = replace(item, near=(OtherDecision("r-000001", "mo", "approved", "A", question=f"Call {PHONE}"),))
    before = json.dumps(item.to_json(), default=str)
    veil = veiled(item)
    assert json.dumps(item.to_json(), default=str) == before
    shown = json.dumps(veil.item.to_json(), default=str)
    assert not any(part in shown for part in (PHONE, MAIL, "4155550132"))
    assert veil.item.answer == TALK["messages"][-1]["content"].replace(PHONE, "[PHONE]")
    arguments = veil.item.row["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert arguments == {"phone": "[PHONE]", "count": 3, "note": "to [EMAIL]"}
    assert veil.in_edit and hidden_words(veil.found) == "1 e-mail, 2 phones"
    assert not is_unmasked(desk, "dana", item)
    log_unmasked(desk, "dana", item, veil.found)
    assert is_unmasked(desk, "dana", item) and not is_unmasked(desk, "mo", item)
    assert item.token not in str(desk.store.events(kind="unmasked")), "the token of a lease is a secret"


@pytest.mark.parametrize("part", ["GB12 ", "10.1.2.3 "])
def test_masking_takes_four_times_as_long_for_four_times_the_text(part: str):
    """The start of an IBAN or an address once copied the rest of the text each time: sixteen times as long."""
    few, many = (timeit(lambda n=n: mask(part * n), timer=process_time, number=1) for n in (16_000, 64_000))
    assert many < 9 * few


def test_what_stands_before_an_address_still_tells():
    masked = mask("GB82 WEST 1234 5698 7654 32, version 10.1.2.3, host 10.1.2.3")
    assert masked.split(", ") == ["[IBAN]", "version 10.1.2.3", "host [IP]"]


def test_the_shell_masks_and_writes_no_mask_and_the_log_tells_who_looked(desk, rung, told):
    """`--json`, which alone shows other keys, hides too; an edit that holds a mask is refused: the row stays."""
    said = f"We called {PHONE}."
    row = {**chat_row(f"Call {PHONE}", said), "contact": MAIL}
    name = desk.store.add([Example(row)], role="candidates").ids[0]
    asks = ("review", "next", "--reviewer", "dana", "--row", name)
    shown, text = told(*asks), rung(*asks).stdout
    assert shown["answer"] == said.replace(PHONE, "[PHONE]") and shown["hidden"] == {"PHONE": 1}
    assert "Call [PHONE]" in text and "--unmask" in text
    assert not any(part in str(shown) + text for part in (PHONE, MAIL)) and desk.store.events(kind="unmasked") == []
    assert PHONE in rung(*asks, "--unmask").stdout
    whole = told(*asks, "--unmask")
    assert (whole["answer"], whole["row"]["contact"], whole["hidden"]) == (said, MAIL, {})
    assert [(event.actor, event.ref) for event in desk.store.events(kind="unmasked")] == [("dana", name)] * 2
    assert not any(part in str(desk.store.events(kind="unmasked")) for part in (PHONE, MAIL))
    for text, refused in (("We called [PHONE]!", True), (f"We rang {PHONE}.", False)):
        (desk.project.root / "new.txt").write_text(text)
        edit = ("decide", name, "edit", "--token", whole["token"], "--text-file", "new.txt")
        rung("review", *edit, "--reviewer", "dana", wanted=2 if refused else 0)
        assert desk.store.row(name).example.answer == (said if refused else text)


def test_the_whole_row_as_a_script_sees_it_is_not_written_over_keys_that_are_masked(desk):
    row = {**chat_row("Whom do I ask", "Ask Ann."), "contact": MAIL}
    desk.store.add([Example(row)], role="candidates")
    example = desk.store.rows()[-1].example
    seen = {**chat_row("Whom do I ask", "Ask Bea."), "contact": "[EMAIL]"}
    with pytest.raises(RungError, match=r"\[EMAIL\]"):
        edited(example, Ruling("edit", row=seen))
    made = json.loads(str(edited(example, Ruling("edit", row={**seen, "contact": MAIL}))))
    assert made["contact"] == MAIL and made["messages"] == seen["messages"]
    assert "[EMAIL]" in str(edited(example, Ruling("edit", text="Ask [EMAIL].")))


def test_what_a_script_alone_is_shown_is_logged_where_it_is_shown(desk, rung, told):
    name = desk.store.add([Example({**chat_row("Call back", "Yes."), "contact": PHONE})], role="candidates").ids[0]
    asks = ("review", "next", "--reviewer", "dana", "--row", name)
    assert PHONE not in str(told(*asks)) and PHONE not in rung(*asks, "--unmask").stdout
    assert desk.store.events(kind="unmasked") == []
    assert PHONE in str(told(*asks, "--unmask"))
    assert [event.ref for event in desk.store.events(kind="unmasked")] == [name]
