"""The advice: what is decided, why, why not, and what would change it. Fields as the contract has them."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from advisor.answers import FactValues
from workspace.artefact import Artefact, hashes, now, read_artefact, write_artefact
from workspace.errors import RungError
from workspace.folder import Project
from workspace.json_types import JsonObject

Option = Literal["prompt", "few_shot", "rag", "fine_tune", "rag_and_fine_tune"]
ActionName = Literal["climb", "keep", "measure", "more_data", "fix_retrieval", "better_model", "no_llm"]


class DecisionPart(BaseModel):
    """A part of the decision: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Action(DecisionPart):
    """The next action, in words. `cost` is a person's time, roughly; empty if nothing is known."""

    name: ActionName
    text: str
    cost: str = ""
    rule: str
    source: tuple[str, ...]


class MemoryNeed(DecisionPart):
    """Memory of a training step in GiB (batch 1, 2,048 tokens, chunked loss), and whether the GPU named holds it."""

    low: float
    expected: float
    high: float
    card_gb: float | None
    fits: bool | None


class Method(DecisionPart):
    """The tuning method, if tuning is in play; else `name` is null."""

    name: Literal["qlora", "lora", "full"] | None = None
    variant: str | None = None
    variant_text: str | None = None
    base_model: str | None = None
    base_size_b: float | None = None
    memory: MemoryNeed | None = None
    rules: tuple[str, ...] = ()
    text: str = ""
    source: tuple[str, ...] = ()


class DataNeed(DecisionPart):
    """Reviewed examples for this kind of task (`per_class`: in the smallest class); `have`, `enough` may be unknown."""

    task_type: str
    minimum: int
    recommended: int
    per_class: bool
    have: int | None
    enough: bool | None
    rule: str
    source: tuple[str, ...]


class AdviceGate(DecisionPart):
    """A condition: passed, not passed, or open (null)."""

    id: str
    passed: bool | None
    text: str
    rule: str
    because: str
    source: tuple[str, ...]


class Reason(DecisionPart):
    """A rule that speaks, in one sentence. `short` is the form for a narrow screen; `says`: for or against."""

    rule: str
    text: str
    source: tuple[str, ...]
    short: str = ""
    says: Literal["for", "against"] = "for"
    evidence: str = ""
    team: bool = False
    expired: bool = False


class Candidate(DecisionPart):
    """A place where it may end while that is open. `decided_by`: keys of the answers that would decide for it."""

    option: Option
    decided_by: tuple[str, ...]
    text: str


class Experiment(DecisionPart):
    """The single experiment that would settle the most valuable open question, and about what it costs."""

    question: str
    text: str
    cost: str


class BreakEven(DecisionPart):
    """Break-even of a tuned small model, in calls a day. An unknown figure is null, and `unknown` says which price or
    answer is missing; `assumed` says what was counted of caches and batches. `calls_per_day_cached` is where the whole
    prompt comes from a cache; null where what it keeps is known.
    """

    incumbent: str | None = None
    prompted_usd_per_call: float | None = None
    tuned_usd_per_day: float | None = None
    calls_per_day: int | None = None
    calls_per_day_cached: int | None = None
    saving_usd_per_month: float | None = None
    upkeep_usd_per_month: float | None = None
    card: str | None = None
    prices_dated: date | None = None
    expired: bool = False
    unknown: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


class RulebookStamp(DecisionPart):
    """The rulebook that decided."""

    version: str
    sha256: str


OLDER = ("nearly", "would_change_pairs")
"""Fields of a decision.json that an older Rung wrote."""


class Decision(Artefact):
    """The advice (`rung advise --json`, decision.json)."""

    SCHEMA: ClassVar[int] = 1

    next_step: Option
    destination: Option
    settled: bool = False
    candidates: tuple[Candidate, ...] = ()
    action: Action
    provisional: bool
    strength: Literal["strong", "conditional"]
    evidence: Literal["high", "moderate", "low"]
    method: Method
    data: DataNeed
    gates: tuple[AdviceGate, ...]
    reasons: tuple[Reason, ...]
    why_not: dict[str, tuple[Reason, ...]]
    notes: tuple[Reason, ...]
    would_change: tuple[JsonObject, ...]
    open_questions: tuple[str, ...]
    experiment: Experiment | None
    break_even: BreakEven | None
    path: tuple[str, ...]
    status: dict[str, str]
    answers: FactValues
    rulebook: RulebookStamp
    as_of: date

    @model_validator(mode="before")
    @classmethod
    def _open_older(cls, fields: Any) -> Any:
        """Leave out what is no longer kept."""
        return {key: value for key, value in fields.items() if key not in OLDER} if isinstance(fields, dict) else fields

    @property
    def reached(self) -> Literal["", "classifier", "prompt"]:
        """Return the cheaper option that reaches the goal and can be released; empty if none does."""
        if self.answers.get("classifier") == "works" and self.action.name in ("keep", "no_llm"):
            return "classifier"
        return "prompt" if self.action.name == "keep" else ""


def read_decision(project: Project) -> Decision | None:
    """Return the advice as written; None if there is none, or another version of Rung wrote it."""
    try:
        return read_artefact(project.decision_file, Decision)
    except RungError:
        return None


RULEBOOK = "rulebook"
"""Key in `made_from` for the hash of the rulebook, which is no file of the project."""


def write_decision(project: Project, decision: Decision) -> Decision:
    """Write decision.json with what it was made from, and return it.

    Advice that differs from the written one in nothing but the day stays as written: what was cleared or released
    with it names it by its hash.
    """
    made_from = hashes(project.root, project.answers_file) if project.answers_file.exists() else {}
    made_from[RULEBOOK] = decision.rulebook.sha256
    made = decision.model_copy(update={"made_from": made_from, "created_at": now()})
    before = read_decision(project)
    if before is not None and before.model_copy(update={"created_at": made.created_at, "as_of": made.as_of}) == made:
        return before.model_copy(update={"as_of": made.as_of})
    write_artefact(project.decision_file, made)
    return made
