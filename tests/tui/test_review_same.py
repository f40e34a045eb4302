"""`b`: the same repair on similar rows, one by one; nothing changes before a key says so, and undo takes it back."""

from __future__ import annotations

from conftest_tui import running, text_of
from review_rows import NERVE, POLY, begun, log, stored
from review_steps import on_review, put, shown_item


async def repair_the_first(app, pilot):
    """Edit the row on the screen to POLY by key, and save."""
    item = await on_review(app, pilot)
    await pilot.press("e")
    put(app, POLY)
    await shown_item(pilot, "ctrl+s")
    assert ("b " in app.screen.message) and log(app.source.folder)
    return item


async def test_undo_takes_one_back_and_shows_it_again_with_the_repair(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    async with running(app) as pilot:
        await repair_the_first(app, pilot)
        assert (await shown_item(pilot, "b")).id == "r-000002"  # the nearest question first
        assert "E11.40" in text_of(app) and "E11.42" in text_of(app)
        assert {row.state for row in stored(folder).values()} == {"edited", "pending", "leased"}
        assert (await shown_item(pilot, "a")).id == "r-000004"
        row = stored(folder)["r-000002"]
        assert (row.state, row.example.answer, row.original.answer) == ("edited", POLY, NERVE)
        assert log(folder)[-1] == (2, "edit", "same repair as r-000001")
        item = await shown_item(pilot, "u")
        assert item.id == "r-000002"
        assert "E11.42" in text_of(app) and app.screen.session.series is not None
        assert stored(folder)["r-000002"].example.answer == NERVE
        following = await shown_item(pilot, "escape")
        assert app.screen.session.series is None
        assert following.id == "r-000002"
        assert [verdict for _, verdict, _ in log(folder)] == ["edit", "edit", "undo"]
