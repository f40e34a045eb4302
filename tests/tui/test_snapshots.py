"""Every screen as a picture, from a real project with a fixed clock and fixed names.

After a change that is meant: `pytest tests/tui/test_snapshots.py --snapshot-update`, and look at what changed.
"""

import pytest
from conftest_tui import STAGES, rested, settled

NAMES = ("start", *map(str.lower, STAGES))
WIDE = ("start", "review")
"""Screens that show more where there is room; test_looks.py opens all at every size."""
PICTURES = [pytest.param(name, (80, 24), id=f"{name}-80x24") for name in NAMES]
PICTURES += [pytest.param(name, (120, 40), id=f"{name}-120x40") for name in WIDE]


@pytest.mark.parametrize(("name", "size"), PICTURES)
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
