"""Forgetting: a general suite before and after training. Shown to be kept only where the lower bound says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from chat.protocols import Ask, ChatModel, Progress
from evaluation.asking import Replies, ask_all
from evaluation.compare import TOLERANCE, compare
from evaluation.general import GeneralItem
from workspace.files import sha256_bytes

MAX_TOKENS = 32


class Forgetting(BaseModel):
    """What became of the general suite. Scores are shares of right answers; the interval is that of the verdict's
    method, at 95%. `passed` where `low` is above -limit, else `not_shown`; `skills` holds before and after of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    status: Literal["passed", "not_shown"]
    n: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    limit: float
    skills: dict[str, tuple[float, float]]
    suite_sha256: str

    def words(self) -> str:
        """For the verdict's notes."""
        moved = f"{100 * self.before:.0f}% before, {100 * self.after:.0f}% after, at worst {100 * self.low:+.1f} points"
        said = "kept what it could" if self.status == "passed" else "not shown to keep what it could"
        return f"Forgetting: {said} on {self.n} general items ({moved}; limit {-100 * self.limit:+.3g})"


NOT_MEASURED = "Forgetting was not measured: rung evaluate --forgetting"


def measure_forgetting(
    items: Sequence[GeneralItem],
    before: ChatModel,
    after: ChatModel,
    replies: Replies,
    limit: float,
    watch: Progress | None = None,
) -> Forgetting:
    """Ask both models each question without a system message, and compare in pairs."""
    asks = [Ask(({"role": "user", "content": item.question},), MAX_TOKENS) for item in items]
    old, new = (
        [
            float(item.right(reply.text, reply.stopped))
            for item, reply in zip(items, ask_all(model, asks, replies, watch), strict=True)
        ]
        for model in (before, after)
    )
    result = compare(old, new)
    return Forgetting(
        status="passed" if result.low > -limit + TOLERANCE else "not_shown",
        n=len(items),
        before=result.baseline,
        after=result.tuned,
        difference=result.difference,
        low=result.low,
        high=result.high,
        limit=limit,
        skills=_by_skill(items, old, new),
        suite_sha256=sha256_bytes("\n".join(item.question for item in items).encode()),
    )


def _by_skill(
    items: Sequence[GeneralItem], old: Sequence[float], new: Sequence[float]
) -> dict[str, tuple[float, float]]:
    places: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item.skill, []).append(place)
    return {
        skill: (sum(old[p] for p in found) / len(found), sum(new[p] for p in found) / len(found))
        for skill, found in places.items()
    }
