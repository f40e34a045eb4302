"""`b`: the same repair on similar rows, one by one; nothing changes before a key says so, and undo takes it back."""

from __future__ import annotations

from conftest_tui import press, running, text_of
from review_rows import NERVE, POLY, begun, log, stored
from review_steps import no_row_is_held, on_review, put, reviewing, shown_item


async def repair_the_first(app, pilot):
    """Edit the row on the screen to POLY by key, and save."""
    item = await on_review(app, pilot)
    await pilot.press("e")
    put(app, POLY)
    await shown_item(pilot, "ctrl+s")
    assert ("b " in app.screen.message) and log(app.source.folder)
    return item


async def test_each_row_is_shown_before_anything_changes(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    async with running(app, (60, 20)) as pilot:
        first = await repair_the_first(app, pilot)
        item = await shown_item(pilot, "b")
        assert item.id == "r-000002"  # the nearest question first
        assert "2 " in app.screen.message and app.screen.session.series is not None
        assert "E11.40" in text_of(app) and "E11.42" in text_of(app)
        assert {row.state for name, row in stored(folder).items() if name != first.id} <= {"pending", "leased"}
        await shown_item(pilot, "a")
        row = stored(folder)["r-000002"]
        assert (row.state, row.example.answer, row.original.answer) == ("edited", POLY, NERVE)
        assert app.screen.item.id == "r-000004"
        await shown_item(pilot, "s")
    rows = stored(folder)
    assert rows["r-000004"].state in ("pending", "leased")  # left in the queue as it was
    assert rows["r-000004"].example.answer == NERVE
    assert log(folder) == [(1, "edit", ""), (2, "edit", f"same repair as {first.id}")]


async def test_undo_takes_one_back_and_shows_it_again_with_the_repair(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    async with running(app) as pilot:
        await repair_the_first(app, pilot)
        await shown_item(pilot, "b")
        await shown_item(pilot, "a")
        item = await shown_item(pilot, "u")
        assert item.id == "r-000002"
        assert "E11.42" in text_of(app) and app.screen.session.series is not None
        assert stored(folder)["r-000002"].example.answer == NERVE
        following = await shown_item(pilot, "escape")
        assert app.screen.session.series is None
        assert following.id == "r-000002"
        assert [verdict for _, verdict, _ in log(folder)] == ["edit", "edit", "undo"]


async def test_where_there_is_no_repair_or_no_similar_row_it_says_so(tmp_path, program):
    folder = begun(tmp_path / "icd")
    async with reviewing(program(folder)) as (app, pilot, _):
        await press(pilot, "b")
        assert app.screen.message and app.screen.session.series is None
        await shown_item(pilot, "s")
        for _ in range(2):
            await shown_item(pilot, "a")
        await shown_item(pilot, "a")
        await shown_item(pilot, "e", "end", "x", "ctrl+s")
        await press(pilot, "b")
        assert app.screen.session.series is None and app.screen.item is not None
        await press(pilot, "escape")
    assert await no_row_is_held(folder)
