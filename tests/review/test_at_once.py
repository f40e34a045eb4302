"""Several programs on one store: none waits for ever, stops another, or works with what another changed."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from freezing import rows_of
from sqlalchemy import insert, select, text, update

from curation.review import Ruling, decide, decide_all, next_item, progress, refresh_queue
from curation.store import open_store
from curation.store.reviewers import current_guideline
from curation.store.tables import rows, tally
from curation.store.waiting_rows import MANY, is_due
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings

APPROVE = Ruling("approve")


def other(work: Callable[[], Any]) -> Future[Any]:
    """Another program that works meanwhile."""
    begun = ThreadPoolExecutor(1).submit(work)
    time.sleep(0.7)
    return begun


def test_nobody_waits_for_ever_for_a_program_that_stands_still(make_desk, postgres):
    url = postgres()
    with make_desk(url=url).store.read() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "30s", "where nothing else is said"
    desk = make_desk(url=f"{url}?options=-c%20lock_timeout%3D1s", candidates=3)
    decide_first = partial(decide_all, desk, "dana", [("r-000001", APPROVE)])
    with desk.store.write(alone=True) as connection:
        connection.execute(update(rows).where(rows.c.id == 1).values(mark="train"))
        for work in (lambda: desk.store.exclude(["r-000002"], "odd", "x"), decide_first):
            with pytest.raises(Refusal) as told:
                other(work).result(60)
            assert "lock" in told.value.found and told.value.where == desk.store.where
    assert [done.id for done in decide_first()] == ["r-000001"]


def test_two_who_decide_the_same_rows_in_another_order_both_end(make_desk, postgres):
    url = postgres()
    desks = [make_desk(url=url, overlap=1.0, overlap_people=2) for _ in range(2)]
    desks[0].store.add(rows_of(40), role="candidates")
    names = [f"r-{n:06d}" for n in range(1, 41)]
    orders = ((desks[0], "one", names), (desks[1], "two", names[::-1]))
    for desk, who, _ in orders:
        decide_all(desk, who, [])
    both = [other(partial(decide_all, desk, who, [(name, APPROVE) for name in order])) for desk, who, order in orders]
    assert [len(each.result(60)) for each in both] == [40, 40]


def test_two_decide_first_under_a_new_guideline(make_desk, postgres):
    url = postgres()
    one, two = (make_desk(url=url) for _ in range(2))
    one.store.add(rows_of(4), role="candidates")
    item = next_item(two, "dana").item
    assert item is not None
    one.project.guideline_file.write_text("Be brief.")
    with one.store.write() as connection:
        mine = current_guideline(one.store, one.project, connection)
        decided = other(lambda: decide(two, item.id, item.token, "dana", APPROVE))
    assert decided.result(60).state == "approved"
    assert mine is not None and [each.ref for each in one.store.events(kind="guideline")] == ["guideline-1"]
    assert one.store.row(item.id).guideline == 1


def test_what_is_decided_while_rows_are_sent_to_review_is_there_after_the_undo(make_desk, postgres):
    desk = make_desk(url=postgres(), candidates=3)
    with desk.store.write() as connection:
        connection.execute(update(rows).where(rows.c.id == 2).values(state="approved", decision_id=7))
        change = other(lambda: desk.store.queue(["r-000002"], "again", "x"))
    desk.store.undo(change.result(60))
    with desk.store.read() as connection:
        found = connection.execute(select(rows.c.state, rows.c.decision_id).where(rows.c.id == 2)).one()
    assert tuple(found) == ("approved", 7)


def test_a_change_is_taken_back_once(make_desk, postgres):
    desk = make_desk(url=postgres(), candidates=3)
    change = desk.store.exclude(["r-000002"], "odd", "x")
    with desk.store.write(alone=True):
        both = [other(lambda: desk.store.undo(change)) for _ in range(2)]
    assert [type(error) for each in both if (error := each.exception(60))] == [RungError]
    assert len(desk.store.events(kind="undo")) == 1


def test_the_next_row_comes_while_a_long_import_runs(make_desk, postgres):
    desk = make_desk(url=postgres(), candidates=3)
    refresh_queue(desk.store, desk.settings)
    next_item(desk, "dana")
    with desk.store.write() as connection:
        connection.execute(insert(tally), [{"waiting": n % 2 * 2 - 1} for n in range(MANY + 2)])
    with desk.store.write(alone=True) as importing:
        assert is_due(importing)
        assert other(lambda: next_item(desk, "eli").item).result(20).id == "r-000002"
    next_item(desk, "eli")
    with desk.store.read() as connection:
        assert not is_due(connection)


def test_what_is_read_in_one_go_is_one_state(make_desk, url: str):
    desk = make_desk(url=url, candidates=3)
    with desk.store.read() as connection:
        before = connection.execute(select(rows.c.id)).all()
        desk.store.add(rows_of(3, 10), role="candidates")
        assert connection.execute(select(rows.c.id)).all() == before
    assert len(desk.store.rows()) == 6


WORKER = """
import sys, time
from pathlib import Path
from curation.review import Desk, Ruling, decide, next_item
from curation.store import open_store
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

root, url, name = sys.argv[1:]
project = Project(Path(root))
settings = Settings.model_validate({"review": {"lease_seconds": 2}, "store": {"url": url}})
desk = Desk(open_store(project, settings), project, settings)
print("ready", flush=True)
while True:
    turn = next_item(desk, name)
    if turn.item is None and not turn.waiting:
        break
    if turn.item is None:
        time.sleep(0.05)
        continue
    try:
        decide(desk, turn.item.id, turn.item.token, name, Ruling("approve"))
    except Refusal:
        print("stale", turn.item.id, flush=True)
"""


def start(root: Path, url: str, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-X", "fork", "-c", WORKER, str(root), url, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_eight_reviewers_at_once_one_of_them_killed(make_desk, url: str, project):
    """No decision lost, none doubled, none without an author; what the killed one held goes to another."""
    rows = 80
    desk = make_desk(url=url)
    desk.store.add(rows_of(rows), role="candidates")
    workers = [start(project.root, url, f"person {n}") for n in range(8)]
    assert workers[0].stdout is not None and workers[0].stdout.readline() == "ready\n"
    while progress(desk).decided < 5:
        time.sleep(0.02)
    workers[0].send_signal(signal.SIGKILL)
    for worker in workers:
        _, errors = worker.communicate(timeout=600)
        assert worker is workers[0] or (worker.returncode, errors) == (0, "")
    with desk.store.read() as connection:
        log = connection.execute(text("SELECT row_id, reviewer_id, verdict, token FROM decisions")).fetchall()
    assert Counter(entry.row_id for entry in log) == {number: 1 for number in range(1, rows + 1)}
    assert all(entry.reviewer_id and entry.verdict == "approve" and entry.token for entry in log)
    assert len({entry.token for entry in log}) == rows
    found = progress(desk)
    assert found.states["approved"] == rows and sum(person.decided for person in found.reviewers) == rows


def test_two_programs_open_a_new_project_at_once(project, url: str):
    runs = [start(project.root, url, "x") for _ in range(4)]
    found = [(run.communicate(timeout=600), run.returncode) for run in runs]
    assert [code for _, code in found] == [0] * 4, found


def test_a_long_wait_for_the_lock_does_not_lease_a_row_twice(make_desk):
    """The clock is read once the lock is held: what was leased during the wait is leased."""
    moment = [1000.0]
    desk = make_desk(clock=lambda: moment[0], candidates=2)
    next_item(desk, "mo", want="r-000002")
    with desk.store.write() as connection:
        waiting = other(lambda: next_item(desk, "dana").item)
        moment[0] += 100
        leased = "UPDATE rows SET lease_owner = 1, lease_token = 't', lease_at = 1100, lease_until = 2000 WHERE id = 1"
        connection.execute(text(leased))
        connection.execute(text("UPDATE rows SET lease_until = NULL WHERE id = 2"))
    assert waiting.result(600).id == "r-000002"


def test_new_projects_opened_at_once_in_one_process(tmp_path: Path):
    """Each database gets its own schema, whole."""
    together = threading.Barrier(6)

    def begin(folder: Path) -> int:
        folder.mkdir()
        together.wait()
        with open_store(Project(folder), Settings()) as store:
            return len(store.rows())

    with ThreadPoolExecutor(6) as people:
        assert list(people.map(begin, [tmp_path / f"p{n}" for n in range(6)])) == [0] * 6
