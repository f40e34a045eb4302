"""The count of waiting rows is kept, not made for each item (test_waiting_property.py: it is right), and no step of a
decision goes through all rows."""

from __future__ import annotations

from typing import Any

import pytest
from deciding import held_before, settle
from sqlalchemy import event, insert, text

from curation.review import Ruling, decide_all, known_reviewer, undo
from curation.review.service import contest
from curation.store.tables import tally
from curation.store.waiting_rows import MANY, is_due, waiting

APPROVE, EDIT, REJECT = Ruling("approve"), Ruling("edit", text="another answer"), Ruling("reject")


@pytest.mark.parametrize("verdict", ["skip", "unsure"])
def test_a_contested_row_waits_until_a_third_person_decides(make_desk, verdict: str):
    """Neither "not sure" nor a skip makes the late decision the one that counts."""
    desk = make_desk(candidates=1)
    token = held_before(desk, "eli", "r-000001")
    name = settle(desk, "dana", "approve").id
    assert contest(desk, known_reviewer(desk.store, "eli"), name, token, REJECT) == "unsure"
    assert settle(desk, "fay", verdict).id == name
    assert desk.store.row(name).state == "unsure" and desk.store.row(name).decision is None
    assert settle(desk, "gus", "reject").id == name
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


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_no_step_of_a_decision_goes_through_all_rows(make_desk, url: str):
    """The database's own query plan, for every statement of a decision."""
    desk = make_desk(url=url, candidates=60)
    decide_all(desk, "lead", [(f"r-{n:06d}", APPROVE) for n in range(1, 9)], kind="person")
    settle(desk, "dana", "approve")
    asked: list[tuple[str, Any]] = []
    event.listen(
        desk.store.engine, "before_cursor_execute", lambda _c, _cur, words, given, _x, _m: asked.append((words, given))
    )
    for ruling in (APPROVE, EDIT, REJECT) * 4:
        settle(desk, "dana", ruling.verdict, text=ruling.text)
    seen = [each for each in asked if each[0].startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len({words for words, _ in seen}) > 15
    for words, given in seen:
        with desk.store.engine.connect() as connection:
            plan = [step[3] for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", given)]
        assert not [step for step in plan if step in ("SCAN rows", "SCAN decisions", "SCAN later")], (words, plan)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_the_first_free_row_comes_by_an_index_on_postgresql(make_desk, url: str):
    """With sorting and scanning made dear, the plan sorts only where no index holds the rows in their order."""
    desk = make_desk(url=url, candidates=6)
    asked: list[tuple[str, Any]] = []
    event.listen(
        desk.store.engine, "before_cursor_execute", lambda _c, _cur, words, given, _x, _m: asked.append((words, given))
    )
    settle(desk, "dana", "approve")
    first = [each for each in asked if "LIMIT" in each[0] and "rows.place" in each[0] and "SKIP LOCKED" in each[0]]
    assert len(first) == 2, "the pending and the unsure"
    for words, given in first:
        with desk.store.engine.begin() as connection:
            for node in ("sort", "seqscan", "bitmapscan"):
                connection.exec_driver_sql(f"SET LOCAL enable_{node} = off")
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {words}", given).scalars())
        assert "ix_rows_state_priority_place_id" in plan and "Sort" not in plan, plan
