"""10,000 rows in the queue: from a key to the paint of the next item; 200 items by a script of keys."""

from __future__ import annotations

import statistics
import time

import pytest
from conftest_tui import importing_textual, settled
from review_rows import begun, log, opened
from review_steps import on_review

from curation.example import Example, chat_row
from curation.store import NewRow
from rung.tui.app import RungApp
from rung.tui.source import ScreenSource

ROWS = 10_000
KEYS = (("a",), ("a",), ("x", "2"), ("a",), ("s",), ("a",), ("n",), ("a",), ("e", "end", "!", "ctrl+s"), ("a",))
"""Ten items: mostly approved, each other decision once."""
OVERHEAD = 0.25
"""Seconds of CPU a row that the interface may take: at 100 rows an hour 35 s are left for reading."""
ROUNDS = 4
"""Fifteen items each, measured again while they seem too slow: what else the machine does only ever adds."""
PAINT = 0.1
"""Seconds of CPU from a key to the next item on the screen, at the median."""
SLOWER = 0.4
"""The same as a share of importing Textual, where a machine takes long for that too."""


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    """10,000 rows that wait, of about 60 words each."""
    folder = begun(tmp_path_factory.mktemp("queue") / "large", (), overlap=0.1)
    words = [f"word{n}" for n in range(997)]
    rows = [
        NewRow(
            Example(
                chat_row(
                    f"Report {n} of unit {n % 613}: " + " ".join(words[n * k % 997] for k in range(1, 60)), f"C{n % 40}"
                )
            ),
            line=n + 1,
        )
        for n in range(ROWS)
    ]
    with opened(folder) as store:
        store.add(rows, role="pool")
    return folder


async def next_one(pilot, before):
    """Wait until another item is on the screen and painted."""
    screen = pilot.app.screen
    while screen.busy or screen.item is None or screen.item.id == before:
        await pilot._wait_for_screen()
    await pilot.pause(0)


async def review(app, pilot, count):
    """Decide so many items by key; gives seconds of the wall and of this process for each."""
    took, cpu = [], []
    for number in range(count):
        before = app.screen.item.id
        wall, used = time.perf_counter(), time.process_time()
        await pilot.press(*KEYS[number % len(KEYS)])
        await next_one(pilot, before)
        took.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - used)
    return took, cpu


async def test_from_a_key_to_the_next_item(queue, record_property):
    app = RungApp(ScreenSource.of(queue))
    async with app.run_test(size=(120, 40)) as pilot:
        await on_review(app, pilot)
        await review(app, pilot, 5)
        rounds = []
        while len(rounds) < ROUNDS and (not rounds or min(rounds)[0] > PAINT):
            took, cpu = await review(app, pilot, 15)
            rounds.append((statistics.median(cpu), statistics.median(took)))
        await settled(pilot)
    middle, wall = min(rounds)
    record_property("seconds", {"cpu": middle, "wall": wall})
    said = f"CPU {middle:.3f} s, wall {wall:.3f} s"
    assert middle < PAINT or middle < SLOWER * importing_textual(), said
    assert len(log(queue)) >= 20


@pytest.mark.slow
async def test_two_hundred_items_by_a_script_of_keys(queue, record_property):
    before = len(log(queue))
    app = RungApp(ScreenSource.of(queue))
    async with app.run_test(size=(80, 24)) as pilot:
        await on_review(app, pilot)
        took, cpu = await review(app, pilot, 200)
        await settled(pilot)
    assert len(log(queue)) == before + 200
    figures = {"median": statistics.median(took), "worst": max(took), "mean": statistics.fmean(took)}
    figures["cpu"] = statistics.fmean(cpu)
    record_property("seconds", figures)
    assert figures["cpu"] < OVERHEAD, figures
