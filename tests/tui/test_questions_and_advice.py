"""Questions and Advice: every answer is on disk before the next question is shown; every line leads somewhere."""

import json
import re
import tomllib
from datetime import UTC, date, datetime

import pytest
from conftest_tui import on_stage, opened, playing, press, running, settled, text_of, until, words_in

from advisor.answer_file import record_measured
from advisor.answers import Answers
from advisor.decide import decide
from advisor.rulefiles import load_rulebook
from rung.start import start_project
from rung.tui.advice.advice_screen import Page
from rung.tui.screens.page_screen import WhyScreen
from rung.tui.screens.start_screen import NoProjectScreen


def said(folder):
    return tomllib.loads((folder / "answers.toml").read_text())


async def test_digits_and_letters_answer_w_explains_and_esc_goes_back(tmp_path, program):
    start_project(tmp_path)
    async with playing(program(tmp_path)) as (app, pilot):
        await press(pilot, "1")
        keys, answers = app.screen.query_one("#answers").entries, app.screen.asked.answers
        letter = keys[10].text.split()[0]
        assert letter.isalpha() and len(answers) > 10
        await press(pilot, letter)  # an answer past the ninth
        assert said(tmp_path)["task"] == answers[10].value
        await press(pilot, letter)  # the next question has fewer answers: the letter does nothing
        await press(pilot, "9")
        assert f"1-{len(app.screen.asked.answers)}" in app.screen.message and "prompting" not in said(tmp_path)
        await press(pilot, "escape", "1")
        assert said(tmp_path)["task"] == "classification"
        await press(pilot, "j")
        before = text_of(app)
        await press(pilot, "w")
        question, marks = app.screen.asked, app.screen.query_one("#answers")
        shown = text_of(app)
        assert question.text[:40] in shown and shown != before and question.answers[0].text[:30] in shown
        assert marks.marked == f"={question.answers[1].value}"
        await press(pilot, "w")
        assert text_of(app) == before and marks.marked == f"={question.answers[1].value}"
        await press(pilot, "0")
        table = said(tmp_path)
        assert "prompting" not in table and table["answered"]["prompting"]["from"] == "said"
        assert "3 of " in app.screen.heading()
        for before in ("prompting", "task"):
            await press(pilot, "escape")
            assert app.screen.asked.id == before
        await press(pilot, "escape")
        assert app.screen.stage == "Start"


async def test_a_number_that_is_none_or_contradicts_another_is_refused_in_plain_terms(project, program):
    async with playing(program(project), size=(100, 30)) as (app, pilot):
        app.open_question("examples")
        await settled(pilot)
        await press(pilot, *"many", "enter")
        assert app.screen.asked.id == "examples" and "many" in text_of(app)
        assert app.focused is app.screen.query_one("#field")
        for question, number in (("examples", "200"), ("reviewed_examples", "500")):
            app.open_question(question)
            await settled(pilot)
            await press(pilot, *number, "enter")
        assert app.screen.asked.id == "reviewed_examples" and "500" in text_of(app)
        assert said(project)["examples"] == 200 and "reviewed_examples" not in said(project)
        app.screen.query_one("#field").value = ""
        await press(pilot, "enter")
    assert said(project)["answered"]["reviewed_examples"]["from"] == "said"
    assert "reviewed_examples" not in said(project)


async def test_what_was_counted_is_listed_and_not_asked_and_after_enough_more_can_be_asked(project, program):
    (project / "answers.toml").write_text('task = "classification"\nprompting = "works"\n')
    counted = {"examples": 41, "reviewed_examples": 0, "classes": 5}
    record_measured(project / "answers.toml", counted, "rung data import")
    async with on_stage(program(project), 1, size=(120, 40)) as (app, pilot, _):
        assert "examples 41" in text_of(app)
        for _ in range(45):
            if app.screen.asked is None:
                break
            assert app.screen.asked.id not in counted
            await pilot.press("enter" if app.focused else "0")
            await pilot.pause()
        shown = text_of(app)
        moving = app.screen.asking.progress().moving
        more = {question.id for question in app.screen.asking.more()}
        assert re.search(rf"\b{len(moving)} .*\({len(more & set(moving))} ", " ".join(shown.split()))
        assert "(2)" in app.screen.next
        await press(pilot, "j")
        more = app.screen.asked.id
        await press(pilot, "enter" if app.focused else "0")
    assert more not in counted and {*said(project)["answered"]} == {more, *counted}


@pytest.mark.parametrize(
    ("file", "broken", "named"),
    [
        ("answers.toml", 'task = "extracton"\n', ("answers.toml line 1", "extraction")),
        ("answers.toml", "task = \n", ("answers.toml line 1",)),
        ("rules/gates.toml", '[[gate]]\nid = "mine"\nwhen = { exampels = { below = 5 } }\n', ("gates.toml",)),
    ],
)
async def test_broken_answers_or_rules_are_named_and_read_again(project, program, file, broken, named):
    (project / "rules").mkdir()
    path = project / file
    good, decided = path.read_text() if path.exists() else "", (project / "decision.json").read_bytes()
    path.write_text(broken)
    async with on_stage(program(project), 1) as (app, pilot, _):
        assert all(datum in text_of(app) for datum in named)
        assert app.screen.asking is None and app.screen.next
        await press(pilot, "1", "w", "slash", "j", "0")
        assert path.read_text() == broken
        advice = await opened(pilot, 2)
        assert advice.data is None and (project / "decision.json").read_bytes() == decided
        app.open_stage(1)
        await settled(pilot)
        path.write_text(good)
        if app.screen.stage != "Questions":
            app.open_stage(1)
            await settled(pilot)
        else:
            await press(pilot, "enter")
        assert app.screen.asked is not None


async def test_nothing_is_saved_where_no_project_is(tmp_path, program):
    app = program(tmp_path)
    async with running(app) as pilot:
        await until(pilot, lambda: isinstance(app.screen, NoProjectScreen))
        await pilot.press("3")
        await until(pilot, lambda: getattr(app.screen, "asking", None) is not None)
        await pilot.press("1")
        await until(pilot, lambda: bool(app.screen.message))
        await pilot.press("0", "escape", "escape", "escape")
        await until(pilot, lambda: not any(worker.is_running for worker in app.workers))
        app.open_stage(2)
        await until(pilot, lambda: getattr(app.screen, "opener", 0) == 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("digit", [0, 4])
async def test_the_counter_never_grows_and_ends_where_the_sheet_does(tmp_path, program, digit):
    """The heading, the sheet beside it and the program's progress agree, answer by answer, to the end."""
    start_project(tmp_path)
    app = program(tmp_path)
    counters = []
    async with playing(app, (100, 30)) as (_, pilot):
        await press(pilot, "1")
        screen = app.screen
        while screen.asked is not None:
            done, heading = screen.asking.progress(), screen.heading()
            counters.append((done.asked, done.about))
            assert re.search(rf"\b{done.asked + 1} of \D*{done.about}\b", heading)
            if done.asked:
                assert re.search(rf"\b{done.asked} of \D*{done.about}\b", text_of(app))
            asked = screen.asked
            await pilot.press(str(min(digit, len(asked.answers))) if asked.answers else "enter")
            await until(pilot, lambda asked=asked: screen.asked is not asked)
            await settled(pilot)
        done = screen.asking.progress()
        assert done.enough and done.asked == len(counters) and f"{done.asked} answered" in screen.heading()
        await press(pilot, "enter")
        assert app.screen.stage == "Advice" and (tmp_path / "decision.json").is_file()
    abouts = [about for _, about in counters]
    assert [asked for asked, _ in counters] == list(range(len(counters)))
    assert abouts == sorted(abouts, reverse=True) and abouts[-1] >= len(counters)


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


async def test_why_the_report_the_way_on_and_the_day_of_an_expired_source(project, program):
    app = program(project)
    app.source.now = lambda: datetime(2031, 1, 1, tzinfo=UTC)
    async with on_stage(app, 2, size=(160, 50)) as (_, pilot, _):
        assert [reason for reason in decision(project)["reasons"] if reason["expired"]]
        assert "(expired 20" in words_in(app)
        following, rule = app.status.next, decision(project)["reasons"][0]["rule"]
        await press(pilot, "enter")
        assert app.screen.stage == following.name
        screen = await opened(pilot, 2)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, WhyScreen) and rule in text_of(app))
        await press(pilot, "escape")
        assert app.screen is screen
        await pilot.press("o")
        await until(pilot, lambda: "advice.html" in screen.message)
    assert "<html" in (project / "advice.html").read_text()


def test_settled_by_measurement_comes_first_with_its_score():
    book = load_rulebook(None)
    kept = decide(book, Answers(task="extraction", prompting="works", goal_score=0.8), date(2026, 11, 25))
    assert kept.action.name == "keep"
    assert "(82.3%)" in [entry.text for entry in Page(kept, book, 60, {"prompt": 0.823}).entries()][1]
    assert Page(kept, book, 60, {"prompt": None}).settled() == ""
    weak = decide(book, Answers(task="extraction", prompting="partial", goal_score=0.8), date(2026, 11, 25))
    assert Page(weak, book, 60, {"prompt": 0.5, "few_shot": 0.6}).settled() == ""
