"""Before any run: what a test set of n items can show, over how much two models may disagree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from evaluation.compare import CONFIDENCE, minimum_detectable

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
    """What n items can show at a margin, for scores of 0 or 1."""

    n: int
    margin: float
    seen: tuple[Seen, ...]
    confidence: float = CONFIDENCE

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def power_of(n: int, margin: float, confidence: float = CONFIDENCE) -> Power:
    """The table for n items."""

    def least(over: float, discordant: float) -> float | None:
        return minimum_detectable(n, 0.0, over, discordant=discordant, confidence=confidence)

    return Power(n, margin, tuple(Seen(d, least(margin, d), least(0.0, d)) for d in DISAGREEMENTS), confidence)
