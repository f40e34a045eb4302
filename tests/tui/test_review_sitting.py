"""A sitting: how it ends, what others do meanwhile, how rows are kept and given back."""

from __future__ import annotations

import re
import time
from datetime import timedelta

from conftest_tui import press, settled, words_in
from review_rows import PLAIN, begun, decided_by, log, opened
from review_steps import no_row_is_held, reviewing, shown_item
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
