"""Forgetting: a general suite before and after training. Shown to be kept only where the lower bound allows it.

The suite is general.jsonl beside this file, twenty items a skill; a project's own is its `general.jsonl`, in the same
form. The safety suite is in rules/general.toml.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from chat.protocols import Ask, ChatModel, Progress
from evaluation.ask import Replies, ask_all
from evaluation.metrics.text import normalised_match, refuses
from evaluation.retrieval import holds
from evaluation.verdict.compare import compare
from evaluation.verdict.intervals import TOLERANCE
from workspace.artefact import ArtefactPart
from workspace.errors import InputError, Problem
from workspace.files import line_problems, sha256_bytes
from workspace.shipped_rules import rule_file

MAX_TOKENS = 32


class Kept(ArtefactPart):
    """The result of one suite. Scores are shares of right answers; the interval is by the verdict's method, at 95%.
    `passed` where `low` is above -limit, else `not_shown`.
    """

    status: Literal["passed", "not_shown"]
    n: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    limit: float

    def said(self, items: str) -> str:
        """Return the result as a phrase; `items` names what was asked."""
        moved = f"{100 * self.before:.0f}% before, {100 * self.after:.0f}% after, at worst {100 * self.low:+.1f} points"
        kept = "kept what it could" if self.status == "passed" else "not shown to keep what it could"
        return f"{kept} on {self.n} {items} ({moved}; limit {-100 * self.limit:+.3g})"


class Forgetting(Kept):
    """Forgetting after training: the general suite, with `skills` before and after, and the safety suite."""

    skills: dict[str, tuple[float, float]]
    suite_sha256: str
    safety: Kept | None = None

    @property
    def lost(self) -> bool:
        """True if one of the two suites was not shown to be kept."""
        return any(suite.status != "passed" for suite in (self, self.safety) if suite)

    def words(self) -> str:
        """Return the sentence for the verdict's notes."""
        found = f"Forgetting: {self.said('general items')}"
        found += f". Safety: {self.safety.said('requests to refuse')}" if self.safety else ""
        return f"{found}. {REMEDY}" if self.lost else found


NOT_MEASURED = "Forgetting was not measured: rung evaluate --forgetting"
REMEDY = "Halve the learning rate first, then set or raise [training] replay"


def measure_forgetting(
    items: Sequence[GeneralItem],
    before: ChatModel,
    after: ChatModel,
    replies: Replies,
    limit: float,
    watch: Progress | None = None,
) -> Forgetting:
    """Ask both models each question of the suite, and the safety suite, without a system message; compare in pairs."""
    refused = safety()
    asks = [Ask(({"role": "user", "content": item.question},), MAX_TOKENS) for item in [*items, *refused]]
    old, new = (
        [
            float(item.right(reply.text, reply.stopped))
            for item, reply in zip([*items, *refused], ask_all(model, asks, replies, watch), strict=True)
        ]
        for model in (before, after)
    )
    n = len(items)
    skills: dict[str, list[int]] = {}
    for at, item in enumerate(items):
        skills.setdefault(item.skill, []).append(at)
    return Forgetting(
        **_kept(old[:n], new[:n], limit).model_dump(),
        skills={
            skill: (fmean(old[at] for at in places), fmean(new[at] for at in places))
            for skill, places in skills.items()
        },
        suite_sha256=sha256_bytes("\n".join(item.question for item in items).encode()),
        safety=_kept(old[n:], new[n:], limit),
    )


def _kept(old: Sequence[float], new: Sequence[float], limit: float) -> Kept:
    result = compare(old, new)
    return Kept(
        status="passed" if result.low > -limit + TOLERANCE else "not_shown",
        n=len(old),
        before=result.baseline,
        after=result.tuned,
        difference=result.difference,
        low=result.low,
        high=result.high,
        limit=limit,
    )


SUITE = "general.jsonl"


class GeneralItem(BaseModel):
    """A question of a suite, by skill. `match` says when an output is right: `normalised` (the answer but for case,
    white space and final punctuation), `exact`, `holds` (its first line has the answer as words), or `refusal`.
    """

    question: str = Field(pattern=r"\S")
    answer: str = Field(pattern=r"\S")
    skill: str = "general"
    match: Literal["normalised", "exact", "holds", "refusal"] = "normalised"

    def right(self, output: str, stopped: str) -> bool:
        """True if this output, with its stop reason, is right."""
        if self.match == "refusal":
            return refuses(output, stopped)
        if self.match == "exact":
            return output.strip() == self.answer
        if self.match == "holds":
            return holds(output.strip().partition("\n")[0], self.answer)
        return normalised_match(output, self.answer) == 1.0


def suite(root: Path | None = None) -> list[GeneralItem]:
    """Return the project's own suite where `general.jsonl` exists, else the built-in one.

    Raises InputError with every line that is not `{"question": ..., "answer": ..., "skill", "match": optional}`.
    """
    own = root / SUITE if root else None
    items: list[GeneralItem] = []

    def fault(line: str) -> str:
        try:
            items.append(GeneralItem.model_validate_json(line))
        except ValidationError:
            return "is no question with its answer."
        return ""

    path = own if own is not None and own.is_file() else Path(__file__).with_name(SUITE)
    problems = line_problems(path, '{"question": text, "answer": text, "skill", "match": optional}', fault)
    if problems or not items:
        raise InputError(problems or [Problem("holds no item.", path.name)])
    return items


def safety() -> list[GeneralItem]:
    """120 requests that a model in the public's hands refuses."""
    requests = rule_file("general.toml")["safety"]["requests"]
    return [GeneralItem(skill="refusal", question=request, answer="(refuses)", match="refusal") for request in requests]
