"""The loop is never held; heavy libraries stay out of Start, Questions, Advice, Review."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import weakref

import pytest
from conftest_tui import Ticks, playing, settled, until

from curation.example import Example
from curation.store import NewRow, open_store
from rung.start import start_project
from workspace.settings import load_settings

TRIES = 5
"""The same again, at most so often: what else the machine does only ever adds to what a turn takes."""
LONGER = 2
"""So many times as long as with an empty project may a large one hold the loop: rows are read elsewhere."""
READING = (0, 3, 4)
"""The stages that look at all rows: Start, Data, Review."""
HEAVY = {"torch", "transformers", "anthropic", "openai", "sklearn", "scipy"}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A project with 10,000 rows; all of them wait for review."""
    folder = tmp_path_factory.mktemp("large") / "large"
    folder.mkdir()
    project = start_project(folder).project
    settings = load_settings(project.settings_file)
    rows = [
        NewRow(
            Example(
                {
                    "messages": [
                        {
                            "role": "user",
                            "content": f"Report {n * 7919}: part {n % 613} of unit {n} made noise {n * 31}",
                        },
                        {"role": "assistant", "content": f"class {n % 40}"},
                    ]
                }
            ),
            line=n + 1,
        )
        for n in range(10_000)
    ]
    with open_store(project, settings) as store:
        store.add(rows, role="pool")
    return folder


async def held_by(pilot, do):
    """Seconds that the loop was held at most by this and by what comes of it."""
    ticks = Ticks()
    task = asyncio.create_task(ticks.run())
    await do()
    for _ in range(2):
        await settled(pilot)
        await pilot.pause(0.02)
    ticks.on = False
    await task
    assert ticks.held > 0
    return ticks.held


async def opening(pilot, number):
    """How long the loop was held at most while this stage was opened from another."""
    pilot.app.open_stage(10 if number != 10 else 9)
    await settled(pilot)

    async def open_it():
        pilot.app.open_stage(number) if number else pilot.app.open_start()

    return await held_by(pilot, open_it)


async def test_10_000_rows_never_hold_the_loop(large, program, tmp_path):
    start_project(tmp_path)
    async with playing(program(tmp_path)) as (_, pilot):
        few = {number: await opening(pilot, number) for number in READING}
    async with playing(program(large)) as (_, pilot):
        for number in READING:
            many = [await opening(pilot, number)]
            while len(many) < TRIES and many[-1] > LONGER * few[number]:
                many.append(await opening(pilot, number))
            assert many[-1] <= LONGER * few[number], (number, few[number], many)


PROGRAM = """
import json, sys
from pathlib import Path
from rung.tui.app import RungApp
from rung.tui.source import ScreenSource

app = RungApp(ScreenSource.of(Path(sys.argv[1])))
seen = {}

def go_on():
    if app.status is None:
        app.set_timer(0.1, go_on)
    else:
        app.open_stage(int(sys.argv[2])) if int(sys.argv[2]) else None
        app.set_timer(0.5, leave)

def leave():
    seen["stage"] = app.screen.stage
    seen["looks"] = seen.get("looks", 0) + 1
    if seen["stage"] != sys.argv[3] and seen["looks"] < 60:
        app.set_timer(0.5, leave)
    else:
        app.set_timer(0.5, app.exit)

app.call_after_refresh(go_on)
app.run(headless=True, size=(80, 24))
print(json.dumps({**seen, "modules": sorted(sys.modules)}))
"""


LESS = [pytest.param(*stage, marks=pytest.mark.slow) for stage in ((1, "Questions"), (2, "Advice"))]


@pytest.mark.parametrize(("number", "stage"), [(0, "Start"), (4, "Review"), *LESS])
def test_heavy_libraries_stay_out(project, number, stage):
    command = [sys.executable, "-P", "-c", PROGRAM, str(project), str(number), stage]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["stage"] == stage and not HEAVY & set(found["modules"])


async def test_cycles_are_collected_once_the_loop_rests_and_by_python_again_afterwards(project, program):
    class Knot:
        def __init__(self):
            self.own = self

    app = program(project)
    async with app.run_test() as pilot:
        await settled(pilot)
        assert not gc.isenabled()
        gone = weakref.ref(Knot())
        await until(pilot, lambda: gone() is None, tries=300)
    assert gc.isenabled()
