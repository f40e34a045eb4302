"""Review policy of the pool: samples, blind rows, adjudicators, rows sent back, personal links."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from deciding import settle, take
from sqlalchemy import select

from curation.example import Example, chat_row
from curation.review import Ruling, decide, decide_all, draw_again, known_reviewer, next_item, plans, progress, undo
from curation.review.progress import most_faulty
from curation.review.queue import draw
from curation.store.tables import rows
from workspace.errors import Refusal, RungError


@pytest.mark.parametrize(
    ("policy", "queued", "rest"), [("all", 300, ""), ("sample", 149, "unreviewed"), ("trust", 0, "trusted")]
)
def test_the_policy_says_what_of_the_pool_is_queued(make_desk, rows_of, policy: str, queued: int, rest: str):
    desk = make_desk(pool=policy, own=300)
    desk.store.add(rows_of(2, 900), role="candidates")
    found = progress(desk)
    assert (found.states["pending"], found.total) == (queued + 2, queued + 2)
    assert found.not_queued == {"unreviewed": 0, "trusted": 0} | ({rest: 300 - queued} if rest else {})


def test_a_sample_is_drawn_by_seed_and_stands_once_an_item_was_seen(make_desk, rows_of):
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


def test_a_row_that_a_check_sent_says_why_it_is_here_and_a_sampled_one_nothing(make_desk, rows_of):
    desk = make_desk(pool="trust", own=1)
    desk.store.queue(["r-000001"], "phones, e-mails", "pii", actor="sam")
    ((sent,),) = (take(desk, "dana").findings,)
    assert sent["kind"] == "sent" and "phones, e-mails" in sent["text"]
    every = make_desk(pool="all")
    every.store.add(rows_of(1, 9), role="pool")
    assert take(every, "mo").findings == ()


def failed_sample(make_desk, **review):
    """A desk whose first sample of 20 of 200 rows failed."""
    desk = make_desk(sample=20, **review, own=200)
    progress(desk)
    names = [row.id for row in desk.store.rows() if row.in_sample]
    known_reviewer(desk.store, "code table", kind="automatic")
    decide_all(desk, "code table", [(names[0], Ruling("reject")), *((name, Ruling("approve")) for name in names[1:])])
    return desk


def test_a_larger_sample_stands_when_other_rows_come(make_desk, rows_of):
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


def test_a_row_sent_back_is_decided_again_by_whoever_decided_it(make_desk):
    desk = make_desk(candidates=1)
    settle(desk, "dana", "approve")
    desk.store.queue(["r-000001"], "contradiction", "contradictions")
    with pytest.raises(Refusal, match="r-000001"):
        undo(desk, "r-000001", "dana")
    (made,) = decide_all(desk, "dana", [("r-000001", Ruling("reject"))], kind="person")
    assert made.state == "rejected"
