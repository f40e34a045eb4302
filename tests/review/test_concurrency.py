from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import text

from curation.review import next_item, progress
from curation.store import open_store
from workspace.folder import Project
from workspace.settings import Settings

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


BEGIN = WORKER.split("while True")[0]


def start(root: Path, url: str, name: str, code: str = WORKER) -> subprocess.Popen[str]:
    command = [sys.executable, "-X", "fork", "-c", code, str(root), url, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_eight_reviewers_at_once_one_of_them_killed(make_desk, url: str, rows_of, project):
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
    runs = [start(project.root, url, "x", BEGIN) for _ in range(4)]
    found = [(run.communicate(timeout=600), run.returncode) for run in runs]
    assert [code for _, code in found] == [0] * 4, found


def test_a_long_wait_for_the_lock_does_not_lease_a_row_twice(make_desk):
    """The clock is read once the lock is held: what was leased during the wait is leased."""
    moment = [1000.0]
    desk = make_desk(clock=lambda: moment[0], candidates=2)
    next_item(desk, "mo", want="r-000002")
    got: list[str] = []
    with desk.store.write() as connection:
        waiting = threading.Thread(target=lambda: got.append(next_item(desk, "dana").item.id))  # type: ignore[union-attr]
        waiting.start()
        time.sleep(0.3)
        moment[0] += 100
        leased = "UPDATE rows SET lease_owner = 1, lease_token = 't', lease_at = 1100, lease_until = 2000 WHERE id = 1"
        connection.execute(text(leased))
        connection.execute(text("UPDATE rows SET lease_until = NULL WHERE id = 2"))
    waiting.join(600)
    assert got == ["r-000002"]


def test_new_projects_opened_at_once_in_one_process(tmp_path: Path):
    """Each database gets its own schema, whole."""
    together = threading.Barrier(6)
    states: dict[str, Any] = {}

    def begin(folder: Path):
        folder.mkdir()
        together.wait()
        try:
            with open_store(Project(folder), Settings()) as store:
                states[folder.name] = len(store.rows())
        except Exception as error:
            states[folder.name] = error

    people = [threading.Thread(target=begin, args=(tmp_path / f"p{n}",)) for n in range(6)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert states == {f"p{n}": 0 for n in range(6)}
