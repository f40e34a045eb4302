"""Heavy libraries stay out of Start, Questions, Advice, Review."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "anthropic", "openai", "sklearn", "scipy"}
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from conftest_tui import opened, rested, running
from rung.tui.app import RungApp
from rung.tui.source import ScreenSource

async def look():
    app = RungApp(ScreenSource.of(Path(sys.argv[1])))
    async with running(app) as pilot:
        await rested(pilot)
        if int(sys.argv[2]):
            await opened(pilot, int(sys.argv[2]))
            await rested(pilot)
        return app.screen.stage

print(json.dumps([asyncio.run(look()), sorted(sys.modules)]))
"""


LESS = [pytest.param(*stage, marks=pytest.mark.slow) for stage in ((1, "Questions"), (2, "Advice"))]


@pytest.mark.parametrize(("number", "stage"), [(0, "Start"), (4, "Review"), *LESS])
def test_heavy_libraries_stay_out(project, number, stage, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{':'.join(sys.path)}")
    command = [sys.executable, "-P", "-c", PROGRAM, str(project), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    opened, modules = json.loads(done.stdout.splitlines()[-1])
    assert opened == stage and not HEAVY & set(modules)
