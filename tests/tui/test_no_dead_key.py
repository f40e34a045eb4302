"""Every key of every stage does something that can be seen, and every hint of a key line is a key that is bound."""

import functools

import ladder
import pytest
from conftest_tui import opened, playing, press, settled, text_of, until

from rung.start import start_project
from rung.tui.widgets.line import NAMED, NOT_A_KEY

pytestmark = pytest.mark.slow

EVERYWHERE = {"f1", "question_mark", "ctrl+p", "ctrl+q", "q", "c", "escape"}
EVERYWHERE |= {"left_square_bracket", "right_square_bracket"}
"""Keys with tests of their own, that leave the stage or the program."""
FOCUS = {"tab", "shift+tab", "ctrl+c", "super+c"}
"""Textual's own, for fields and for selected text."""
LOOKS = {"j", "k", "up", "down", "pageup", "pagedown", "space", "home", "end"}
"""Looking around moves nothing where all is in sight."""


def seen(app):
    """Everything that a person can notice of a key."""
    return text_of(app), app.screen, tuple(app.jobs), app.clipboard


async def pressed(pilot, way, key):
    """Open the screen anew, press one key, say whether anything came of it."""
    app = pilot.app
    app.open_start()
    await settled(pilot)
    screen = await way(pilot)
    screen.tell("")
    await pilot.pause()
    before = seen(app)
    await press(pilot, key)
    came = seen(app) != before
    for job in list(app.jobs.values()):
        job.stop()
    await until(pilot, lambda: not app.jobs)
    while len(app.screen_stack) > 2:
        app.pop_screen()
    return came


async def no_dead_key(pilot, way):
    """Press every key of the screen that this way leads to."""
    screen = await way(pilot)
    found = screen.active_bindings
    assert {NAMED.get(key, key) for key, _ in screen.hints() if key not in NOT_A_KEY} <= set(found)
    own = [key for key, active in found.items() if active.enabled and active.node is screen and not key.isdigit()]
    # in the order of the bindings: some keys change the data that others act on
    dead = [key for key in own if key not in EVERYWHERE | FOCUS | LOOKS and not await pressed(pilot, way, key)]
    assert dead == []


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_stages_that_a_new_project_opens(project, program, number):
    async with playing(program(project), size=(100, 30)) as (_, pilot):
        await no_dead_key(pilot, functools.partial(opened, number=number))


@pytest.mark.parametrize("number", [5, 6, 7, 8, 9, 10])
async def test_stages_that_a_trained_project_opens(clinic, program, number):
    ladder.ruled_on(clinic, 50)
    async with playing(program(clinic.root), size=(100, 30)) as (_, pilot):
        await no_dead_key(pilot, functools.partial(opened, number=number))


async def start(pilot):
    """Start, with the mark in the middle: up and down both move it."""
    pilot.app.open_start()
    await settled(pilot)
    return pilot.app.screen


async def test_start_in_a_project_and_where_nothing_was_done(project, tmp_path, program):
    (tmp_path / "bare").mkdir()
    start_project(tmp_path / "bare")
    for folder in (project, tmp_path / "bare"):
        async with playing(program(folder), size=(100, 30)) as (_, pilot):
            await no_dead_key(pilot, start)
