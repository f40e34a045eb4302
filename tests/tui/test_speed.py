"""Heavy libraries stay out of Start, Questions, Advice, Review."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
        stages = [app.screen.stage]
        for number in (1, 2, 4):
            await opened(pilot, number)
            await rested(pilot)
            stages.append(app.screen.stage)
        return stages

print(json.dumps([asyncio.run(look()), sorted(sys.modules)]))
"""


def test_heavy_libraries_stay_out(project, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{':'.join(sys.path)}")
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(project)], capture_output=True, text=True, check=True
    )
    opened, modules = json.loads(done.stdout.splitlines()[-1])
    assert opened == ["Start", "Questions", "Advice", "Review"] and not HEAVY & set(modules)
