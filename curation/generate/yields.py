"""What became of the drafts: by strategy and model, from the request to the reviewer's decision."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from curation.generate.ledger import Ledger, Record, spent
from curation.store import Store
from workspace.folder import Project


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the drafts of a strategy: how many were written, reached the queue, were decided and kept."""

    drafts: int
    queued: int
    decided: int
    accepted: int


@dataclass
class Yield:
    """Drafts of one strategy by one model. `accepted` = approved + edited; cost None where a price is unknown.

    `before` are drafts whose prompt showed no reviewed draft, `after` those that learnt from reviews.
    """

    strategy: str
    model: str
    drafts: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    before: Part = Part(0, 0, 0, 0)
    after: Part = Part(0, 0, 0, 0)

    @property
    def accepted(self) -> int:
        """Drafts that a reviewer kept."""
        return self.states["approved"] + self.states["edited"]

    @property
    def decided(self) -> int:
        """Drafts that a reviewer kept or rejected."""
        return self.accepted + self.states["rejected"]

    def to_json(self) -> dict[str, Any]:
        """The row of the table; shares are null where nothing was decided."""
        paid = self.cost_usd if self.accepted and self.cost_usd is not None else None
        return {
            "strategy": self.strategy,
            "model": self.model,
            "drafts": self.drafts,
            "filtered": dict(self.filtered),
            "queued": self.states.total(),
            "decided": self.decided,
            "accepted": self.accepted,
            "accepted_share": self.accepted / self.decided if self.decided else None,
            "cost_usd": self.cost_usd,
            "cost_per_accepted_usd": paid / self.accepted if paid is not None else None,
            "seconds": round(self.seconds, 1),
            "before_learning": asdict(self.before),
            "after_learning": asdict(self.after),
        }


def yields(store: Store, project: Project) -> list[Yield]:
    """Every strategy and model that ever wrote drafts in this project."""
    ledger = Ledger(project)
    groups = defaultdict(list)
    for record in ledger.replies.values():
        groups[str(record.order["strategy"]), record.model].append(record)
    states: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    by_request: dict[str, str] = {}
    for row in store.rows(role="candidates", origin="generated", excluded=None):
        states[str(row.meta.get("strategy")), str(row.meta.get("model"))][row.state] += 1
        by_request[str(row.meta.get("request"))] = row.state
    found = []
    for (strategy, model), records in sorted(groups.items()):
        filtered = Counter(ledger.rejected[r.key]["reason"] for r in records if r.key in ledger.rejected)
        seconds = sum(record.seconds for record in records)
        own = states[strategy, model]
        parts = [
            _part([r for r in records if bool(r.order.get("learnt")) is after], by_request) for after in (False, True)
        ]
        found.append(Yield(strategy, model, len(records), filtered, own, spent(records), seconds, *parts))
    return found


def _part(records: Sequence[Record], states: Mapping[str, str]) -> Part:
    came = Counter(states[record.key] for record in records if record.key in states)
    kept = came["approved"] + came["edited"]
    return Part(len(records), came.total(), kept + came["rejected"], kept)
