"""What a run is asked for and what it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chat.errors import ChatError


@dataclass(frozen=True, slots=True)
class Wish:
    """How many drafts of which strategy; `budget_usd` is the most that this run may spend, None for no limit."""

    count: int
    strategy: str = "paraphrase"
    budget_usd: float | None = None


@dataclass
class Outcome:
    """What a run did. `queued` are ids of new candidates; `stopped` why it ended early, empty where it did not."""

    strategy: str
    model: str
    wanted: int
    asked: int = 0
    reused: int = 0
    queued: list[str] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    stopped: str = ""
    failure: ChatError | None = None
    notes: list[str] = field(default_factory=list)
    batch: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        return {
            "strategy": self.strategy,
            "model": self.model,
            "wanted": self.wanted,
            "asked": self.asked,
            "reused": self.reused,
            "queued": len(self.queued),
            "candidates": self.queued,
            "rejected": dict(self.rejected),
            "failed": dict(self.failed),
            "cost_usd": self.cost_usd,
            "seconds": round(self.seconds, 2),
            "stopped": self.stopped or None,
            "notes": self.notes,
            "batch": self.batch,
        }
