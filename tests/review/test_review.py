"""The queue: order, verdicts, leases, stale forms, undo, guideline."""

from __future__ import annotations

import pytest
from deciding import take

from curation.example import Example
from curation.review import Ruling, decide
from curation.review import undo as take_back
from workspace.errors import Refusal, RungError

APPROVE = Ruling("approve")


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_test_rows_come_first_and_a_row_that_is_open_elsewhere_is_not_given_twice(make_desk, rows_of):
    desk = make_desk(own=2)
    desk.store.add(rows_of(2, 10), role="test")
    first = take(desk, "dana")
    assert (first.role, first.id) == ("test", "r-000003")
    assert take(desk, "dana").token == first.token
    assert take(desk, "mo").id == "r-000004"
    assert take(desk, "dana", holding=[first.id]).id == "r-000001"


def test_a_stale_token_changes_nothing_and_keeps_the_text(make_desk, url: str):
    clock = Clock()
    desk = make_desk(clock, url=url, lease_seconds=60, candidates=1)
    mine = take(desk, "dana")

    def refused(token: str, who: str, named: str = mine.id, ruling: Ruling = APPROVE):
        with pytest.raises(Refusal, match=named) as told:
            decide(desk, mine.id, token, who, ruling)
        assert told.value.where == mine.id

    refused("made-up", "dana")
    refused(mine.token, "mo")
    clock.now += 61
    refused(mine.token, "dana", r"\d\d:\d\d:\d\d", Ruling("edit", text="mine"))  # until then it was kept
    theirs = take(desk, "mo")
    assert theirs.id == mine.id and theirs.token != mine.token and theirs.draft is None
    refused(mine.token, "dana")
    decide(desk, theirs.id, theirs.token, "mo", APPROVE)
    refused(mine.token, "dana", r"\bmo\b.* \d\d:\d\d UTC")
    refused(theirs.token, "mo", "approve")
    assert desk.store.row(mine.id).reviewer == "mo"
    take_back(desk, mine.id, "mo")
    draft = take(desk, "dana").draft
    assert draft["messages"][-1]["content"] == "mine"


def test_an_unanswered_row_waits_for_an_answer(make_desk):
    desk = make_desk(pool="trust")
    desk.store.add([Example({"messages": [{"role": "user", "content": "What now?"}]})], role="pool")
    item = take(desk, "dana")
    assert item.queued == "unanswered" and item.findings[0]["kind"] == "unanswered"
    with pytest.raises(RungError, match="answer"):
        decide(desk, item.id, item.token, "dana", Ruling("approve"))
    assert decide(desk, item.id, item.token, "dana", Ruling("edit", text="This.")).state == "edited"
    assert desk.store.row(item.id).example.answer == "This."
