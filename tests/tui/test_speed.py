"""The loop is never held; the first screen is cheap; heavy libraries stay out of Start, Questions, Advice, Review."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import pytest
from conftest_tui import settled

from curation.example import Example
from curation.store import NewRow, open_store
from rung.start import start_project
from workspace.settings import load_settings

HELD = 0.05
"""Seconds that one turn of the loop may take."""
PAINT = 0.6
HEAVY = {"torch", "transformers", "anthropic", "openai", "sklearn", "scipy"}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A project with 10,000 rows, all waiting for review."""
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


class Ticks:
    """A timer on the loop. `held` is the most CPU time that the loop's own thread spent between two ticks: unlike
    time on the wall it does not count what other processes of the machine take."""

    def __init__(self):
        self.held = 0.0
        self.waited = 0.0
        self.on = True

    async def run(self):
        cpu, wall = time.thread_time(), time.monotonic()
        while self.on:
            await asyncio.sleep(0.002)
            cpu, before = time.thread_time(), cpu
            wall, was = time.monotonic(), wall
            self.held, self.waited = max(self.held, cpu - before), max(self.waited, wall - was)


@pytest.mark.parametrize("number", range(11))
async def test_the_loop_is_never_held(large, program, number):
    app = program(large)
    async with app.run_test(size=(80, 24)) as pilot:
        if number:
            await settled(pilot)
        ticks = Ticks()
        task = asyncio.create_task(ticks.run())
        if number:
            app.open_stage(number)
        for _ in range(3):
            await settled(pilot)
            await pilot.pause(0.1)
        ticks.on = False
        await task
    assert 0 < ticks.held < HELD, f"{ticks.held * 1000:.0f} ms of CPU, {ticks.waited * 1000:.0f} ms on the wall"


PROGRAM = """
import json, sys, time
from pathlib import Path
from rung.tui.app import RungApp
from rung.tui.source import Source

app = RungApp(Source.of(Path(sys.argv[1])))
seen = {}

def painted():
    seen["cpu"] = time.process_time()
    app.set_timer(0.1, go_on)

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

app.call_after_refresh(painted)
app.run(headless=True, size=(80, 24))
print(json.dumps({**seen, "modules": sorted(sys.modules)}))
"""


@pytest.mark.parametrize(("number", "stage"), [(0, "Start"), (1, "Questions"), (2, "Advice"), (4, "Review")])
def test_first_paint_is_cheap_and_heavy_libraries_stay_out(project, number, stage):
    cheapest = 9.0
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM, str(project), str(number), stage],
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["stage"] == stage
        assert not HEAVY & set(found["modules"])
        cheapest = min(cheapest, found["cpu"])
        if cheapest < PAINT:
            break
    assert cheapest < PAINT
