"""Ctrl+P reaches every screen and every action; the mouse works on every screen as the keys do."""

from __future__ import annotations

import ladder
from conftest_tui import chosen, on_stage, running, settled, text_of, until

from rung.tui.widgets.line import YES_OR_NO


async def test_the_mouse_makes_a_project_opens_stages_and_answers(tmp_path, program):
    app = program(tmp_path)
    async with running(app, (120, 40)) as pilot:
        await pilot.pause()
        first = row_of(app, "1  ") - app.screen.choices.region.y
        await pilot.click("#choices", offset=(5, first + 1))
        await until(pilot, lambda: app.screen.choices.marked == "2")
        await pilot.click("#choices", offset=(5, first))
        await pilot.click("#choices", offset=(5, first))
        await until(pilot, lambda: (tmp_path / "rung.toml").is_file())
        await settled(pilot)
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
    assert f"{first} = " in (tmp_path / "answers.toml").read_text()


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
