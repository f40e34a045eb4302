"""Review where the store is busy, late or damaged: it is said, and no decision is lost."""

from __future__ import annotations

import contextlib
import threading

from conftest_tui import playing, rested, running, settled, until, words_in
from review_rows import begun, log, opened
from review_steps import on_review, shown_item
from sqlalchemy import event


@contextlib.contextmanager
def held(folder):
    """Another program's change: the store is locked until `end()`, at the latest to the end of the block."""
    on, go = threading.Event(), threading.Event()

    def hold():
        with opened(folder) as store, store.write():
            on.set()
            go.wait(30)

    def end():
        go.set()
        thread.join()

    thread = threading.Thread(target=hold)
    thread.start()
    on.wait(10)
    try:
        yield end
    finally:
        end()


async def test_a_busy_store_is_said_and_decision_and_undo_are_kept(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    app.source.tick = 0.02
    async with running(app, (120, 30)) as pilot:
        item = await on_review(app, pilot)
        with held(folder) as end:
            await pilot.press("a")
            await until(pilot, lambda: app.screen.awaits.split("(")[0] in app.screen.message)
            assert app.screen.item.id == item.id and log(folder) == []
            await pilot.press("a", "x", "s")  # one key is kept for the next row, no more
            end()
        await until(pilot, lambda: len(log(folder)) == 2 and not app.screen.busy)
        await rested(pilot)
        impatient = app.screen.session.desk.store.engine
        event.listen(impatient, "checkout", lambda connection, *_: connection.execute("PRAGMA busy_timeout = 20"))
        with held(folder) as end:
            await pilot.press("u")
            await until(pilot, lambda: app.screen.awaits.split("(")[0] in app.screen.message)
            end()
        assert (await shown_item(pilot)).id != item.id
    assert [verdict for _, verdict, _ in log(folder)] == ["approve", "approve", "undo"]


async def test_a_damaged_store_is_named_and_tried_again(tmp_path, program):
    folder = begun(tmp_path / "icd")
    database = folder / "rung.db"
    good = database.read_bytes()
    async with playing(program(folder)) as (app, pilot):
        database.write_bytes(b"no database" * 100)
        for part in ("-wal", "-shm"):
            (folder / f"rung.db{part}").unlink(missing_ok=True)
        app.open_stage(4)
        await settled(pilot)
        assert "rung.db" in words_in(app) and app.screen.item is None
        database.write_bytes(good)
        item = await shown_item(pilot, "enter")
        assert item.id == "r-000001"
