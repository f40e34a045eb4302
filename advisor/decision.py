"""The advice as the contract has it, on disk, and whether it still holds on a given day: rules, prices, models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from advisor.answers import FactValues
from advisor.dated_tables import life_of
from workspace.artefact import Artefact, hashes, now, read_artefact, write_artefact
from workspace.counted import money
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


def write_decision(project: Project, decision: Decision) -> Decision:
    """Write decision.json with what it was made from, and return it.

    Advice that differs from the written one in nothing but the day stays as written: what was cleared or released
    with it names it by its hash.
    """
    made_from = hashes(project.root, project.answers_file) if project.answers_file.exists() else {}
    made_from["rulebook"] = decision.rulebook.sha256
    made = decision.model_copy(update={"made_from": made_from, "created_at": now()})
    before = read_decision(project)
    if before is not None and before.model_copy(update={"created_at": made.created_at, "as_of": made.as_of}) == made:
        return before.model_copy(update={"as_of": made.as_of})
    write_artefact(project.decision_file, made)
    return made


Kind = Literal["advice", "rules", "prices", "life"]


@dataclass(frozen=True, slots=True)
class Shift:
    """A change under a decision. `holds`: whether the decision holds nevertheless; `values` belong to the `change`."""

    kind: Kind
    holds: bool
    change: str
    values: Mapping[str, str] = field(default_factory=dict)


def recheck(
    before: Decision, after: Decision, models: Mapping[str, str], today: date, project_rules: Path | None = None
) -> list[Shift]:
    """Return the differences between the written decision and the one that would be made today.

    `models` names the models in use by what they are for. What does not hold comes first.
    """
    found = [*_lives(models, today, project_rules), *_prices(before, after), *_rules(before, after)]
    if (before.next_step, before.destination) != (after.next_step, after.destination):
        found.insert(0, Shift("advice", False, "advice"))
    return sorted(found, key=lambda finding: finding.holds)


def _lives(models: Mapping[str, str], today: date, project_rules: Path | None) -> Iterator[Shift]:
    for use, name in models.items():
        life = life_of(name, project_rules)
        if life is None:
            continue
        values = {"use": use, "life": life.words(today)}
        if life.has_ended(today):
            yield Shift("life", False, "ended", values)
        elif life.ends_soon(today) or life.ends is None:
            yield Shift("life", True, "ending" if life.ends else "no_end", values)


def _prices(before: Decision, after: Decision) -> Iterator[Shift]:
    """Yield a shift if tuning pays today where it did not, or the reverse, and one for old prices."""
    old, new = before.break_even, after.break_even
    if new is None:
        return
    if old is not None and old.saving_usd_per_month is not None and new.saving_usd_per_month is not None:
        was, now = old.saving_usd_per_month, new.saving_usd_per_month
        values = {"was": money(was, 0), "now": money(now, 0)}
        if (was > 0) != (now > 0):
            yield Shift("prices", False, "pays" if now > 0 else "no_pay", values)
        elif was != now:
            yield Shift("prices", True, "saving", values)
    if new.expired:
        yield Shift("prices", True, "expired", {"dated": str(new.prices_dated)})


def _rules(before: Decision, after: Decision) -> Iterator[Shift]:
    if before.rulebook.sha256 != after.rulebook.sha256:
        yield Shift("rules", True, "rulebook")
    expired = [reason.rule for reason in chain(after.reasons, *after.why_not.values()) if reason.expired]
    if expired:
        yield Shift("rules", True, "sources", {"rules": ", ".join(dict.fromkeys(expired)), "first": expired[0]})
