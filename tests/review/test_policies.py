"""Policies of the review: samples, blind rows, second reviews, flags, rows sent back, the order, a new guideline."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from deciding import settle, take
from freezing import rows_of
from sqlalchemy import select

from curation.example import Example, chat_row
from curation.review import Desk, Ruling, decide, decide_all, invite, known_reviewer, next_item, plans, progress, undo
from curation.review.guideline import reasons_in
from curation.review.people import person_progress
from curation.review.progress import most_faulty
from curation.review.queue import draw, draw_again
from curation.store.records import Link
from curation.store.tables import rows
from curation.store.writing import write_links
from workspace.errors import Refusal, RungError


@pytest.mark.parametrize(
    ("policy", "queued", "rest"), [("all", 300, ""), ("sample", 149, "unreviewed"), ("trust", 0, "trusted")]
)
def test_the_policy_says_what_of_the_pool_is_queued(make_desk, policy: str, queued: int, rest: str):
    desk = make_desk(pool=policy, own=300)
    desk.store.add(rows_of(2, 900), role="candidates")
    found = progress(desk)
    assert (found.states["pending"], found.total) == (queued + 2, queued + 2)
    assert found.not_queued == {"unreviewed": 0, "trusted": 0} | ({rest: 300 - queued} if rest else {})


def test_a_sample_is_drawn_by_seed_and_stands_once_an_item_was_seen(make_desk):
    desk = make_desk(sample=20, own=100)
    progress(desk)
    dataset = desk.settings.dataset.model_copy(update={"seed": 14})  # not the usual one
    desk = replace(desk, settings=desk.settings.model_copy(update={"dataset": dataset}))
    desk.store.add(rows_of(100, 100), role="pool")
    progress(desk)
    assert [(plan.population, plan.size) for plan in plans(desk.store)] == [(200, 20)]
    found = desk.store.rows()
    drawn = {row.id for row in found if row.in_sample}
    assert drawn & {f"r-{n:06d}" for n in range(101, 201)}
    by_seed = draw(desk.settings.dataset.seed, [row.content_hash for row in found], 20)
    assert drawn == {found[index].id for index in by_seed}
    take(desk, "dana")
    desk.store.add(rows_of(50, 200), role="pool")
    progress(desk)
    assert [(plan.population, plan.size) for plan in plans(desk.store)] == [(200, 20), (50, 20)]
    assert {row.id for row in desk.store.rows() if row.in_sample} > drawn


def test_a_sample_that_took_every_row_out_leaves_no_fault_behind(make_desk):
    desk = make_desk(sample=20, own=3)
    for _ in range(3):
        settle(desk, "dana", "reject")
    (sample,) = progress(desk).samples
    assert (sample.found, sample.left, sample.bound, sample.failed) == (3, 0, 0.0, False)


def test_the_bound_is_a_share_of_the_rows_that_are_left(make_desk):
    desk = make_desk(sample=20, own=200)
    for verdict in ["reject"] * 2 + ["approve"] * 18:
        settle(desk, "dana", verdict)
    undrawn = [row.id for row in desk.store.rows() if not row.in_sample]
    desk.store.exclude(undrawn[1:], "a fix", "duplicates")
    (sample,) = progress(desk).samples
    assert sample.left == 1 and sample.bound == 1.0 and sample.failed


@pytest.mark.parametrize("role", ["pol", "candidates"])
def test_what_is_not_sampled_is_told_as_that(make_desk, role: str):
    desk = make_desk(sample=20)
    with pytest.raises(RungError) as told:
        draw_again(desk.store, desk.settings, role, actor="dana")
    assert told.value.found == role


def test_blind_rows_show_no_decision_until_both_have_decided(make_desk, url: str):
    desk = make_desk(url=url, overlap=1.0, candidates=2)
    assert settle(desk, "dana", "reject").state == "pending"
    seen = take(desk, "mo")
    assert seen.id == "r-000001" and seen.blind and seen.sides == ()
    assert "dana" not in json.dumps(seen.to_json())
    assert decide(desk, seen.id, seen.token, "mo", Ruling("approve")).state == "unsure"
    third = take(desk, "priya")
    sides = {side.reviewer: side.verdict for side in third.sides}
    assert third.id == "r-000001" and sides == {"dana": "reject", "mo": "approve"}
    assert decide(desk, third.id, third.token, "priya", Ruling("reject")).state == "rejected"
    settle(desk, "mo", "approve")
    assert settle(desk, "dana", "approve").state == "approved"
    agreed = progress(desk).agreement
    assert (agreed.units, agreed.raw, agreed.measure) == (2, 0.5, "kappa")


def test_an_automatic_reviewer_counts_only_where_the_policy_says_so(make_desk):
    rulings = [("r-000001", Ruling("approve")), ("r-000002", Ruling("reject", reason="contradicts the table"))]
    desk = make_desk(accept_automatic=False, candidates=3)
    assert [made.state for made in decide_all(desk, "code table", rulings)] == ["pending", "pending"]
    assert decide_all(desk, "code table", rulings) == []
    assert take(desk, "dana").id == "r-000001"
    with pytest.raises(Refusal) as told:
        next_item(desk, "code table")
    assert (told.value.expected, told.value.found) == ("person", "automatic")
    lenient = make_desk(accept_automatic=True)
    found = progress(lenient)
    assert (found.states["approved"], found.states["rejected"], found.automatic) == (1, 1, 2)
    assert progress(make_desk(accept_automatic=False)).states["approved"] == 0


def test_near_rows_stand_beside_an_item(told, imported, ruled):
    ask = "Type {} diabetes mellitus with peripheral neuropathy of both feet, painful at night and on walking"
    pairs = [(ask.format(1), "E10.42"), (ask.format(2), "E11.42"), (ask.format(2), "E11.40")]
    imported("rows.jsonl", [Example(chat_row(*pair)) for pair in pairs], "--as", "candidates")
    ruled("approve", reviewer="mo")
    item = told("review", "next", "--reviewer", "dana")
    found = {finding["kind"]: finding["row"] for finding in item["findings"]}
    assert found["contradiction"] == "r-000003" and item["source"] == "rows.jsonl:2"
    assert [(side["row"], side["kind"], side["answer"], side["reviewer"]) for side in item["near"]] == [
        ("r-000003", "contradiction", "E11.40", ""),
        ("r-000001", "short_near", "E10.42", "mo"),
    ]


def test_a_row_that_a_check_sent_or_that_has_no_answer_says_why_it_is_here_and_a_sampled_one_nothing(make_desk):
    desk = make_desk(pool="trust", own=1)
    desk.store.queue(["r-000001"], "phones, e-mails", "pii", actor="sam")
    ((sent,),) = (take(desk, "dana").findings,)
    assert sent["kind"] == "sent" and "phones, e-mails" in sent["text"]
    desk.store.add([Example({"messages": [{"role": "user", "content": "What now?"}]})], role="pool")
    unanswered = take(desk, "mo")
    assert (unanswered.queued, unanswered.findings[0]["kind"]) == ("unanswered", "unanswered")
    every = make_desk(pool="all")
    every.store.add(rows_of(1, 9), role="pool")
    assert take(every, "eli").findings == ()


def failed_sample(make_desk, **review):
    """A desk whose first sample of 20 of 200 rows failed."""
    desk = make_desk(sample=20, **review, own=200)
    progress(desk)
    names = [row.id for row in desk.store.rows() if row.in_sample]
    known_reviewer(desk.store, "code table", kind="automatic")
    decide_all(desk, "code table", [(names[0], Ruling("reject")), *((name, Ruling("approve")) for name in names[1:])])
    return desk


def test_a_larger_sample_stands_when_other_rows_come(make_desk):
    """It is of fresh rows; a look at the queue drew it again at the first size and error once, before it was seen."""
    desk = failed_sample(make_desk, accept_automatic=True)
    (sample,) = progress(desk).samples
    assert (sample.finished, sample.passed, sample.faults) == (True, False, 1)
    assert sample.bound == pytest.approx((most_faulty(200, 20, 1) - 1) / 180)
    plan = draw_again(desk.store, desk.settings, "pool", actor="lead")
    assert plan is not None and plan.error == pytest.approx(sample.plan.error / 2) and plan.size == 42
    old = {row.id for row in desk.store.rows() if row.plan == sample.plan.id and row.in_sample}
    assert not old & {row.id for row in desk.store.rows() if row.plan == plan.id}
    assert progress(desk).states["pending"] == plan.size
    drawn = {row.id for row in desk.store.rows() if row.plan == plan.id and row.in_sample}
    desk.store.add(rows_of(3, 500), role="candidates")
    progress(desk)
    assert plans(desk.store)[-1] == plan
    assert {row.id for row in desk.store.rows() if row.plan == plan.id and row.in_sample} == drawn
    desk.store.add(rows_of(30, 600), role="pool")
    progress(desk)
    assert [(each.population, each.size) for each in plans(desk.store)] == [(200, 20), (180, 42), (30, 20)]
    third = draw_again(desk.store, desk.settings, "pool", actor="lead")
    assert third is not None and third.error == pytest.approx(plan.error / 2)  # rows that came begin nothing anew


def test_rows_of_a_larger_sample_have_the_order_and_the_second_people_of_all(make_desk):
    desk = failed_sample(make_desk, accept_automatic=True, order="random", overlap=1.0)
    plan = draw_again(desk.store, desk.settings, "pool", actor="lead")
    assert plan is not None
    progress(desk)
    with desk.store.read() as connection:
        asked = select(rows.c.place, rows.c.needed).where(rows.c.plan_id == plan.id, rows.c.sampled == 1)
        found = connection.execute(asked).tuples().all()
    assert len({place for place, _ in found} - {0}) == plan.size
    assert {needed for _, needed in found} == {2}


def test_a_name_that_acts_on_a_terminal_is_refused(make_desk):
    with pytest.raises(RungError) as told:
        known_reviewer(make_desk().store, "a\x1b[31m")
    assert told.value.found == "a\x1b[31m"


def order(desk: Desk, who: str = "mo") -> list[str]:
    """The order in which everything is given to one person."""
    seen = []
    while next_item(desk, who).item is not None:
        seen.append(settle(desk, who, "approve").id)
    return seen


def test_an_edit_counts_when_a_second_person_agrees(make_desk, url: str):
    desk = make_desk(second_edit=True, url=url, candidates=2)
    item = settle(desk, "dana", "edit", text="E11.42")
    assert item.state == "pending"
    assert settle(desk, "dana", "approve").id != item.id, "not to the same person"
    second = take(desk, "mo", want=item.id)
    settle(desk, "mo", "approve", want=item.id)
    assert second.answer == "E11.42" and "answer 0" in second.findings[0]["text"]
    row = desk.store.row(item.id)
    assert (row.state, row.example.answer, row.original.answer) == ("edited", "E11.42", "answer 0")
    undo(desk, item.id, "mo")
    assert desk.store.row(item.id).state == "pending"
    assert settle(desk, "mo", "edit", item.id, text="E10.42").state == "unsure", "they differ: a third decides"
    assert [side.answer for side in take(desk, "lena").sides] == ["E11.42", "E10.42"]
    settle(desk, "lena", "edit", text="E10.42")
    assert desk.store.row(item.id).example.answer == "E10.42"


def test_a_blind_second_person_does_not_see_the_edit_that_waits_for_them(make_desk):
    desk = make_desk(second_edit=True, overlap=1.0, candidates=1)
    settle(desk, "dana", "edit", text="E11.42")
    item = take(desk, "mo")
    assert item.blind and item.answer == "answer 0"


def test_the_policy_on_edits_holds_for_edits_made_before(make_desk):
    first = make_desk()
    first.store.add(rows_of(1), role="candidates")
    assert settle(first, "dana", "edit", text="better").state == "edited"
    strict = make_desk(second_edit=True)
    assert next_item(strict, "dana").item is None and strict.store.row("r-000001").state == "pending"
    settle(strict, "mo", "approve")
    assert next_item(make_desk(), "lena").item is None
    assert strict.store.row("r-000001").example.answer == "better"


def test_a_row_sent_back_keeps_its_edit_and_is_decided_again_by_anyone(make_desk):
    desk = make_desk(candidates=1)
    settle(desk, "dana", "edit", text="better")
    desk.store.queue(["r-000001"], "guideline v2", "guideline")
    with pytest.raises(Refusal, match="r-000001"):
        undo(desk, "r-000001", "dana")
    item = take(desk, "mo")
    settle(desk, "mo", "approve")
    row = desk.store.row("r-000001")
    assert item.answer == row.example.answer == "better" and row.state == "edited"
    assert row.original.answer == "answer 0", "the draft is still kept, for a preference pair"
    desk.store.queue(["r-000001"], "contradiction", "contradictions")
    (made,) = decide_all(desk, "dana", [("r-000001", Ruling("reject"))], kind="person")
    assert made.state == "rejected"


@pytest.mark.parametrize("role", ["adjudicator", "lead"])
def test_a_flag_goes_to_the_one_who_ends_disagreements(make_desk, role: str):
    desk = make_desk(candidates=1)
    invite(desk.store, "lena", role=role)
    assert settle(desk, "dana", "flag").state == "unsure"
    assert next_item(desk, "mo").item is None
    assert settle(desk, "lena", "reject").state == "rejected"


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


def test_the_doubtful_come_first(make_desk):
    desk = make_desk(order="uncertainty")
    ids = desk.store.add(rows_of(4), role="candidates").ids
    with desk.store.write() as connection:
        write_links(connection, [Link(ids[1], ids[3], "minimal_pair", 0.9)])
    assert order(desk) == [ids[1], ids[3], ids[0], ids[2]]


def test_the_smallest_class_comes_first(make_desk):
    desk = make_desk(order="gap", pool="trust")
    kept = desk.store.add([Example(chat_row(f"kept {n}", "A")) for n in range(3)], role="candidates").ids
    for _ in kept:
        settle(desk, "dana", "approve")
    new = [Example(chat_row(f"new {n}", answer)) for n, answer in enumerate("AABBC")]
    desk.store.add(new, role="candidates")
    given = [desk.store.row(name).example.answer for name in order(desk)]
    assert given == ["B", "C", "B", "A", "A"]


def test_the_guideline_names_the_reasons(make_desk, project):
    text = "# Guideline\n\n- not a reason\n\n## 3 Reasons\n\nUse one.\n\n1. wrong code\n2. no code\n\n## 4 More\n- x\n"
    assert reasons_in(text) == ("wrong code", "no code")
    assert reasons_in("# Guideline\n\n- a\n") == ()
    desk = make_desk(candidates=1)
    assert take(desk, "mo").reasons == desk.settings.review.reasons
    project.guideline_file.write_text(text)
    assert take(desk, "mo").reasons == ("wrong code", "no code")


def test_agreement_with_the_final_decision(make_desk):
    desk = make_desk(overlap=1.0, candidates=4)
    for who, verdicts in (("dana", "approve approve reject approve"), ("mo", "approve approve approve approve")):
        for verdict in verdicts.split():
            settle(desk, who, verdict)
    settle(desk, "lena", "reject")
    people = {person.name: person for person in person_progress(desk.store)}
    assert (people["dana"].consensus, people["dana"].consensus_rows) == (1.0, 4)
    assert (people["mo"].consensus, people["lena"].consensus) == (0.75, 1.0)


def test_three_people_see_a_row_where_the_policy_says_so(make_desk):
    desk = make_desk(overlap=1.0, overlap_people=3, candidates=4)
    verdicts = {"ana": "approve approve reject reject", "ben": "approve approve reject approve",
                "cy": "approve reject reject approve"}  # fmt: skip
    for who, given in verdicts.items():
        for verdict in given.split():
            item = take(desk, who)
            assert item.blind and item.sides == ()
            settle(desk, who, verdict)
    assert [row.state for row in desk.store.rows()] == ["approved", "unsure", "rejected", "unsure"]
    agreed = progress(desk).agreement
    assert (agreed.measure, agreed.units, agreed.reviewers) == ("alpha", 4, ("ana", "ben", "cy"))
    assert len(take(desk, "dot").sides) == 3
    assert settle(desk, "dot", "approve").state == "approved"
