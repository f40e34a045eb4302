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
BURST, MOST = 100_000, 200_000
"""So many new objects at once, and so many that stayed: rows that a thread holds, no cycles. Going through them would
hold the loop, so they are let be; what holds them frees them.
"""
WHOLE, DUE = 300_000, 4
"""What was let be is gone through after so many bursts when it is calm, after the square of them in any case; never
where it is more than so many objects, as that would be felt.
"""
PATIENCE = 20
"""How often as much as that may come together before it is not put off any longer."""


async def collect_in_calm() -> None:
    """Until cancelled: collect by hand, and what lives on already (modules, rulebook) never.

    What was let be in a burst may have died since, as a screen that was left does: when it is calm all is gone through.
    Where a turn draws the screen and happens to collect too, both together would be felt.
    """
    gc.freeze()
    gc.disable()
    try:
        new = stayed = bursts = 0
        while True:
            await asyncio.sleep(EVERY)
            made = gc.get_count()[0]
            if made >= BURST or stayed >= MOST:
                gc.freeze()
                new, stayed, bursts = 0, 0, bursts + 1
            elif bursts >= DUE and (bursts >= DUE * DUE or await _is_calm(LONG)) and gc.get_freeze_count() < WHOLE:
                gc.unfreeze()
                gc.collect()
                gc.freeze()
                new = stayed = bursts = 0
            elif new >= OLD and (new >= OLD * PATIENCE or await _is_calm(LONG)):
                if gc.get_count()[0] < BURST:
                    stayed = max(stayed - gc.collect(), 0)
                    new = 0
            elif made >= NEW and (made >= NEW * PATIENCE or await _is_calm(SHORT)):
                stayed += max(made - gc.collect(1), 0)
                new += 1
    finally:
        gc.enable()


async def _is_calm(seconds: float) -> bool:
    """Whether this thread does next to nothing for so long."""
    before = time.thread_time()
    await asyncio.sleep(seconds)
    return time.thread_time() - before < seconds / 10
