"""The queue: order, verdicts, leases, stale forms, undo; a disk that is full and a clock that is set back.

The count of waiting rows is kept, not made for each item (test_waiting_property.py: it is right), and no step of a
decision goes through all rows.
"""

import contextlib
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from deciding import settle, take
from freezing import rows_of
from sqlalchemy import event, insert, text

from curation.review import Desk, Ruling, decide, decide_all, known_reviewer, open_desk, progress, undo
from curation.review.service import contest
from curation.store.tables import tally
from curation.store.waiting_rows import MANY, is_due, waiting
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings

APPROVE = Ruling("approve")


def test_test_rows_come_first_and_a_row_that_is_open_elsewhere_is_not_given_twice(make_desk):
    desk = make_desk(own=2)
    desk.store.add(rows_of(2, 10), role="test")
    first = take(desk, "dana")
    assert (first.role, first.id) == ("test", "r-000003")
    assert take(desk, "dana").token == first.token
    assert take(desk, "mo").id == "r-000004"
    assert take(desk, "dana", holding=[first.id]).id == "r-000001"
    late = replace(desk, clock=lambda: time.time() + 1_000_000)
    assert take(late, "dana", holding=[first.id]).id == "r-000004", "open on their screen, though its lease is over"


def test_a_stale_token_changes_nothing_and_keeps_the_text(make_desk, url: str):
    now = [time.time()]
    desk = make_desk(lambda: now[0], url=url, lease_seconds=60, candidates=1)
    mine = take(desk, "dana")

    def refused(token: str, who: str, named: str = mine.id, ruling: Ruling = APPROVE):
        with pytest.raises(Refusal, match=named) as told:
            decide(desk, mine.id, token, who, ruling)
        assert told.value.where == mine.id

    refused("made-up", "dana")
    refused(mine.token, "mo")
    now[0] += 61
    refused(mine.token, "dana", r"\d\d:\d\d:\d\d", Ruling("edit", text="mine"))  # until then it was kept
    refused("made-up", "dana", ruling=Ruling("edit", text="forged"))
    theirs = take(desk, "mo")
    assert theirs.id == mine.id and theirs.token != mine.token and theirs.draft is None
    refused(mine.token, "dana")
    decide(desk, theirs.id, theirs.token, "mo", APPROVE)
    refused(mine.token, "dana", r"\bmo\b.* \d\d:\d\d UTC")
    refused(theirs.token, "mo", "approve")
    assert desk.store.row(mine.id).reviewer == "mo"
    undo(desk, mine.id, "mo")
    draft = take(desk, "dana").draft
    assert draft["messages"][-1]["content"] == "mine"
    settle(desk, "dana", "approve")
    undo(desk, mine.id, "dana")
    assert take(desk, "dana").draft is None, "a decision ends it"


@pytest.mark.parametrize("verdict", ["skip", "unsure"])
def test_a_contested_row_waits_until_a_third_person_decides(make_desk, verdict: str):
    """Neither "not sure" nor a skip makes the late decision the one that counts."""
    desk = make_desk(candidates=1)
    before = replace(desk, clock=lambda: desk.clock() - 1_000_000)  # a lease that ran out long ago
    token = take(before, "eli", want="r-000001").token
    name = settle(desk, "dana", "approve").id
    late = partial(contest, desk, known_reviewer(desk.store, "eli"), name, token)
    assert late(Ruling("reject")) == "unsure"
    assert settle(desk, "fay", verdict).id == name
    assert desk.store.row(name).state == "unsure" and desk.store.row(name).decision is None
    assert settle(desk, "gus", "reject").id == name
    with pytest.raises(Refusal):
        late(Ruling("approve"))
    assert [event.actor for event in desk.store.events(kind="contest", ref=name)] == ["eli"]
    assert desk.store.row(name).state == "rejected" and desk.store.row(name).reviewer == "gus"
    undo(desk, name, "gus")
    undo(desk, name, "eli")
    assert desk.store.row(name).state == "approved" and desk.store.row(name).reviewer == "dana"


def test_many_entries_are_put_together(make_desk, url: str):
    desk = make_desk(url=url, candidates=9)
    settle(desk, "dana", "approve")
    with desk.store.write() as connection:  # rows that ceased to wait and began again, many times
        connection.execute(insert(tally), [{"waiting": way} for way in (1, -1) * (MANY // 2)])
    settle(desk, "dana", "reject")
    with desk.store.read() as connection:
        assert waiting(connection) == (9, 7) and not is_due(connection)
        assert connection.execute(text("SELECT count(*) FROM tally")).scalar_one() == 1


def statements(desk: Desk) -> list[tuple[str, Any]]:
    """Each statement that the database is given from now on, with its values."""
    asked: list[tuple[str, Any]] = []
    event.listen(
        desk.store.engine, "before_cursor_execute", lambda _c, _cur, words, given, _x, _m: asked.append((words, given))
    )
    return asked


def test_an_undo_of_many_rows_is_a_few_statements(make_desk, url: str):
    desk = make_desk(url=url, candidates=400)
    names = [f"r-{n:06d}" for n in range(1, 401)]
    changes = desk.store.exclude(names, "odd", "x"), desk.store.queue(names, "again", "x")
    asked = statements(desk)
    for change in changes:
        asked.clear()
        desk.store.undo(change)
        assert len(asked) < 20
    assert {(row.excluded, row.state) for row in desk.store.rows(excluded=None)} == {(None, "pending")}


def test_no_step_of_a_decision_goes_through_all_rows(make_desk):
    """The database's own query plan, for every statement of a decision."""
    desk = make_desk(candidates=60)
    decide_all(desk, "lead", [(f"r-{n:06d}", APPROVE) for n in range(1, 9)], kind="person")
    settle(desk, "dana", "approve")
    asked = statements(desk)
    for verdict, answer in (("approve", None), ("edit", "another answer"), ("reject", None)) * 4:
        settle(desk, "dana", verdict, text=answer)
    seen = [each for each in asked if each[0].startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len({words for words, _ in seen}) > 15
    for words, given in seen:
        with desk.store.engine.connect() as connection:
            plan = [step[3] for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", given)]
        assert not [step for step in plan if step in ("SCAN rows", "SCAN decisions", "SCAN later")], (words, plan)


def test_the_first_free_row_comes_by_an_index_on_postgresql(make_desk, postgres):
    """With sorting and scanning made dear, the plan sorts only where no index holds the rows in their order."""
    desk = make_desk(url=postgres(), candidates=6)
    asked = statements(desk)
    settle(desk, "dana", "approve")
    first = [each for each in asked if "LIMIT" in each[0] and "rows.place" in each[0] and "SKIP LOCKED" in each[0]]
    assert len(first) == 2, "the pending and the unsure"
    for words, given in first:
        with desk.store.engine.begin() as connection:
            for node in ("sort", "seqscan", "bitmapscan"):
                connection.exec_driver_sql(f"SET LOCAL enable_{node} = off")
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {words}", given).scalars())
        assert "ix_rows_state_priority_place_id" in plan and "Sort" not in plan, plan


def test_a_disk_full_while_deciding_loses_nothing(small_disk: Path):
    (small_disk / "rung.toml").write_text("")
    with open_desk(Project(small_disk), Settings()).store as store:
        desk = Desk(store, Project(small_disk), Settings())
        store.add(rows_of(20), role="candidates")
        made = [settle(desk, "mo", "approve").id for _ in range(3)]
        item = take(desk, "mo")
        with contextlib.suppress(OSError):
            (small_disk / "filler").write_bytes(bytes(1 << 22))
        refused = 0
        for _ in range(40):  # the log file may still have room for a few
            try:
                decide(desk, item.id, item.token, "mo", Ruling("edit", text="long " * 20_000))
            except RungError as error:
                assert "disk is full" in error.found and tempfile.gettempdir() in error.message
                refused += 1
                break
            made.append(item.id)
            item = take(desk, "mo")
        assert refused == 1
        assert progress(desk).decided == len(made), "what was confirmed stands, what was refused does not"
        (small_disk / "filler").unlink()
        assert decide(desk, item.id, item.token, "mo", Ruling("approve")).state == "approved", "the same token goes on"
        with store.read() as connection:
            log = connection.exec_driver_sql("SELECT count(*) FROM decisions").scalar()
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert log == len(made) + 1


def test_a_clock_set_back_while_someone_decides(make_desk):
    now = [time.time()]
    desk = make_desk(clock=lambda: now[0], candidates=5)
    settle(desk, "mo", "approve")
    held = take(desk, "mo")
    now[0] -= 20  # within two clocks' skew
    assert decide(desk, held.id, held.token, "mo", Ruling("edit", text="a")).state == "edited"
    held = take(desk, "mo")
    now[0] -= 86_400
    with pytest.raises(Refusal, match=held.id):
        decide(desk, held.id, held.token, "mo", Ruling("edit", text="typed before"))
    again = take(desk, "mo")
    assert again.id == held.id and again.draft is not None
    decide(desk, again.id, again.token, "mo", Ruling("reject"))
    found = progress(desk)
    assert found.decided == 3 and found.reviewers[0].minutes >= 0
    assert undo(desk, again.id, "mo").state == "pending"
    with desk.store.read() as connection:
        log = connection.exec_driver_sql("SELECT verdict FROM decisions ORDER BY id").scalars().all()
    assert log == ["approve", "edit", "reject", "undo"], "the log's order is its own, whatever the clock says"
