"""What a run of drafting is asked for, what it may spend, and what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chat.errors import ChatError
from chat.hosted import Hosted
from chat.prices import TokenPrice, price_line
from chat.privacy import Guarded
from chat.protocols import Ask, ChatModel, Reply
from curation.generate.strategies import DraftRequest
from workspace.errors import Refusal


@dataclass(frozen=True, slots=True)
class Wish:
    """How many drafts of which strategy; `budget_usd` is the most that this run may spend, None for no limit."""

    count: int
    strategy: str = "paraphrase"
    budget_usd: float | None = None


@dataclass
class DraftingResult:
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
        told = {name: value for name, value in vars(self).items() if name != "failure"}
        told |= {"queued": len(self.queued), "candidates": self.queued, "seconds": round(self.seconds, 2)}
        return told | {"stopped": self.stopped or None}


FAILURES_IN_A_ROW = 5
"""After so many calls without an answer nothing more is asked."""


class DraftBudget:
    """Keeps the run within its budget: before each call the worst case of it and of all calls under way must fit."""

    def __init__(
        self, outcome: DraftingResult, model: ChatModel, budget: float | None, price: TokenPrice | None
    ) -> None:
        self.outcome, self.budget, self.price = outcome, budget, price
        self.free = model.is_local
        self.spent: float | None = 0.0
        self.worst: dict[int, float] = {}
        self.in_a_row = 0
        if self.budget is not None and not self.free and price is None:
            raise Refusal(
                f"No price of {model.name} is known, so a budget cannot be kept.",
                f"{price_line(model.name.partition(' ')[0])}   (or the same without --budget-usd)",
            )

    def allowed(self, fresh: Mapping[str, DraftRequest], keys: list[str]) -> Iterator[Ask]:
        """The asks, as long as the budget and the server hold out."""
        for key, order in fresh.items():
            worst = self.worst_of(order.ask)
            if self.in_a_row >= FAILURES_IN_A_ROW:
                self.outcome.stopped = f"{self.in_a_row} calls in a row brought no answer"
                return
            if self.budget is not None and (self.spent or 0.0) + sum(self.worst.values()) + worst > self.budget:
                self.outcome.stopped = "budget"
                return
            self.worst[len(keys)] = worst
            keys.append(key)
            yield order.ask

    def settle(self, number: int, reply: Reply | ChatError) -> None:
        """Replace a worst case by what it was."""
        worst = self.worst.pop(number, 0.0)
        if isinstance(reply, ChatError):
            self.in_a_row += 1
            self.outcome.failed[reply.kind] += 1
            self.outcome.failure = self.outcome.failure or reply
            lost = reply.cost_usd + (worst * reply.tries if reply.kind == "timeout" else 0.0)
            self.spent = None if self.spent is None else self.spent + lost
            return
        self.in_a_row = 0
        self.outcome.asked += 1
        self.spent = None if self.spent is None or reply.cost_usd is None else self.spent + reply.cost_usd

    def worst_of(self, ask: Ask) -> float:
        """The most that one ask can cost."""
        if self.free or self.price is None:
            return 0.0
        size = sum(len(str(turn["content"]).encode()) + 16 for turn in ask.turns) + len(str(ask.meta.get("schema", "")))
        return self.price.worst(size, ask.max_tokens + 64)


def price_of_model(model: ChatModel) -> TokenPrice | None:
    """The dated price of a hosted model."""
    inner = model.model if isinstance(model, Guarded) else model
    return inner.price if isinstance(inner, Hosted) else None
