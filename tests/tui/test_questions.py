"""Questions: every answer is on disk before the next question is shown; don't know, back, why, a bad number."""

from __future__ import annotations

import tomllib

from conftest_tui import settled, text_of

from rung.start import start_project


def said(folder):
    return tomllib.loads((folder / "answers.toml").read_text())


async def test_a_digit_answers_saves_and_goes_on(tmp_path, program):
    start_project(tmp_path)
    app = program(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("1")
        await settled(pilot)
        assert "No advice yet" in text_of(app)
        await pilot.press("1")
        await settled(pilot)
        assert said(tmp_path)["task"] == "classification"
        assert "Advice so far" in text_of(app)
        await pilot.press("0")
        await settled(pilot)
        table = said(tmp_path)
        assert "prompting" not in table
        assert table["answered"]["prompting"]["from"] == "said"
        await pilot.press("escape")
        await settled(pilot)
        assert app.screen.asked.id == "prompting"


async def test_w_shows_effects_and_nothing_before(tmp_path, program):
    start_project(tmp_path)
    app = program(tmp_path)
    async with app.run_test(size=(120, 50)) as pilot:
        await settled(pilot)
        await pilot.press("1")
        await settled(pilot)
        assert "What each answer would do" not in text_of(app)
        await pilot.press("w")
        await settled(pilot)
        assert "What each answer would do" in text_of(app)


async def test_a_contradiction_is_said_in_plain_terms_and_changes_nothing(project, program):
    app = program(project)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        app.open_question("examples")
        await settled(pilot)
        await pilot.press(*"200", "enter")
        await settled(pilot)
        app.open_question("reviewed_examples")
        await settled(pilot)
        await pilot.press(*"500", "enter")
        await settled(pilot)
        assert "500" in text_of(app)
        assert app.screen.asked.id == "reviewed_examples"
    assert said(project)["examples"] == 200
    assert "reviewed_examples" not in said(project)


async def test_to_the_end_with_dont_know_and_on_to_the_advice(tmp_path, program):
    start_project(tmp_path)
    app = program(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("1")
        for _ in range(40):
            await settled(pilot)
            if app.screen.asked is None:
                break
            await pilot.press("enter" if app.focused else "0")
        assert "That is enough" in text_of(app)
        await pilot.press("enter")
        await settled(pilot)
        assert app.screen.stage == "Advice"
        assert (tmp_path / "decision.json").is_file()
