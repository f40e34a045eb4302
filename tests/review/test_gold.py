"""Known items: mixed in by share, answers that never count for the row, nothing that tells them apart, entry test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from curation.example import Example, chat_row
from curation.review import Desk, Ruling, decide, decide_all, next_item, progress, undo
from curation.review.gold import add_gold, end_gold, known_by_person, known_items, was_right
from curation.review.people import known_reviewer
from curation.review.similar import NearestDecided
from rung.status import read_facts, status_of
from rung.status.facts import WAITING
from workspace.errors import Refusal


def lead_decides(desk: Desk, count: int, verdicts: str = "approve edit reject") -> list[str]:
    """Lena decides the first rows of the queue; returns their ids."""
    kinds = verdicts.split()
    ids = []
    for number in range(count):
        item = next_item(desk, "lena").item
        assert item is not None
        kind = kinds[number % len(kinds)]
        decide(desk, item.id, item.token, "lena", Ruling(kind, text="the right answer" if kind == "edit" else None))
        ids.append(item.id)
    return ids


def walk(desk: Desk, who: str, verdict: str = "approve", most: int = 400) -> list[dict[str, Any]]:
    """Everything that `next` and `decide` show one person, until nothing is left."""
    seen = []
    for _ in range(most):
        item = next_item(desk, who).item
        if item is None:
            break
        made = decide(desk, item.id, item.token, who, Ruling(verdict))
        seen.append({"item": item.to_json(), "decided": made})
    return seen


def on_start(desk: Desk) -> tuple[int, int]:
    """(decided, waiting) as Start and `rung status` count them."""
    desk.project.settings_file.write_text(f"[review]\ngold = {desk.settings.review.gold}\n")
    facts = read_facts(desk.project)
    return facts.reviewed("approved", "edited", "rejected"), facts.reviewed(*WAITING)


def test_known_items_come_by_their_share_and_never_change_the_row(make_desk: Any, url: str, rows_of: Any) -> None:
    desk = make_desk(gold=0.25, url=url)
    desk.store.add(rows_of(32), role="candidates")
    ids = lead_decides(desk, 6)
    assert add_gold(desk.store, ids, actor="lena") == ids and add_gold(desk.store, ids, actor="lena") == []
    before = {row.id: (row.state, row.payload, row.reviewer, row.decision) for row in desk.store.rows(ids=ids)}
    seen = walk(desk, "mo")
    given = [each["item"]["id"] for each in seen]
    assert sorted(given) == sorted(set(given)), "no row twice"
    known = [name for name in given if name in ids]
    assert 3 <= len(known) <= 6 and len(given) - len(known) == 26
    assert {row.id: (row.state, row.payload, row.reviewer, row.decision) for row in desk.store.rows(ids=ids)} == before
    (mo,) = known_by_person(desk.store)
    faulty = sum(before[name][0] != "approved" for name in known)
    assert (mo.reviewer, mo.answered, mo.missed) == ("mo", len(known), faulty), (
        "all approved: each faulty one is missed"
    )
    assert sum(item.missed for item in known_items(desk.store)) == faulty
    assert not {"lena"} & {each.reviewer for each in known_by_person(desk.store)}, "not to the one who set them"


def test_nothing_tells_a_known_item_from_another(make_desk: Any, rows_of: Any) -> None:
    """What one reviewer sees of both kinds: the same keys and kinds of values, and the same steps in every count."""
    desk = make_desk(gold=0.3)
    desk.store.add(rows_of(30), role="candidates")
    known_reviewer(desk.store, "mo")
    ids = lead_decides(desk, 8)
    add_gold(desk.store, ids, actor="lena")
    kinds: dict[bool, set[str]] = {True: set(), False: set()}
    for _ in range(20):
        start, begun = progress(desk), on_start(desk)
        item = next_item(desk, "mo").item
        assert item is not None
        leased = progress(desk)
        shown = item.to_json()
        assert "gold" not in json.dumps(shown) and "known" not in json.dumps(shown) and "lena" not in json.dumps(shown)
        made = decide(desk, item.id, item.token, "mo", Ruling("approve"))
        after = progress(desk)
        step = {
            "keys": sorted(shown),
            "plain": {key: shown[key] for key in ("role", "origin", "queued", "blind", "reasons", "sides", "draft")},
            "place": (shown["decided"] - start.decided, shown["total"] - start.total),
            "decided": (made.state, made.note),
            "leasing": {state: leased.states[state] - start.states[state] for state in start.states},
            "deciding": {state: after.states[state] - start.states[state] for state in start.states},
            "start": tuple(new - old for new, old in zip(on_start(desk), begun, strict=True)),
            "counts": (after.decided - start.decided, after.total - start.total),
            "person": after.reviewers[-1].decided - (start.reviewers[-1].decided if len(start.reviewers) > 1 else 0),
        }
        kinds[item.id in ids].add(json.dumps(step))
    assert len(kinds[True]) == 1 and kinds[True] == kinds[False], kinds


def test_the_end_of_the_queue_is_told_and_no_known_item_comes_after_it(make_desk: Any, rows_of: Any) -> None:
    desk = make_desk(gold=0.4)
    desk.store.add(rows_of(12), role="candidates")
    ids = lead_decides(desk, 4)
    add_gold(desk.store, ids, actor="lena")
    seen = [each["item"]["id"] for each in walk(desk, "mo")]
    assert set(seen) & set(ids) and seen[-1] not in ids
    found = progress(desk)
    assert found.decided == found.total == len(seen) + 4, "nothing is left that nobody will be given"
    assert on_start(desk) == (found.decided, 0)
    assert status_of(read_facts(desk.project)).stage("Review").state == "done"


def test_a_known_item_comes_as_it_first_came(make_desk: Any, rows_of: Any) -> None:
    desk = make_desk(gold=0.5)
    desk.store.add(rows_of(9), role="candidates")
    ids = lead_decides(desk, 3, "edit")
    add_gold(desk.store, ids, actor="lena")
    answers = {each["item"]["id"]: each["item"]["answer"] for each in walk(desk, "mo")}
    for row in desk.store.rows(ids=[name for name in ids if name in answers]):
        assert answers[row.id] == row.original.answer != row.example.answer == "the right answer"
    assert set(ids) & set(answers)


def test_undo_skip_stale_and_a_second_look(make_desk: Any, rows_of: Any) -> None:
    clock = [1_000_000.0]
    desk = make_desk(gold=0.5, clock=lambda: clock[0])
    desk.store.add(rows_of(20), role="candidates")
    ids = lead_decides(desk, 8)
    add_gold(desk.store, ids, actor="lena")
    while (item := next_item(desk, "mo").item).id not in ids:  # type: ignore[union-attr]
        decide(desk, item.id, item.token, "mo", Ruling("approve"))  # type: ignore[union-attr]
    assert item is not None
    again = next_item(desk, "mo").item
    assert again is not None and (again.id, again.token) == (item.id, item.token), "held, as any row"
    clock[0] += 10_000
    with pytest.raises(Refusal, match="that is over") as refused:
        decide(desk, item.id, item.token, "mo", Ruling("approve"))
    assert "lena" not in str(refused.value), "nobody else's decision is told"
    taken = next_item(desk, "mo", want=item.id).item
    assert taken is None, "a row that was never decided by this person cannot be asked for to see what it is"
    while (item := next_item(desk, "mo").item).id not in ids:  # type: ignore[union-attr]
        decide(desk, item.id, item.token, "mo", Ruling("approve"))  # type: ignore[union-attr]
    assert item is not None
    assert decide(desk, item.id, item.token, "mo", Ruling("reject")).state == "rejected"
    assert undo(desk, item.id, "mo").state == "pending"
    back = next_item(desk, "mo", want=item.id).item
    assert back is not None and back.id == item.id
    assert decide(desk, back.id, back.token, "mo", Ruling("skip")).state == "skipped"
    given = [each["item"]["id"] for each in walk(desk, "mo")]
    assert back.id in given, "skipped ones come back, last"
    assert next_item(desk, "mo").item is None


def test_near_rows_do_not_give_it_away(make_desk: Any, rows_of: Any) -> None:
    desk = make_desk(gold=0.1)
    words = "acute painful neuropathy of both feet with insulin"
    desk.store.add([Example(chat_row(f"{words} {n}", f"E{n}")) for n in range(4)], role="candidates")
    ids = lead_decides(desk, 1, "approve")
    item = next_item(desk, "mo").item
    assert item is not None and [near.side.row for near in NearestDecided(desk).near(item)] == ids
    add_gold(desk.store, ids, actor="lena")
    assert NearestDecided(desk).near(item) == ()


def test_a_row_sent_back_is_no_known_item_any_more(make_desk: Any, rows_of: Any) -> None:
    desk = make_desk(gold=0.5)
    desk.store.add(rows_of(12), role="candidates")
    ids = lead_decides(desk, 6)
    add_gold(desk.store, ids, actor="lena")
    walk(desk, "mo")
    answered = known_by_person(desk.store)
    desk.store.queue(ids[:1], "guideline 2", "guideline")
    assert ids[0] not in [item.row for item in known_items(desk.store)]
    assert known_by_person(desk.store) == answered, "what was answered stays counted"
    item = next_item(desk, "mo", want=ids[0]).item
    assert item is not None
    decide(desk, item.id, item.token, "mo", Ruling("reject"))
    assert desk.store.row(ids[0]).state == "rejected", "now it counts"
    undo(desk, ids[1], "lena")
    assert ids[1] not in [item.row for item in known_items(desk.store)]
    assert end_gold(desk.store, ids, actor="lena") == ids[2:] and known_items(desk.store) == []


def test_only_decided_rows_can_be_known(make_desk: Any, rows_of: Any) -> None:
    desk = make_desk()
    desk.store.add(rows_of(3), role="candidates")
    with pytest.raises(Refusal, match=r"r-000001: pending; r-000002: pending"):
        add_gold(desk.store, ["r-000001", "r-000002"], actor="lena")
    with pytest.raises(Refusal, match="r-000077: no such row"):
        add_gold(desk.store, ["r-000077"], actor="lena")


@pytest.mark.parametrize(
    ("expected", "verdict", "text", "right"),
    [
        ("approve", "approve", None, True), ("approve", "reject", None, False), ("approve", "edit", "x", False),
        ("approve", "edit", "draft.", True),
        ("reject", "reject", None, True), ("reject", "edit", "x", True), ("reject", "approve", None, False),
        ("edit", "edit", "Right", True), ("edit", "edit", "x", False), ("edit", "reject", None, True),
        ("edit", "approve", None, False), ("edit", "edit", "draft", False),
        ("edit", "unsure", None, None), ("edit", "skip", None, None),
    ],
)  # fmt: skip
def test_what_is_right(expected: str, verdict: str, text: str | None, right: bool | None) -> None:
    def row(answer: str) -> str:
        return Example(chat_row("q", answer)).to_json()

    known = row("right") if expected == "edit" else None
    assert was_right(expected, known, row("draft"), verdict, row(text) if text else None) is right


def test_the_entry_test_opens_the_queue_and_may_be_repeated(make_desk: Any, url: str, rows_of: Any) -> None:
    desk = make_desk(entry=5, entry_right=0.7, url=url)
    desk.store.add(rows_of(40), role="candidates")
    from curation.review import invite

    invite(desk.store, "lena", role="lead")
    ids = lead_decides(desk, 8, "approve reject")
    with pytest.raises(Refusal, match="5 gold items first"):
        next_item(desk, "mo")
    add_gold(desk.store, ids, actor="lena")
    verdict_of = {row.id: {"approved": "approve"}.get(row.state, "reject") for row in desk.store.rows(ids=ids)}

    def round_of(right: int) -> list[Any]:
        made = []
        for place in range(5):
            item = next_item(desk, "mo").item
            assert item is not None and item.id in ids
            wrong = {"approve": "reject", "reject": "approve"}[verdict_of[item.id]]
            made.append(
                decide(desk, item.id, item.token, "mo", Ruling(verdict_of[item.id] if place < right else wrong))
            )
        return made

    first = round_of(3)
    assert [each.note for each in first[:4]] == [""] * 4
    assert first[4].note == "Entry test: 3 of 5 right, 4 are needed. You may try again."
    with pytest.raises(Refusal, match="has not passed the entry test"):
        decide_all(desk, "mo", [("r-000020", Ruling("approve"))], kind="person")
    assert next_item(desk, "mo", want="r-000030").item is None
    second = round_of(4)
    assert len({each.id for each in first + second}) == 8, "unseen ones come first, then those seen longest ago"
    assert second[4].note == "Entry test passed: 4 of 5 right."
    item = next_item(desk, "mo").item
    assert item is not None and item.id not in ids
    decide(desk, item.id, item.token, "mo", Ruling("approve"))
    assert desk.store.row(item.id).state == "approved"
    assert next_item(desk, "lena").item is not None, "a lead is not asked"


def test_the_entry_test_is_off_by_default(make_desk: Any, rows_of: Any) -> None:
    desk = make_desk()
    desk.store.add(rows_of(2), role="candidates")
    assert desk.settings.review.entry == 0 and desk.settings.review.gold == 0
    assert next_item(desk, "anyone").item is not None


def test_two_reviewers_at_once_never_hold_the_same_known_item(make_desk: Any, url: str, rows_of: Any) -> None:
    import threading

    desk = make_desk(gold=0.5, url=url)
    desk.store.add(rows_of(30), role="candidates")
    ids = lead_decides(desk, 4)
    add_gold(desk.store, ids, actor="lena")
    faults: list[str] = []

    def work(who: str) -> None:
        for _ in range(8):
            item = next_item(desk, who).item
            if item is None:
                return
            try:
                decide(desk, item.id, item.token, who, Ruling("approve"))
            except Refusal as refused:
                faults.append(str(refused))

    people = [threading.Thread(target=work, args=(f"person {n}",)) for n in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert faults == []
    assert sum(known.answered for known in known_by_person(desk.store)) >= 8
