"""Before any run: what a test set of n items can show, over how much two models may disagree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from evaluation.compare import CONFIDENCE, minimum_detectable
from evaluation.verdict import FEWEST_CLUSTERS

DISAGREEMENTS = (0.1, 0.2, 0.3, 0.5)
"""Shares of items on which exactly one of two models is right, from alike to very different."""


@dataclass(frozen=True, slots=True)
class Seen:
    """For one share of disagreement: the gain that would ship, and the one told from 0, each with 80% chance."""

    disagreement: float
    ships: float | None
    told: float | None


@dataclass(frozen=True, slots=True)
class Power:
    """What n items can show at a margin, for scores of 0 or 1.

    `groups` is how many groups they make where some hang together: the table is then for so many items, as if those of
    a group were always right and wrong together. The less alike they are, the more is seen. It is for one training: how
    far `trainings` of them scatter is not known before they are measured, and takes from what is seen.
    """

    n: int
    margin: float
    seen: tuple[Seen, ...]
    confidence: float = CONFIDENCE
    groups: int | None = None
    trainings: int = 1

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def power_of(
    n: int, margin: float, confidence: float = CONFIDENCE, groups: int | None = None, trainings: int = 1
) -> Power:
    """The table for n items, in `groups` groups where some share one; with too few groups nothing ships."""

    def least(over: float, discordant: float) -> float | None:
        if groups is not None and groups < FEWEST_CLUSTERS:
            return None
        return minimum_detectable(groups or n, 0.0, over, discordant=discordant, confidence=confidence)

    seen = tuple(Seen(d, least(margin, d), least(0.0, d)) for d in DISAGREEMENTS)
    return Power(n, margin, seen, confidence, groups, trainings)
