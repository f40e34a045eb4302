"""Yield of the drafts, gaps that remain in the data, and the highest cost to close them. No model is asked."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from chat.prices import price_of
from curation.generate.material import DraftMaterial, gather
from curation.generate.reply_log import ReplyLog, spent
from curation.generate.strategies import find_strategy
from curation.generate.template import load_prompt
from curation.review.progress import goal_of
from curation.store import Store
from curation.store.records import LEARNT
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings


@dataclass
class Yield:
    """Drafts of one strategy by one model. `accepted` = approved + edited; cost None if a price is unknown."""

    strategy: str
    model: str
    drafts: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    cost_usd: float | None = 0.0
    seconds: float = 0.0

    @property
    def accepted(self) -> int:
        """Drafts that a reviewer kept."""
        return self.states["approved"] + self.states["edited"]

    @property
    def decided(self) -> int:
        """Drafts that a reviewer kept or rejected."""
        return self.accepted + self.states["rejected"]

    def to_json(self) -> dict[str, Any]:
        """Return the row of the table; shares are null if nothing was decided."""
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
        }


def yields(store: Store, project: Project) -> list[Yield]:
    """Return every strategy and model that ever wrote drafts in this project."""
    ledger = ReplyLog(project)
    groups = defaultdict(list)
    for record in ledger.replies.values():
        groups[str(record.order["strategy"]), record.model].append(record)
    states: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in store.rows(role="candidates", origin="generated", excluded=None):
        states[str(row.meta.get("strategy")), str(row.meta.get("model"))][row.state] += 1
    found = []
    for (strategy, model), records in sorted(groups.items()):
        filtered = Counter(ledger.rejected[r.key]["reason"] for r in records if r.key in ledger.rejected)
        seconds = sum(record.seconds for record in records)
        own = states[strategy, model]
        found.append(Yield(strategy, model, len(records), filtered, own, spent(records), seconds))
    return found


TRIED = 20
"""Drafts that must be decided before the share that reviewers keep says how many more are needed."""
WEIGHED = 50
"""Requests from which the price of all is worked out."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """`missing` accepted rows, in `classes` classes (0 where answers are none), to what `goal_from` asks for.

    `drafts` are what it takes at the share that reviewers keep, `count` is the number for `rung data generate`, `usd`
    the most that they cost; None if no price of the model is known.
    """

    missing: int
    classes: int
    goal: int
    goal_from: str
    drafts: int = 0
    count: int = 0
    strategy: str = ""
    usd: float | None = None

    @property
    def command(self) -> str:
        """Return the command that closes the gaps."""
        how = f" --strategy {self.strategy}" if self.strategy != "paraphrase" else ""
        return f"rung data generate --count {self.count}{how}"


def find_gaps(store: Store, project: Project, settings: Settings) -> Gaps | None:
    """Return the gaps of the accepted rows; None if nobody says how many are needed."""
    asked = goal_of(project, settings)
    if asked is None:
        return None
    goal, goal_from, per_class = asked
    material = gather(store, project, settings)
    kept = [row for row in store.rows(role=LEARNT) if row.is_reviewed]
    if per_class and material.labels:
        counts = Counter(row.example.answer for row in kept)
        thin = [goal - counts[label] for label in material.labels if counts[label] < goal]
        found = Gaps(sum(thin), len(thin), goal, goal_from)
    else:
        found = Gaps(max(0, goal - len(kept)), 0, goal, goal_from)
    return _priced(found, store, project, settings, material) if found.missing else found


def _priced(gaps: Gaps, store: Store, project: Project, settings: Settings, material: DraftMaterial) -> Gaps:
    name = "new_input" if gaps.classes else "paraphrase"
    made = [each for each in yields(store, project) if each.strategy == name]
    decided, accepted = sum(each.decided for each in made), sum(each.accepted for each in made)
    share = accepted / decided if decided >= TRIED and accepted else 1.0
    drafts = math.ceil(gaps.missing / share)
    counted: dict[str, Any] = {"drafts": drafts, "count": drafts + sum(each.drafts for each in made), "strategy": name}
    usd = _most(name, drafts, project, settings, material)
    return Gaps(gaps.missing, gaps.classes, gaps.goal, gaps.goal_from, **counted, usd=usd)


def _most(name: str, drafts: int, project: Project, settings: Settings, material: DraftMaterial) -> float | None:
    """Return the highest cost of `drafts` calls, each as long as the longest of the first ones; None if unknown."""
    if settings.model.provider == "local":
        return 0.0
    price = price_of(settings.model.base)
    if price is None:
        return None
    try:
        orders = list(islice(find_strategy(name).orders(material, load_prompt(name, project), WEIGHED), WEIGHED))
    except RungError:
        return None
    worst = [
        price.worst(sum(len(str(t["content"]).encode()) + 16 for t in o.ask.turns), o.ask.max_tokens) for o in orders
    ]
    return drafts * max(worst, default=0.0)
