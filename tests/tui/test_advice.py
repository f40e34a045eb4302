"""Advice: every state, asserted on decision.json and on what the keys open."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from conftest_tui import on_stage, opened, press, settled, text_of, until, words_in

from advisor.answers import Answers
from advisor.decide import decide
from advisor.rulefiles import load_rulebook
from rung.tui.advice.advice_screen import Page
from rung.tui.screens.page_screen import WhyScreen


def decision(folder):
    return json.loads((folder / "decision.json").read_text())


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_every_line_is_reached_and_the_last_asks_the_question_that_is_worth_most(project, program, size):
    (project / "decision.json").unlink()
    async with on_stage(program(project), 2, size=size) as (app, pilot, screen):
        marks, worth = screen.lines.keys, decision(project)["open_questions"][0]
        assert screen.data.provisional and len(marks) == len(set(marks))
        await press(pilot, *"j" * len(marks))
        assert screen.marked == marks[-1] == f"ask:{worth}" and "▸" in words_in(app)
        await press(pilot, "enter")
        assert app.screen.stage == "Questions" and app.screen.asked.id == worth
    assert decision(project)["made_from"]["answers.toml"]


async def test_why_the_report_and_the_way_on(project, program):
    async with on_stage(program(project), 2, size=(120, 40)) as (app, pilot, _):
        following, rule = app.status.next, decision(project)["reasons"][0]["rule"]
        await press(pilot, "enter")
        assert app.screen.stage == following.name
        screen = await opened(pilot, 2)
        await settled(pilot)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, WhyScreen) and rule in text_of(app))
        await press(pilot, "escape")
        assert app.screen is screen
        await pilot.press("o")
        await until(pilot, lambda: "advice.html" in screen.message)
    assert "<html" in (project / "advice.html").read_text()


async def test_an_expired_source_shows_its_day(project, program):
    app = program(project)
    app.source.now = lambda: datetime(2031, 1, 1, tzinfo=UTC)
    async with on_stage(app, 2, size=(160, 50)):
        assert [reason for reason in decision(project)["reasons"] if reason["expired"]]
        assert "(expired 20" in words_in(app)


def test_settled_by_measurement_comes_first_with_its_score():
    book = load_rulebook(None)
    kept = decide(book, Answers(task="extraction", prompting="works", goal_score=0.8), date(2026, 11, 25))
    assert kept.action.name == "keep"
    assert "(82.3%)" in [entry.text for entry in Page(kept, book, 60, {"prompt": 0.823}).entries()][1]
    assert Page(kept, book, 60, {"prompt": None}).settled() == ""
    weak = decide(book, Answers(task="extraction", prompting="partial", goal_score=0.8), date(2026, 11, 25))
    assert Page(weak, book, 60, {"prompt": 0.5, "few_shot": 0.6}).settled() == ""
