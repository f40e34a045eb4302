"""Python's collector of cycles holds the loop while it looks at what there is: it runs when nobody waits for it, and
looks at so much at a time as nobody feels.
"""

from __future__ import annotations

import asyncio
import gc
import time

EVERY = 0.25
"""Seconds between two looks at how much there is."""
NEW, MUCH = 5_000, 40_000
"""New objects after which they are gone through when it is calm, and after which they are at work too."""
LONG = 3.0
"""Seconds without work after which more than that may be gone through."""
BURST, MOST = 150_000, 200_000
"""So many new objects at once, and so many in all: rows that a thread holds, no cycles. Going through them would
hold the loop, so they are let be; what holds them frees them.
"""
WHOLE, DUE = 300_000, 4
"""What was let be is gone through after so many bursts when it is calm, after the square of them in any case; not where
it is more than so many objects, as that would be felt.
"""
OVER = 300_000
"""Unless it has grown by so many: they would fill the memory. That is felt, once, and when it is calm; twice as many
are not waited with.
"""


async def collect_in_calm() -> None:
    """Until cancelled: collect by hand, and what lives on already (modules, rulebook) never."""
    gc.freeze()
    gc.disable()
    tidier = Tidier()
    try:
        while True:
            await asyncio.sleep(EVERY)
            tidier.look()
    finally:
        gc.enable()


class Tidier:
    """What is known of the objects there are, from one look to the next."""

    def __init__(self) -> None:
        self.lived = self.grown = 0
        """Objects that lived when all were gone through last, and those that lived on since."""
        self.bursts = 0
        self.kept = self.floor = gc.get_freeze_count()
        """Objects that are let be, as counted last, and those of them that live as long as the program."""
        self.spent = time.thread_time()
        self.calm = 0.0
        """Seconds for which this thread has done next to nothing."""

    def look(self) -> None:
        """Do at most one thing: where a turn draws the screen and happens to collect too, both would be felt."""
        self._listen()
        made = gc.get_count()[0]
        if made >= BURST or self.lived + self.grown + made >= MOST:
            self._let_be()
        elif self.grown >= MUCH or (self.grown >= NEW and self.calm >= LONG):
            gc.collect()
            self.lived, self.grown = len(gc.get_objects(generation=2)), 0
        elif made >= MUCH or (made >= NEW and self.calm):
            gc.collect(1)
            self.grown = max(len(gc.get_objects(generation=2)) - self.lived, 0)
        elif self._is_due():
            self._take_all()

    def _listen(self) -> None:
        before, self.spent = self.spent, time.thread_time()
        self.calm = self.calm + EVERY if self.spent - before < EVERY / 10 else 0.0

    def _let_be(self) -> None:
        gc.freeze()
        self.lived = self.grown = 0
        self.bursts += 1
        self.kept = gc.get_freeze_count()

    def _is_due(self) -> bool:
        """What was let be in a burst may have died since, as a screen that was left does."""
        paused = LONG <= self.calm < LONG + EVERY
        if paused and self.bursts:
            self.kept = gc.get_freeze_count()  # this takes a while too: once in a pause
        over = self.kept - self.floor
        if self.bursts >= DUE and self.kept < WHOLE:
            return paused or self.bursts >= DUE * DUE
        return over >= 2 * OVER or (over >= OVER and paused)

    def _take_all(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self.lived = self.grown = self.bursts = 0
        self.kept = self.floor = gc.get_freeze_count()
