"""The line after `i` completes a file; its columns and first rows are shown and chosen by keys before it comes in."""

from __future__ import annotations

from conftest_tui import on_stage, press, settled, text_of, until
from textual.widgets import Input

from curation.store import open_store
from rung.tui.data.import_screen import ImportScreen, file_of
from workspace.folder import Project
from workspace.settings import load_settings

TABLE = "id,said,team\n1,where is my \x1b[31m[red]card,cards\n2,I lost my pin,pins\n3,the card is blocked,cards\n"


def test_the_line_is_a_file_without_its_quotes():
    assert [file_of(line) for line in (" claims.jsonl", "'my rows.jsonl'")] == ["claims.jsonl", "my rows.jsonl"]


async def preview_of(app, pilot, line):
    await pilot.press("i", *["backspace"] * 20, *line, "enter")
    await until(pilot, lambda: isinstance(app.screen, ImportScreen))
    await settled(pilot)
    return app.screen


async def test_columns_are_chosen_by_keys_remembered_by_header_and_taken_back(project, program):
    (project / "a.csv").write_text(TABLE)
    (project / "b.csv").write_text(TABLE.replace("3,", "4,").replace("card", "voucher"))
    async with on_stage(program(project), 3) as (app, pilot, _):
        await pilot.press("i", *"a.c", "tab")
        assert app.screen.query_one(Input).value == "a.csv"
        await pilot.press("escape")
        shown = await preview_of(app, pilot, "a.csv")
        assert "my \\u001b[31m[red]card" in text_of(app)
        await press(pilot, "enter")  # two columns are still to be named
        assert app.screen is shown
        await press(pilot, "j", "1", "j", "2", "t")
        assert (shown.columns.question, shown.columns.answer, shown.role) == ("said", "team", "test")
        assert [row.answer for row in shown.rows] == ["cards", "pins", "cards"] and "-> pins" in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: not app.jobs and "a.csv" in sources(project))
        await settled(pilot)
        again = await preview_of(app, pilot, "b.csv")
        assert (again.columns.question, again.columns.answer, again.role) == ("said", "team", "pool")
        await press(pilot, "escape")
        assert "b.csv" not in sources(project)
        await pilot.press("u")
        await until(pilot, lambda: not app.jobs and "a.csv" not in sources(project))
        await settled(pilot)
        assert not (await preview_of(app, pilot, "b.csv")).columns.named  # what was taken back is forgotten


def sources(folder):
    opened_project = Project(folder)
    with open_store(opened_project, load_settings(opened_project.settings_file)) as store:
        return " ".join(str(source) for source in store.sources())
