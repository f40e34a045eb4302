"""The line after `i` completes a file; its columns and first rows are shown and chosen by keys before it comes in."""

from __future__ import annotations

from conftest_tui import on_stage, press, settled, text_of, until
from textual.widgets import Input

from curation.store import open_store
from rung.tui.data.import_screen import ImportScreen, completed, file_of, names_like
from workspace.folder import Project
from workspace.settings import load_settings

TABLE = "id,said,team\n1,where is my card,cards\n2,I lost my pin,pins\n3,the card is blocked,cards\n"


def test_the_line_is_a_file_without_its_quotes():
    assert [file_of(line) for line in (" claims.jsonl", "'my rows.jsonl'")] == ["claims.jsonl", "my rows.jsonl"]


def test_a_name_is_gone_on_with_as_far_as_one_way_is_open(tmp_path):
    (tmp_path / "raw").mkdir()
    for name in ("raw/one.csv", "raw/only.csv", "tickets.csv", ".hidden"):
        (tmp_path / name).touch()

    def after_tab(line):
        return completed(line, names_like(line, tmp_path))

    assert [after_tab(line) for line in ("ti", "r", "raw/o")] == ["tickets.csv", "raw/", "raw/on"]
    assert [after_tab(line) for line in ("none", "nowhere/x")] == ["none", "nowhere/x"]
    assert after_tab(str(tmp_path / "ti")) == str(tmp_path / "tickets.csv")
    assert names_like("raw/o", tmp_path) == ["one.csv", "only.csv"]


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
        assert "my card" in text_of(app)
        await press(pilot, "enter")  # two columns are still to be named
        assert app.screen is shown
        await press(pilot, "j", "1", "j", "2", "t")
        assert (shown.columns.question, shown.columns.answer, shown.role) == ("said", "team", "test")
        assert [row.answer for row in shown.rows] == ["cards", "pins", "cards"]
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


async def test_other_files_show_their_rows_and_bad_ones_say_why(project, program):
    lines = '{"question": "one?", "answer": "\x1b[31m[red]1[/]"}\n{"question": "two?"\n'
    (project / "odd.jsonl").write_text(lines.replace("\x1b", "\\u001b"))
    async with on_stage(program(project), 3) as (app, pilot, _):
        shown = await preview_of(app, pilot, "odd.jsonl")
        assert not shown.columns.named and shown.rows[0].question == "one?" and "line 2" in shown.rows[1].problem
        assert "[red]1[/]" in text_of(app)
        await press(pilot, "q")
        await pilot.press("i", *["backspace"] * 40, *"nosuch.csv", "enter")
        await until(pilot, lambda: not app.jobs and any("nosuch.csv" in line for line in app.screen.trouble))


def sources(folder):
    opened_project = Project(folder)
    with open_store(opened_project, load_settings(opened_project.settings_file)) as store:
        return " ".join(str(source) for source in store.sources())
