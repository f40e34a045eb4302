"""Start, the frame, and a folder without a project."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest_tui import sees, settled, text_of

from rung.tui.screens.keys import words_of
from rung.tui.widgets.line import fitting

NAMES = {"Enter": "enter", "Esc": "escape", "F1": "f1", "^P": "ctrl+p", "/": "slash"}


async def test_ten_stages_with_state_and_reason(project, program):
    app = program(project)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        shown = text_of(app)
        for name in ("Questions", "Advice", "Data", "Review", "Dataset", "Baselines", "Plan", "Train", "Verdict"):
            assert name in shown
        assert "The ladder: climb only as high as you need" in shown
        assert "Enter opens it" in shown


async def test_a_locked_stage_says_why_and_opens_its_own_screen(project, program):
    app = program(project)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("9")
        await settled(pilot)
        assert "Locked" in text_of(app)
        assert "press 8" in text_of(app)


async def test_a_wrong_setting_is_shown_and_the_screens_open(project, program):
    text = (project / "rung.toml").read_text()
    (project / "rung.toml").write_text(text.replace("pool =", "pol ="))
    app = program(project)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert 'unknown key "review.pol"' in text_of(app)
        await pilot.press("2")
        await settled(pilot)
        assert "Next step" in text_of(app)


async def test_a_folder_without_a_project_offers_three_ways(tmp_path, program):
    app = program(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "No Rung project")
        await pilot.press("1")
        await settled(pilot)
        assert (tmp_path / "rung.toml").is_file()
        assert "4 to 6 answers" in text_of(app)


@pytest.mark.parametrize("number", range(11))
async def test_f1_lists_the_real_bindings(project, program, number):
    app = program(project)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        if number:
            app.open_stage(number)
            await settled(pilot)
        enabled = [active for active in app.screen.active_bindings.values() if active.enabled]
        real = {words_of(active) for active in enabled} - {""}
        await pilot.press("f1")
        await pilot.pause()
        assert {words for _, words in app.screen.rows} == real
        shown = text_of(app)
        await pilot.press("end")
        await pilot.pause()
        shown += text_of(app)
        for words in real:
            assert words[:40] in shown, words
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.id != "keys"


@pytest.mark.parametrize("number", range(11))
async def test_the_key_line_fits_and_every_key_in_it_works(project, program, number):
    app = program(project)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        if number:
            app.open_stage(number)
            await settled(pilot)
        screen = app.screen
        assert len(screen.keys) <= 7
        hints = list(screen.hints())
        assert fitting(hints, 80) == hints
        for key, _ in hints:
            if key not in ("1-0", "1-9"):
                for one in {"j/k": ["j", "k"], "[ ]": ["left_square_bracket"]}.get(key, [NAMES.get(key, key)]):
                    assert one in screen.active_bindings, key


async def test_no_size_crashes(project, program):
    for size in ((60, 20), (80, 24), (120, 40), (160, 50)):
        app = program(project)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            for key in "1234567890":
                await pilot.press(key if app.screen.stage not in ("Questions",) else "escape")
                await settled(pilot)


async def test_every_command_on_a_screen_exists(project, program):
    commands = set()
    app = program(project)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        for number in range(1, 11):
            app.open_stage(number)
            await settled(pilot)
            commands.add(app.screen.command)
        commands |= {stage.command for stage in app.status.stages}
    for command in sorted(filter(None, commands)):
        words = [word for word in command.split()[1:] if word.islower() and not word.startswith("-")][:2]
        assert known(words), command


def known(words):
    """Whether `rung WORDS --help` exists."""
    for end in (2, 1):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "rung", *words[:end], "--help"], capture_output=True, text=True
        )
        if done.returncode == 0 and words[0] in done.stdout:
            return True
    return False
