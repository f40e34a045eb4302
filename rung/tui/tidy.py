"""Python's collector of cycles holds the loop while it looks at what there is: it runs when nobody waits for it."""

from __future__ import annotations

import asyncio
import gc
import time

EVERY = 0.25
"""Seconds between two looks at how much there is."""
NEW, OLD = 5_000, 10
"""New objects after which they are gone through; times of that after which the old ones are too."""
SHORT, LONG = 0.02, 3.0
"""Seconds without work after which new objects are gone through, and after which all are."""
PATIENCE = 20
"""How often as much as that may come together before it is not put off any longer."""


async def collect_in_calm() -> None:
    """Until cancelled: collect by hand, and what lives on already (modules, rulebook) never.

    Where a turn draws the screen and happens to collect too, both together would be felt.
    """
    gc.freeze()
    gc.disable()
    try:
        new = 0
        while True:
            await asyncio.sleep(EVERY)
            if new >= OLD and (new >= OLD * PATIENCE or await _is_calm(LONG)):
                gc.collect()
                new = 0
            elif gc.get_count()[0] >= NEW and (gc.get_count()[0] >= NEW * PATIENCE or await _is_calm(SHORT)):
                gc.collect(1)
                new += 1
    finally:
        gc.enable()


async def _is_calm(seconds: float) -> bool:
    """Whether this thread does next to nothing for so long."""
    before = time.thread_time()
    await asyncio.sleep(seconds)
    return time.thread_time() - before < seconds / 10
