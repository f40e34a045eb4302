"""Heavy libraries stay out of Start, Questions, Advice, Review."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "anthropic", "openai", "sklearn", "scipy"}


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
