"""How large a test set should be: the smallest gain that it can show, and the share of the pool that shows more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from curation.manifest import SMALL_TEST
from workspace.words import counted

DISCORDANT = 0.2
"""Share of items on which two arms differ, taken for the estimate before anything is measured."""
MOST_SHARE = 0.5
MOST_ITEMS = 1 << 20


@dataclass(frozen=True)
class SmallestGain:
    """A test set of `items`, cut from `rows` rows (0 where it was imported or kept), and what it is for.

    `gain` is the true gain that should ship with 80% chance over `margin`. `group_by` is the key whose items count
    together.
    """

    items: int
    rows: int
    margin: float
    gain: float
    group_by: str = ""

    @cached_property
    def smallest_gain(self) -> float | None:
        """The true gain that would ship on these items with 80% chance, if two arms differ on a fifth of them."""
        return _shown_by(self.items, self.margin) if self.items else None

    @cached_property
    def wanted(self) -> int | None:
        """The fewest items that show `gain`; None where none do, since it is not over the margin."""
        if not self.gain > self.margin:
            return None
        low, high = 1, MOST_ITEMS
        while low < high:
            middle = (low + high) // 2
            shown = _shown_by(middle, self.margin)
            low, high = (low, middle) if shown is not None and shown <= self.gain else (middle + 1, high)
        return low if low < MOST_ITEMS else None

    def proposal(self) -> dict[str, Any]:
        """Items and share that show the gain; the share is None where the test set is not cut from the pool."""
        share = self.wanted / self.rows if self.wanted and self.rows else None
        fits = share is not None and share <= MOST_SHARE
        return {"gain": self.gain, "items": self.wanted, "share": round(share + 0.005, 2) if share and fits else None}

    def lines(self) -> Iterator[str]:
        """What the test set can show, and what would show the gain that is looked for."""
        if not self.items:
            return
        shown = "no gain at all"
        if self.smallest_gain is not None:
            shown = f"a gain of about {100 * self.smallest_gain:.0f} points"
        often = f"(margin {100 * self.margin:g}), 4 times in 5, if two arms differ on {DISCORDANT:.0%} of them"
        yield f"{counted(self.items, 'test item')} can show {shown} {often}; for one training"
        if self.group_by:
            yield f"Items that share a {self.group_by} count as one, so it is less: rung evaluate --power"
        if self.items < SMALL_TEST:
            yield f"! Under {SMALL_TEST} test items: only large differences can be shown"
        yield from self._proposed()

    def _proposed(self) -> Iterator[str]:
        looked_for = f"{100 * self.gain:g} points"
        if self.wanted is None:
            yield f"! No test set shows {looked_for}: the gain looked for ([dataset] gain) must be over the margin"
        elif self.smallest_gain is None or self.smallest_gain > self.gain:
            yield f"To show {looked_for} it takes about {counted(self.wanted, 'test item')}: {self._how()}"

    def _how(self) -> str:
        if not self.rows:
            return "more rows, rung data import FILE --as test"
        if share := self.proposal()["share"]:
            return f"[dataset] test = {share:g}, or --test {share:g}"
        return f"over half of these {self.rows:,} rows; collect more, or look for a larger gain (--gain)"


def _shown_by(items: int, margin: float) -> float | None:
    from evaluation.compare import minimum_detectable

    return minimum_detectable(items, 0.0, margin, discordant=DISCORDANT)
