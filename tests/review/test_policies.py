"""Second review of edits, flags, rows sent back, orders of the queue, what a new guideline touches."""

from __future__ import annotations

from itertools import pairwise

import pytest

from curation.example import Example, chat_row
from curation.review import Desk, Ruling, decide, invite, next_item, progress, undo
from curation.review.guideline import reasons_in
from curation.review.people import person_progress
from curation.store.records import Link


def take(desk: Desk, who: str, verdict: str, text: str | None = None, want: str | None = None):
    item = next_item(desk, who, want=want).item
    assert item is not None
    return decide(desk, item.id, item.token, who, Ruling(verdict, text=text)), item


def order(desk: Desk, who: str = "mo") -> list[str]:
    """The order in which everything is given to one person."""
    seen = []
    while (item := next_item(desk, who).item) is not None:
        seen.append(item.id)
        decide(desk, item.id, item.token, who, Ruling("approve"))
    return seen


def test_an_edit_counts_when_a_second_person_agrees(make_desk, url: str):
    desk = make_desk(second_edit=True, url=url, candidates=2)
    made, item = take(desk, "dana", "edit", "E11.42")
    assert made.state == "pending"
    assert take(desk, "dana", "approve")[1].id != item.id, "not to the same person"
    _, second = take(desk, "mo", "approve", want=item.id)
    assert second.answer == "E11.42" and "answer 0" in second.findings[0]["text"]
    row = desk.store.row(item.id)
    assert (row.state, row.example.answer, row.original.answer) == ("edited", "E11.42", "answer 0")
    undo(desk, item.id, "mo")
    assert desk.store.row(item.id).state == "pending"
    assert take(desk, "mo", "edit", "E10.42", want=item.id)[0].state == "unsure", (
        "two edits that differ: a third decides"
    )
    _, third = take(desk, "lena", "edit", "E10.42")
    assert [side.answer for side in third.sides] == ["E11.42", "E10.42"]
    assert desk.store.row(item.id).example.answer == "E10.42"


def test_a_blind_second_person_does_not_see_the_edit_that_waits_for_them(make_desk):
    desk = make_desk(second_edit=True, overlap=1.0, candidates=1)
    take(desk, "dana", "edit", "E11.42")
    _, item = take(desk, "mo", "approve")
    assert item.blind and item.answer == "answer 0"


def test_the_policy_on_edits_holds_for_edits_made_before(make_desk, rows_of):
    first = make_desk()
    first.store.add(rows_of(1), role="candidates")
    assert take(first, "dana", "edit", "better")[0].state == "edited"
    strict = make_desk(second_edit=True)
    assert next_item(strict, "dana").item is None and strict.store.row("r-000001").state == "pending"
    take(strict, "mo", "approve")
    assert next_item(make_desk(), "lena").item is None
    assert strict.store.row("r-000001").example.answer == "better"


def test_an_edited_row_sent_back_and_approved_keeps_the_edit(make_desk):
    desk = make_desk(candidates=1)
    take(desk, "dana", "edit", "better")
    desk.store.queue(["r-000001"], "guideline v2", "guideline")
    _, item = take(desk, "mo", "approve")
    row = desk.store.row("r-000001")
    assert item.answer == row.example.answer == "better" and row.state == "edited"
    assert row.original.answer == "answer 0", "the draft is still kept, for a preference pair"


@pytest.mark.parametrize("role", ["adjudicator", "lead"])
def test_a_flag_goes_to_the_one_who_ends_disagreements(make_desk, role: str):
    desk = make_desk(candidates=1)
    invite(desk.store, "lena", role=role)
    assert take(desk, "dana", "flag")[0].state == "unsure"
    assert next_item(desk, "mo").item is None
    assert take(desk, "lena", "reject")[0].state == "rejected"


def test_topics_stand_together(make_desk):
    desk = make_desk(order="topic")
    asked = [
        f"{place} {topic} case {n}"
        for n, (topic, place) in enumerate([("diabetes", "left"), ("fracture", "right"), ("asthma", "left")] * 4)
    ]
    asked += [f"unrelated thing number{n} w{n}x" for n in range(9)]
    desk.store.add([Example(chat_row(q, "a")) for q in asked], role="candidates")
    desk.store.add([Example(chat_row("test row", "a"))], role="test")
    given = order(desk)
    assert given[0] == "r-000022", "test rows first in every order"
    topics = [next((t for t in ("diabetes", "fracture", "asthma") if t in desk.store.row(name).example.question), "-")
              for name in given[1:]]  # fmt: skip
    changes = sum(a != b for a, b in pairwise(topics))
    assert changes == 3, topics


def test_the_doubtful_come_first(make_desk, rows_of):
    desk = make_desk(order="uncertainty")
    ids = desk.store.add(rows_of(4), role="candidates").ids
    with desk.store.write() as connection:
        from curation.store.writing import write_links

        write_links(connection, [Link(ids[1], ids[3], "minimal_pair", 0.9)])
    assert order(desk) == [ids[1], ids[3], ids[0], ids[2]]


def test_the_smallest_class_comes_first(make_desk):
    desk = make_desk(order="gap", pool="trust")
    kept = desk.store.add([Example(chat_row(f"kept {n}", "A")) for n in range(3)], role="candidates").ids
    for _ in kept:
        take(desk, "dana", "approve")
    new = [Example(chat_row(f"new {n}", answer)) for n, answer in enumerate("AABBC")]
    desk.store.add(new, role="candidates")
    given = [desk.store.row(name).example.answer for name in order(desk)]
    assert given == ["B", "C", "B", "A", "A"]


def test_the_guideline_names_the_reasons(make_desk, project):
    text = "# Guideline\n\n- not a reason\n\n## 3 Reasons\n\nUse one.\n\n1. wrong code\n2. no code\n\n## 4 More\n- x\n"
    assert reasons_in(text) == ("wrong code", "no code")
    assert reasons_in("# Guideline\n\n- a\n") == ()
    desk = make_desk(candidates=1)
    item = next_item(desk, "mo").item
    assert item is not None and item.reasons == desk.settings.review.reasons
    project.guideline_file.write_text(text)
    item = next_item(desk, "mo").item
    assert item is not None and item.reasons == ("wrong code", "no code")


def test_agreement_with_the_final_decision(make_desk):
    desk = make_desk(overlap=1.0, candidates=4)
    for who, verdicts in (("dana", "approve approve reject approve"), ("mo", "approve approve approve approve")):
        for verdict in verdicts.split():
            take(desk, who, verdict)
    take(desk, "lena", "reject")
    people = {person.name: person for person in person_progress(desk.store)}
    assert (people["dana"].consensus, people["dana"].consensus_rows) == (1.0, 4)
    assert (people["mo"].consensus, people["lena"].consensus) == (0.75, 1.0)


def test_three_people_see_a_row_where_the_policy_says_so(make_desk):
    desk = make_desk(overlap=1.0, overlap_people=3, candidates=4)
    verdicts = {"ana": "approve approve reject reject", "ben": "approve approve reject approve",
                "cy": "approve reject reject approve"}  # fmt: skip
    for who, given in verdicts.items():
        for verdict in given.split():
            _, item = take(desk, who, verdict)
            assert item.blind and item.sides == ()
    assert [row.state for row in desk.store.rows()] == ["approved", "unsure", "rejected", "unsure"]
    agreed = progress(desk).agreement
    assert (agreed.measure, agreed.units, agreed.reviewers) == ("alpha", 4, ("ana", "ben", "cy"))
    _, item = take(desk, "dot", "approve")
    assert len(item.sides) == 3 and desk.store.row(item.id).state == "approved"
