"""Every screen as a picture at two sizes, from a real project with a fixed clock and fixed names.

After a change that is meant: `pytest tests/tui/test_snapshots.py --snapshot-update`, and look at what changed.
"""

from __future__ import annotations

import pytest
from conftest_tui import rested, settled

NAMES = (
    "start",
    "questions",
    "advice",
    "data",
    "review",
    "dataset",
    "baselines",
    "plan",
    "train",
    "verdict",
    "release",
)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("name", NAMES)
def test_screen(project, program, snap_compare, name, size):
    app = program(project)

    async def open_it(pilot):
        await settled(pilot)
        if number := NAMES.index(name):
            app.open_stage(number)
            for _ in range(3):
                await rested(pilot)
        app.screen.message = ""  # how long it took, until when a row is kept: these differ from run to run
        await settled(pilot)

    assert snap_compare(app, terminal_size=size, run_before=open_it)
