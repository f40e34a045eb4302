"""The advice: what is decided, why, why not, and what would change it. Fields as the contract has them."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from workspace.artefact import Artefact

Option = Literal["prompt", "few_shot", "rag", "fine_tune", "rag_and_fine_tune"]
ActionName = Literal["climb", "keep", "measure", "more_data", "fix_retrieval", "better_model", "no_llm"]


class Part(BaseModel):
    """A part of the decision: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Action(Part):
    """What to do now, in words. `cost` is a person's time, roughly; empty where nothing is known."""

    name: ActionName
    text: str
    cost: str = ""
    rule: str
    source: tuple[str, ...]


class Fit(Part):
    """Memory of a training step in GiB (batch 1, 2,048 tokens, chunked loss), and whether the card named holds it."""

    low: float
    expected: float
    high: float
    card_gb: float | None
    fits: bool | None


class Method(Part):
    """How to tune, where tuning is in play; `name` is null where it is not."""

    name: Literal["qlora", "lora", "full"] | None = None
    variant: str | None = None
    variant_text: str | None = None
    base_model: str | None = None
    base_size_b: float | None = None
    memory: Fit | None = None
    rules: tuple[str, ...] = ()
    text: str = ""
    source: tuple[str, ...] = ()


class DataNeed(Part):
    """Reviewed examples for this kind of task (`per_class`: in the smallest class); `have`, `enough` may be unknown."""

    task_type: str
    minimum: int
    recommended: int
    per_class: bool
    have: int | None
    enough: bool | None
    rule: str
    source: tuple[str, ...]


class Gate(Part):
    """A condition: passed, not passed, or open (null)."""

    id: str
    passed: bool | None
    text: str
    rule: str
    because: str
    source: tuple[str, ...]


class Reason(Part):
    """A rule that speaks, in one sentence. `short` is the form for a narrow screen; `says`: for or against."""

    rule: str
    text: str
    source: tuple[str, ...]
    short: str = ""
    says: Literal["for", "against"] = "for"
    evidence: str = ""
    team: bool = False
    expired: bool = False


class Pair(Part):
    """Two answers that change the advice only together."""

    changes: tuple[Any, ...]
    next_step: Option
    destination: Option


class Experiment(Part):
    """The single experiment that would settle the most valuable open question, and about what it costs."""

    question: str
    text: str
    cost: str


class BreakEven(Part):
    """Where a tuned small model pays: calls a day. A figure that is not known is null, and `unknown` says which price
    or answer is missing.
    """

    incumbent: str | None = None
    prompted_usd_per_call: float | None = None
    tuned_usd_per_day: float | None = None
    calls_per_day: int | None = None
    saving_usd_per_month: float | None = None
    upkeep_usd_per_month: float | None = None
    card: str | None = None
    prices_dated: date | None = None
    expired: bool = False
    unknown: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


class RulebookStamp(Part):
    """Which rulebook decided."""

    version: str
    sha256: str


class Decision(Artefact):
    """The advice (`rung advise --json`, decision.json)."""

    SCHEMA: ClassVar[int] = 1

    next_step: Option
    destination: Option
    action: Action
    provisional: bool
    strength: Literal["strong", "conditional"]
    evidence: Literal["high", "moderate", "low"]
    method: Method
    data: DataNeed
    gates: tuple[Gate, ...]
    reasons: tuple[Reason, ...]
    why_not: dict[str, tuple[Reason, ...]]
    nearly: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    would_change: tuple[dict[str, Any], ...]
    would_change_pairs: tuple[Pair, ...]
    open_questions: tuple[str, ...]
    experiment: Experiment | None
    break_even: BreakEven | None
    path: tuple[str, ...]
    status: dict[str, str]
    answers: dict[str, Any]
    rulebook: RulebookStamp
    as_of: date
