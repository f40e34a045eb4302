"""Steps on the Review screen that many tests take."""

from __future__ import annotations

import asyncio
import contextlib

from conftest_tui import PATIENCE, running, settled
from review_rows import free


async def shown_item(pilot, *keys):
    """Press these keys; gives the item on the screen, once it is there and the next one is fetched."""
    if keys:
        await pilot.press(*keys)
    await settled(pilot)
    for _ in range(PATIENCE):
        if pilot.app.screen.item is not None and not pilot.app.screen.busy:
            return pilot.app.screen.item
        await pilot.pause(0.02)
    raise AssertionError("no item came")


async def on_review(app, pilot):
    await settled(pilot)
    app.open_stage(4)
    return await shown_item(pilot)


@contextlib.asynccontextmanager
async def reviewing(app, size=(80, 24)):
    """Run the program on Review; gives the program, its pilot and the first item."""
    async with running(app, size) as pilot:
        yield app, pilot, await on_review(app, pilot)


async def no_row_is_held(folder):
    """Rows are given back by a thread of their own: wait for it."""
    for _ in range(PATIENCE):
        if free(folder):
            return True
        await asyncio.sleep(0.02)
    return False


def put(app, text):
    """Another text into the open field."""
    app.screen.panel.open(app.screen.panel.before, text)
