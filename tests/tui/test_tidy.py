"""The collector of the terminal program: it holds no turn of the loop, and what has died is taken away."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
import weakref
from collections import deque

import pytest
from conftest_tui import HELD, Ticks

import rung.tui.tidy
from curation.example import chat_row
from rung.tui.tidy import BURST, EVERY, LONG, MUCH, NEW, Tidier, collect_in_calm

TRIES = 5
"""The same again, at most so often: what else the machine does only ever adds to what a turn takes."""


@contextlib.asynccontextmanager
async def tidying():
    """The collector at work, as in the program."""
    task = asyncio.create_task(collect_in_calm())
    try:
        await asyncio.sleep(0)
        yield
    finally:
        task.cancel()


async def held_while_rows_are_made(count):
    """Seconds that the loop was held at most while a thread makes and holds rows, and for some seconds after."""
    rows, ticks = [], Ticks()
    line = json.dumps(chat_row("what is it", "that"))

    def make():
        rows.extend(json.loads(line) for _ in range(count))
        time.sleep(LONG + 4 * EVERY)

    async with tidying():
        ticking = asyncio.create_task(ticks.run())
        await asyncio.to_thread(make)
        ticks.on = False
        await ticking
    assert len(rows) == count
    return ticks.held


@pytest.mark.slow  # a process of its own: what other tests left in memory counts
async def test_the_collector_does_not_hold_the_loop_over_250_000_rows():
    held = 9.0
    for _ in range(TRIES):
        held = min(held, await held_while_rows_are_made(250_000))
        if held < HELD:
            break
    assert held < HELD, f"{held * 1000:.0f} ms of CPU"


async def test_the_collector_still_takes_cycles_away():
    async with tidying():
        gone = weakref.ref(Ring())
        kept = [[n] for n in range(2 * NEW)]
        for _ in range(400):
            await asyncio.sleep(0.05)
            if gone() is None:
                break
        assert gone() is None and kept


class Ring:
    """What only the collector can take away."""

    def __init__(self):
        self.own = self


async def test_what_dies_while_keys_come_without_a_pause_is_taken_away(monkeypatch):
    """An hour of keys found it: what waited for a calm moment became so much that it was let be for ever."""
    monkeypatch.setattr(rung.tui.tidy, "EVERY", 0.001)
    async with tidying():
        before = gc.get_freeze_count()
        for _ in range(40):
            for _ in range(2 * BURST // 3):
                Ring()
            await asyncio.sleep(0.005)
        assert gc.get_freeze_count() + gc.get_count()[0] - before < 3 * BURST


async def test_where_each_look_finds_much_that_is_new_nothing_is_let_be(monkeypatch):
    """A machine that is busy looks late: the new alone was gone through, and what had lived a while was let be."""
    monkeypatch.setattr(rung.tui.tidy, "EVERY", 0.001)
    async with tidying():
        before, kept = gc.get_freeze_count(), deque(maxlen=4)
        for _ in range(40):
            kept.append([Ring() for _ in range(MUCH // 2)])
            for _ in range(MUCH):
                Ring()
            await asyncio.sleep(0.005)
        assert gc.get_freeze_count() <= before


async def test_what_lived_for_a_while_at_work_and_died_is_taken_away(monkeypatch):
    """As a screen does that was left."""
    monkeypatch.setattr(rung.tui.tidy, "EVERY", 0.001)
    async with tidying():
        kept = []
        gone = None
        for turn in range(40):
            kept += [Ring() for _ in range(MUCH // 2)]
            gone = gone or weakref.ref(kept[0])
            await asyncio.sleep(0.005)
            if turn % 5 == 4:
                kept.clear()
        assert gone() is None


@pytest.mark.parametrize(("over", "works"), [(2, True), (1, False)], ids=["at work", "when it is calm"])
def test_what_was_let_be_and_died_does_not_fill_the_memory(monkeypatch, over, works):
    monkeypatch.setattr(rung.tui.tidy, "OVER", 50_000)
    monkeypatch.setattr(rung.tui.tidy, "BURST", 20_000)
    monkeypatch.setattr(rung.tui.tidy, "WHOLE", 0)
    tidier = Tidier()
    tidier._listen = lambda: setattr(tidier, "calm", 0.0 if works else LONG)
    gc.disable()
    try:
        gone = []
        while gc.get_freeze_count() - tidier.floor < over * 50_000:
            rings = [Ring() for _ in range(25_000)]
            tidier.look()
            gone.append(weakref.ref(rings[0]))
            rings = None
        assert gone[0]() is not None
        tidier.look()
        assert gone[0]() is None
    finally:
        gc.enable()


@pytest.mark.slow  # a process of its own: what other tests left in memory counts
async def test_what_died_after_a_burst_is_taken_away_too(monkeypatch):
    """A screen that was left, while the next one read 10,000 rows, stayed until the program ended."""
    monkeypatch.setattr(rung.tui.tidy, "EVERY", 0.02)
    monkeypatch.setattr(rung.tui.tidy, "LONG", 0.1)
    async with tidying():
        ring = Ring()
        gone, kept = weakref.ref(ring), []
        for _ in range(rung.tui.tidy.DUE):
            kept += [[n] for n in range(rung.tui.tidy.BURST + 5_000)]
            while gc.get_count()[0] > rung.tui.tidy.BURST:
                await asyncio.sleep(0.02)
        del ring
        kept.clear()
        for _ in range(100):
            await asyncio.sleep(0.05)
            if gone() is None:
                break
        assert gone() is None
