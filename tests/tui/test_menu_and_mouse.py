"""Ctrl+P reaches every screen and every action; the mouse works on every screen as the keys do."""

from __future__ import annotations

import ladder
from conftest_tui import STAGES, chosen, on_stage, playing, running, settled, text_of, until
from textual.command import CommandList, CommandPalette

from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from rung.tui.screens.page_screen import KeysScreen
from rung.tui.widgets.line import YES_OR_NO, fitting, key_at
from workspace.settings import load_settings


async def test_the_menu_reaches_every_stage_in_their_order_whatever_their_reasons_hold(clinic, program, monkeypatch):
    monkeypatch.setenv("RUNG_REVIEW__POOL", "all")
    desk = open_desk(clinic, load_settings(clinic.settings_file))
    decide_all(desk, "[/dana]", [(desk.store.rows()[0].id, Ruling("approve"))], kind="person")
    desk.store.close()
    async with playing(program(clinic.root), size=(120, 40)) as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette) and app.screen.query_one(CommandList).options)
        lines = [str(option.prompt).splitlines() for option in app.screen.query_one(CommandList).options]
        await pilot.press("escape")
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        for title, stage in (("6. Baselines", "Baselines"), ("Start", "Start")):
            commands[title].callback()
            await settled(pilot)
            assert app.screen.stage == stage
    assert [first for first, *_ in lines[:11]] == ["Start", *(f"{n % 10}. {name}" for n, name in enumerate(STAGES, 1))]
    assert "[/dana]" in lines[4][1]


async def test_the_mouse_works_too(project, program):
    (project / "answers.toml").unlink()
    async with playing(program(project), size=(120, 40)) as (app, pilot):
        at = (10, row_of(app, "Advice") - app.screen.query_one("#stages").region.y)
        await pilot.click("#stages", offset=at)
        await settled(pilot)
        await pilot.click("#stages", offset=at)
        await settled(pilot)
        assert app.screen.stage == "Advice"
        await pilot.click("#side", offset=(5, 1))
        await settled(pilot)
        assert app.screen.stage == "Questions"
        first = app.screen.asked.id
        await pilot.click("#answers", offset=(5, 1))
        await pilot.click("#answers", offset=(5, 1))
        await settled(pilot)
        assert app.screen.asked.id != first
    assert f"{first} = " in (project / "answers.toml").read_text()


async def test_an_action_is_found_and_done_by_typing(clinic, program):
    async with on_stage(program(clinic.root), 6) as (_, pilot, screen):
        await chosen(pilot, "where the report")
        await until(pilot, lambda: screen.message == "evaluations/E-001/report.html")


def row_of(app, words):
    return next(n for n, line in enumerate(text_of(app).split("\n")) if words in line)


async def test_the_mouse_marks_a_row_acts_on_it_and_answers_the_question(clinic, program):
    ladder.ruled_on(clinic, ladder.ITEMS)
    async with on_stage(program(clinic.root), 10, size=(120, 30)) as (app, pilot, screen):
        row, first = (row_of(app, form) - 2 for form in ("○ vllm", "○ adapter"))
        await pilot.click("#lines", offset=(6, row))
        await until(pilot, lambda: screen.marked == "vllm")
        assert screen.command == "rung release R-001 --to vllm"
        await pilot.click("#lines", offset=(6, row))
        await until(pilot, lambda: "vllm" in screen.question)
        await pilot.click("#command", offset=(120 - 4, 0))
        await until(pilot, lambda: not screen.question)
        await pilot.click("#lines", offset=(6, first))
        await until(pilot, lambda: screen.marked == "adapter")
        await pilot.click("#next", offset=(4, 0))
        await until(pilot, lambda: "adapter" in screen.question)
        await pilot.click("#command", offset=(120 - len(YES_OR_NO) + 3, 0))
        await until(pilot, lambda: not app.jobs and not screen.question and not screen.started)
    assert (clinic.releases / "L-001" / "adapter").is_dir()


async def test_the_mouse_in_a_folder_without_a_project(tmp_path, program):
    app = program(tmp_path)
    async with running(app) as pilot:
        await pilot.pause()
        first = row_of(app, "1  ") - app.screen.choices.region.y
        await pilot.click("#choices", offset=(5, first + 1))
        await until(pilot, lambda: app.screen.choices.marked == "2")
        await pilot.click("#keys", offset=(text_of(app).split("\n")[-1].index("F1") + 1, 0))
        await until(pilot, lambda: isinstance(app.screen, KeysScreen))
        await pilot.press("escape")
        await pilot.click("#choices", offset=(5, first))
        await pilot.click("#choices", offset=(5, first))
        await until(pilot, lambda: (tmp_path / "rung.toml").is_file())
        await settled(pilot)
        assert app.screen.stage == "Start"


def test_hints_go_whole_and_help_stays():
    hints = (("Enter", "open"), ("j/k", "move"), ("F1", "help"), ("^P", "menu"), ("q", "quit"))
    assert fitting(hints, 80) == list(hints)
    assert fitting(hints, 25) == [("Enter", "open"), ("F1", "help")]
    assert fitting(hints, 5) == [("F1", "help")]


def test_a_press_finds_its_key():
    hints = [("Enter", "open"), ("1-0", "stage"), ("j/k", "move"), ("^P", "menu")]
    line = " Enter open   1-0 stage   j/k move   ^P menu"
    assert [key_at(hints, line.index(word)) for word in ("Enter", "1-0", "j/k", "^P")] == ["enter", "", "j", "ctrl+p"]
    assert key_at(hints, 0) == key_at(hints, line.index("   ") + 1) == key_at(hints, 79) == ""
