"""A sitting: how it ends, what others do meanwhile, how rows are kept and given back."""

from __future__ import annotations

import re
import time
from datetime import timedelta

from conftest_tui import press, running, settled, until, words_in
from review_rows import NERVE, PLAIN, begun, decided_by, log, opened, stored
from review_steps import no_row_is_held, on_review, reviewing, shown_item
from sqlalchemy import text as sql


async def test_the_last_row_ends_with_a_summary_and_undo_still_works(tmp_path, program):
    folder = begun(tmp_path / "icd", PLAIN[:3], overlap=1)
    for row in ("r-000001", "r-000002", "r-000003"):
        decided_by(folder, "mo", row, "approve")
    async with reviewing(program(folder)) as (app, pilot, _):
        for keys in (("a",), ("a",), ("x", "1")):
            await shown_item(pilot)
            await pilot.press(*keys)
        await settled(pilot)
        shown = words_in(app)
        for figures in (r"\b3 rows\b", r"\b2 \w+, 1 \w+", r"\bmo\b.*\b3 rows\b", r"\bdana 3\b", r"\(5\)"):
            assert re.search(figures, shown), (figures, shown)
        item = await shown_item(pilot, "u")
        assert item.id == "r-000003"
        assert [verdict for verdict, _ in app.screen.session.done] == ["approve"] * 2
        await pilot.press("x", "9", "escape")  # there is no ninth reason
        assert app.screen.item.id == "r-000003"
        await press(pilot, "5")
        assert app.screen.stage == "Dataset"
    assert [verdict for row, verdict, _ in log(folder) if row == 3] == ["approve", "reject", "undo"]
    assert await no_row_is_held(folder)


async def test_esc_ends_the_sitting_with_a_summary_and_gives_the_rows_back(tmp_path, program):
    folder = begun(tmp_path / "icd")
    async with reviewing(program(folder)) as (app, pilot, _):
        await shown_item(pilot, "a")
        await press(pilot, "escape")
        shown = words_in(app)
        assert "1 row " in shown and "1 approved" in shown and "4 of 5" in shown
        assert await no_row_is_held(folder)
        item = await shown_item(pilot, "enter")
        assert item.id == "r-000002"
        await press(pilot, "escape")
        await press(pilot, "escape")
        assert app.screen.stage == "Start"
    assert await no_row_is_held(folder)


async def test_a_row_that_is_read_for_long_is_kept(tmp_path, program):
    folder = begun(tmp_path / "icd")
    async with reviewing(program(folder)) as (app, _, item):
        with opened(folder) as store, store.write() as connection:
            connection.execute(sql("update rows set lease_until = lease_until - 800 where id = 1"))
        app.screen.session.keep(item)
        with opened(folder) as store, store.read() as connection:
            left = connection.execute(
                sql("select lease_until - :now from rows where id = 1"), {"now": time.time()}
            ).scalar()
        assert left > timedelta(minutes=14).total_seconds()


async def test_two_programs_see_each_others_decisions(tmp_path, program, monkeypatch):
    folder = begun(tmp_path / "icd")
    one, two = program(folder), program(folder)
    two.source.who = "mo"
    async with running(one, (120, 40)) as first:
        mine = await on_review(one, first)
        async with running(two, (120, 40)) as second:
            theirs = await on_review(two, second)
            assert theirs.id != mine.id
            await second.press("a")
            await shown_item(second)
        await first.press("a")
        await shown_item(first)
        await settled(first)
        await until(first, lambda: re.search(r"dana 1\b.*mo 1\b", words_in(one, "#beside")))
    rows = stored(folder)
    assert (rows[mine.id].reviewer, rows[theirs.id].reviewer) == ("dana", "mo")
    assert len(log(folder)) == 2
    assert NERVE in rows[mine.id].example.answer
