"""Statistical power of a test set: what its size can show, and the size that a gain needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from curation.split.manifest import SHOWS_NOTHING, SMALL_TEST
from evaluation.verdict.compare import Power
from evaluation.verdict.intervals import FEWEST_CLUSTERS
from workspace.counted import counted, level


def small_words(items: int) -> str:
    """Return what a small test set cannot show, before anything is measured; empty if it is large enough."""
    if items < SHOWS_NOTHING:
        return "which show no gain"
    return "large gains only" if items < SMALL_TEST else ""


def lines(power: Power) -> list[str]:
    """Return the sentence, the table, and what to do with it."""
    margin = f"{100 * power.margin:.3g}"
    groups = f" in {power.groups:,} groups" if power.groups is not None else ""
    rows = [
        f"What {power.n:,} items{groups} show with 80% probability, at a margin of {margin} points "
        f"and {level(power.confidence)} confidence:",
        "",
        "Models disagree on   true gain that ships   detectable difference  ",
    ]
    for seen in power.seen:
        rows.append(f"{seen.disagreement:>16.0%}   {_points(seen.ships):>20}   {_points(seen.told):>23}")
    if power.groups is not None:
        rows += ["", *_groups(power)]
    rows += ["", *_trainings(power.trainings)]
    return [*rows, "", "More items: rung data import FILE --as test, then freeze again."]


def _trainings(trainings: int) -> list[str]:
    """Return the note that the table covers items only: variance between training runs is known once measured."""
    if trainings == 1:
        return [
            "For one training run. Another seed may score differently; by how much is known only after",
            "several are measured (rung evaluate --seeds 3).",
        ]
    return [
        f"For {trainings} training runs: the table counts the items only. How much the runs vary is known",
        "only after they are measured, and variance raises the detectable difference.",
    ]


def _groups(power: Power) -> list[str]:
    counted = f"These groups have the weight of {power.effective:.1f} groups of equal size ([dataset] group_by)."
    if power.few:
        return [counted, f"The verdict needs {FEWEST_CLUSTERS}; with fewer it is always: need more data."]
    return [
        counted,
        "The table assumes that items of one group are always right or wrong together.",
        "If they are less alike, smaller differences show. New groups help more than new items.",
    ]


def _points(gain: float | None) -> str:
    return "none" if gain is None else f"{100 * gain:.0f} points"


DISCORDANT = 0.2
"""Share of items on which two arms differ, taken for the estimate before anything is measured."""
MOST_SHARE = 0.5
MOST_ITEMS = 1 << 20


@dataclass(frozen=True)
class SmallestGain:
    """A test set of `items`, cut from `rows` rows (0 if it was imported or kept), and what it is for.

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
        """The fewest items that show `gain`; None if none do, since it is not over the margin."""
        if not self.gain > self.margin:
            return None
        low, high = 1, MOST_ITEMS
        while low < high:
            middle = (low + high) // 2
            shown = _shown_by(middle, self.margin)
            low, high = (low, middle) if shown is not None and shown <= self.gain else (middle + 1, high)
        return low if low < MOST_ITEMS else None

    def proposal(self) -> dict[str, Any]:
        """Return items and share that show the gain; the share is None if the test set is not cut from the pool."""
        share = self.wanted / self.rows if self.wanted and self.rows else None
        fits = share is not None and share <= MOST_SHARE
        return {"gain": self.gain, "items": self.wanted, "share": round(share + 0.005, 2) if share and fits else None}

    def lines(self) -> Iterator[str]:
        """Yield the detectable gain, and the size that would detect the wanted one."""
        if not self.items:
            return
        shown = "no gain"
        if self.smallest_gain is not None:
            shown = f"a gain of about {100 * self.smallest_gain:.0f} points"
        chance = (
            f"with 80% probability (margin {100 * self.margin:g}, arms differ on {DISCORDANT:.0%}, one training run)"
        )
        yield f"{counted(self.items, 'test item')} can show {shown} {chance}"
        if self.group_by:
            yield f"Items that share a {self.group_by} count as one, so the power is lower: rung evaluate --power"
        if self.items < SMALL_TEST:
            yield f"! Under {SMALL_TEST} test items only large differences show"
        yield from self._proposed()

    def _proposed(self) -> Iterator[str]:
        looked_for = f"{100 * self.gain:g} points"
        if self.wanted is None:
            yield f"! No test set shows {looked_for}: [dataset] gain must be larger than the margin"
        elif self.smallest_gain is None or self.smallest_gain > self.gain:
            yield f"To show {looked_for}, about {counted(self.wanted, 'test item')} are needed: {self._how()}"

    def _how(self) -> str:
        if not self.rows:
            return "more rows, rung data import FILE --as test"
        if share := self.proposal()["share"]:
            return f"[dataset] test = {share:g}, or --test {share:g}"
        return f"over half of these {self.rows:,} rows; collect more rows, or aim for a larger gain (--gain)"


def _shown_by(items: int, margin: float) -> float | None:
    from evaluation.verdict.compare import minimum_detectable

    return minimum_detectable(items, 0.0, margin, discordant=DISCORDANT)
