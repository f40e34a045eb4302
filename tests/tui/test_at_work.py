"""Faults met in an hour of use: lost places, keys without effect, untrue words."""

from __future__ import annotations

from conftest_tui import idle, on_stage, playing, running, settled, text_of, until

from curation.store import open_store
from rung.tui.data.row_work import DatedCheck
from workspace.folder import find_project
from workspace.settings import load_settings


async def test_what_is_not_read_yet_has_no_reason_and_enter_says_so(project, held):
    async with playing(held(project)) as (app, pilot):
        app.partial = True
        app.source.gate.clear()
        app.open_stage(5)
        await until(pilot, lambda: app.screen.stage == "Dataset" and app.screen.is_mounted and app.screen.started)
        assert app.status.stage("Dataset").reason not in text_of(app) and not app.screen.message
        await pilot.press("enter")
        assert app.screen.message and not app.screen.question
        app.source.gate.set()
        await settled(pilot)


async def test_a_command_that_was_started_is_named_until_it_speaks(project, program):
    async with on_stage(program(project), 3) as (_, pilot, screen):
        screen.start_job("data", "undo")
        assert "data undo" in screen.message
        await idle(pilot, screen)
        assert "data undo" not in screen.message


async def test_data_that_did_not_change_is_not_checked_again(project, program):
    app = program(project)
    async with running(app) as pilot:

        async def checked(*keys: str) -> DatedCheck:
            await pilot.press(*keys)
            await until(pilot, lambda: app.screen.stage == "Data" and app.screen.data is not None)
            await until(pilot, lambda: not app.screen.started)
            assert app.screen.data is app.checked.checkup
            return app.checked

        await settled(pilot)
        first = await checked("3")
        assert await checked("2", "3") is first
        again = await checked("r")
        assert again is not first and again.checkup.kept == first.checkup.kept
        with open_store(find_project(project), load_settings(project / "rung.toml")) as store:
            store.exclude([store.rows()[0].id], "of no use", "test")
        less = await checked("2", "3")
        assert less.checkup.kept == first.checkup.kept - 1
        (project / "rung.toml").write_text((project / "rung.toml").read_text() + "\n")
        assert await checked("2", "3") is not less
