"""A disk that is full, and a clock that is set back, while someone decides."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

import pytest
from deciding import settle, take

from curation.review import Desk, Ruling, decide, open_desk, progress, undo
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings


def fill(place: Path):
    """Write until nothing more fits."""
    with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 512)


def test_a_disk_full_while_deciding_loses_nothing(small_disk: Path, rows_of):
    (small_disk / "rung.toml").write_text("")
    with open_desk(Project(small_disk), Settings()).store as store:
        desk = Desk(store, Project(small_disk), Settings())
        store.add(rows_of(20), role="candidates")
        made = [settle(desk, "mo", "approve").id for _ in range(3)]
        item = take(desk, "mo")
        fill(small_disk)
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
