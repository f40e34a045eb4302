"""Advice: every state, asserted on decision.json and on what the keys open."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from conftest_tui import PATIENCE, on_stage, press, rested, settled, text_of, words_in

from advisor.answers import Answers
from advisor.decide import decide
from advisor.rulefiles import load_rulebook
from rung.start import start_project
from rung.tui.advice.advice_screen import Page

SIZES = [(80, 24), (60, 20)]


def decision(folder):
    return json.loads((folder / "decision.json").read_text())


async def test_empty_says_what_to_do_and_e_asks(tmp_path, program):
    start_project(tmp_path)
    async with on_stage(program(tmp_path), 2) as (app, pilot, _):
        assert "No answers yet. Press 1, or run: rung advise --answers answers.toml" in words_in(app)
        assert not (tmp_path / "decision.json").exists()
        await press(pilot, "e")
        assert app.screen.stage == "Questions"


@pytest.mark.parametrize("size", SIZES)
async def test_the_decision_is_written_and_shown_at_every_size(project, program, size):
    (project / "decision.json").unlink()
    async with on_stage(program(project), 2, size=size) as (app, pilot, _):
        shown = words_in(app)
        for words in ("Next step", "Likely end", "Confidence", "Why", "Next: "):
            assert words in shown
        marks = app.screen.lines.keys
        assert len(marks) == len(set(marks))
        for _ in marks:
            await pilot.press("j")
        await settled(pilot)
        assert app.screen.marked == marks[-1]
        assert "Not settled: " in words_in(app)
    assert decision(project)["next_step"] in ("prompt", "few_shot", "rag", "fine_tune")
    assert decision(project)["made_from"]["answers.toml"]


async def test_the_lines_follow_the_width_of_the_terminal(project, program):
    async with on_stage(program(project), 2, size=(80, 24)) as (app, pilot, _):
        narrow = {entry.key: len(entry.text) for entry in app.screen.lines.entries if entry.key.startswith("for:")}
        await pilot.resize_terminal(120, 40)
        await rested(pilot)
        wide = {entry.key: len(entry.text) for entry in app.screen.lines.entries if entry.key.startswith("for:")}
    assert {wide[key] - narrow[key] for key in narrow} == {40}


async def test_provisional_asks_the_question_that_is_worth_most(project, program):
    async with on_stage(program(project), 2, size=(120, 40)) as (app, pilot, _):
        assert app.screen.data.provisional and "could still change it" in words_in(app)
        worth = decision(project)["open_questions"][0]
        for _ in app.screen.lines.keys:
            await pilot.press("j")
        assert app.screen.marked == f"ask:{worth}"
        await press(pilot, "enter")
        assert app.screen.stage == "Questions"
        assert app.screen.asked.id == worth


async def test_why_shows_the_rule_with_its_source(project, program):
    async with on_stage(program(project), 2, size=(120, 40)) as (app, pilot, _):
        rule = decision(project)["reasons"][0]["rule"]
        await pilot.press("w")
        for _ in range(PATIENCE):
            await pilot.pause(0.02)
            if "rung why" in text_of(app) and "…" not in text_of(app):
                break
        assert f"Why {rule}" in text_of(app)
        await press(pilot, "escape")
        assert app.screen.stage == "Advice"


@pytest.mark.parametrize("what", ["question", "syntax"])
async def test_a_broken_rulebook_gives_no_advice(project, program, what):
    before = (project / "decision.json").read_bytes()
    (project / "rules").mkdir()
    rule = '[[veto]]\nid = "mine"\nforbids = "fine_tune"\nwhen = { exampels = { below = 5 } }\nbecause = "We say so."\n'
    (project / "rules" / "approach.toml").write_text(rule if what == "question" else "[[veto]\n")
    async with on_stage(program(project), 2) as (app, _, _):
        assert "No advice is given on a broken rulebook." in words_in(app)
        assert "approach.toml" in words_in(app)
        assert 'Did you mean "examples"?' in words_in(app) or what == "syntax"
    assert (project / "decision.json").read_bytes() == before


async def test_broken_answers_are_named(project, program):
    (project / "answers.toml").write_text('knowledge_change = "weakly"\n')
    async with on_stage(program(project), 2) as (app, _, _):
        assert 'Did you mean "weekly"?' in words_in(app)


async def test_an_expired_source_shows_its_day(project, program):
    app = program(project)
    app.source.now = lambda: datetime(2031, 1, 1, tzinfo=UTC)
    async with on_stage(app, 2, size=(160, 50)):
        expired = [reason for reason in decision(project)["reasons"] if reason["expired"]]
        assert expired
        assert "(expired 20" in words_in(app)


def test_settled_by_measurement_says_stop():
    book = load_rulebook(None)
    kept = decide(book, Answers(task="extraction", prompting="works", goal_score=0.8), date(2026, 11, 25))
    assert kept.action.name == "keep"
    first = [entry.text for entry in Page(kept, book, 60, {"prompt": 0.823}).entries()][1]
    assert first == "Settled by measurement: prompt reaches the goal (82.3%). Stop here."
    assert Page(kept, book, 60, {"prompt": None}).settled() == ""
    weak = decide(book, Answers(task="extraction", prompting="partial", goal_score=0.8), date(2026, 11, 25))
    assert Page(weak, book, 60, {"prompt": 0.5, "few_shot": 0.6}).settled() == ""


async def test_the_report_is_written(project, program):
    async with on_stage(program(project), 2) as (app, pilot, _):
        await pilot.press("o")
        for _ in range(PATIENCE):
            await pilot.pause(0.02)
            if "advice.html" in app.screen.message:
                break
    assert "<html" in (project / "advice.html").read_text()


async def test_enter_goes_where_the_project_goes_on(project, program):
    async with on_stage(program(project), 2) as (app, pilot, _):
        following = app.status.next
        await press(pilot, "enter")
        assert app.screen.stage == following.name


async def test_it_says_whether_the_decision_was_written_or_is_as_it_was(project, program):
    (project / "decision.json").unlink()
    async with on_stage(program(project), 2) as (_, pilot, screen):
        assert screen.message == "decision.json written"
        before = (project / "decision.json").read_bytes()
        screen.reload()
        await settled(pilot)
        assert screen.message == "decision.json unchanged"
        assert (project / "decision.json").read_bytes() == before
        answers = (project / "answers.toml").read_text()
        (project / "answers.toml").write_text(answers.replace('failure = "breaks_rules"', 'failure = "missing_facts"'))
        screen.reload()
        await settled(pilot)
        assert screen.message == "decision.json written"
        assert (project / "decision.json").read_bytes() != before
