"""The questionnaire's answers: typed facts, each of which may be unknown, and which cannot all be true at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Task = Literal[
    "classification",
    "extraction",
    "question_answering",
    "writing",
    "style",
    "summarization",
    "translation",
    "chat",
    "code",
    "reasoning",
    "agent",
    "recommendation",
    "domain_specialization",
    "complex_generation",
    "other",
]
Tried = Literal["untried", "insufficient", "works"]
Whole = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Answers(BaseModel):
    """Answers about the problem. `None` is "don't know", which is always allowed.

    `answered` says by whom, when and whether an answer was said or measured; it never changes the advice, nor does
    `wants`. Numbers: `examples`, `reviewed_examples` and `smallest_class` count input-output pairs,
    `gpu_memory_gb` is of one GPU, `model_size_b` in billions of parameters, `goal_score` in 0..1, `tokens_in` and
    `tokens_out` are of one call. `classifier`: a plain classifier on the same rows, as `rung baseline` measured it
    against `goal_score` and the prompted arms. `answer_checker`: a program can tell a right answer from a wrong one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    task: Task | None = None
    prompting: Literal["untried", "weak_effort", "partial", "insufficient", "works_but_costly", "works"] | None = None
    prompt_effort_days: Amount | None = None
    few_shot: Tried | None = None
    rag: Tried | None = None
    fine_tuning: Tried | None = None
    failure: (
        Literal["missing_facts", "stale_facts", "wrong_form", "breaks_rules", "weak_reasoning", "slow_or_costly"] | None
    ) = None
    private_knowledge: bool | None = None
    knowledge_fits_prompt: bool | None = None
    live_systems: bool | None = None
    citations: bool | None = None
    domain_behaviour: bool | None = None
    reasoning_task: bool | None = None
    cost_pressure: bool | None = None
    needs_control: bool | None = None
    low_resource_language: bool | None = None
    first_project: bool | None = None
    qlora_validated: bool | None = None
    deep_specialization: bool | None = None
    test_set: bool | None = None
    knowledge_change: Literal["never", "yearly", "monthly", "weekly", "daily", "live"] | None = None
    output_form: Literal["free", "simple", "strict"] | None = None
    breadth: Literal["narrow", "several", "general"] | None = None
    examples: Whole | None = None
    reviewed_examples: Whole | None = None
    classes: Whole | None = None
    smallest_class: Whole | None = None
    calls_per_day: Whole | None = None
    gpus: Whole | None = None
    latency: Literal["relaxed", "seconds", "sub_second"] | None = None
    model_access: Literal["hosted_only", "open", "either"] | None = None
    privacy: Literal["none", "sensitive", "no_training", "no_external_api", "access_control"] | None = None
    budget: Literal["none", "limited", "moderate", "high"] | None = None
    gpu_memory_gb: Amount | None = None
    model_size_b: Amount | None = None
    goal_score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    team: Literal["none", "part_time", "dedicated"] | None = None
    wants: Literal["prompt", "few_shot", "rag", "fine_tune", "rag_and_fine_tune"] | None = None
    incumbent_model: str | None = None
    tokens_in: Whole | None = None
    tokens_out: Whole | None = None
    classifier: Tried | None = None
    optimised: Tried | None = None
    answer_checker: bool | None = None
    answered: dict[str, dict[str, JsonValue]] = Field(default_factory=dict, repr=False)

    def known(self) -> FactValues:
        """Return the answers that are not "don't know", in the order of the contract's table."""
        return {key: value for key in FACTS if (value := getattr(self, key)) is not None}

    def deciding(self) -> FactValues:
        """Return the answers that rules may read."""
        return {key: value for key, value in self.known().items() if key not in SILENT}

    def measured(self) -> frozenset[str]:
        """Return the keys whose answer Rung measured; they are not asked."""
        return frozenset(key for key, note in self.answered.items() if note.get("from") == "measured")

    def with_changes(self, **changes: Any) -> Answers:
        """Return the same answers with some replaced (`None` forgets one). Values are checked by the caller."""
        return self.model_copy(update=changes)


FactValues = dict[str, Any]
"""Values of facts by key; `Fact` says the type of each, and None is "don't know"."""


@dataclass(frozen=True, slots=True)
class Fact:
    """The type of one answer: `kind` is choice, boolean, integer, number or text; `values` of a choice."""

    key: str
    kind: Literal["choice", "boolean", "integer", "number", "text"]
    values: tuple[str, ...] = ()
    highest: float | None = None

    @property
    def numeric(self) -> bool:
        """True if the answer is a number."""
        return self.kind in ("integer", "number")

    def expected(self) -> str:
        """Return the allowed values, in words."""
        if self.kind == "choice":
            return ", ".join((*self.values, "unknown"))
        if self.kind == "boolean":
            return 'true, false or "unknown"'
        if self.kind == "text":
            return 'a name or "unknown"'
        what = "a whole number" if self.kind == "integer" else "a number"
        span = "from 0 to 1" if self.highest == 1 else "of 0 or more"
        return f'{what} {span}, or "unknown"'


def _fact(key: str, annotation: Any) -> Fact:
    kind = next(part for part in get_args(annotation) if part is not type(None))
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return Fact(key, "choice", get_args(kind))
    if kind is bool:
        return Fact(key, "boolean")
    if kind is int:
        return Fact(key, "integer")
    return Fact(key, "text") if kind is str else Fact(key, "number", highest=1 if key == "goal_score" else None)


FACTS = {
    key: _fact(key, field.rebuild_annotation()) for key, field in Answers.model_fields.items() if key != "answered"
}
"""Every key of the contract's table with its type, in the order of the table."""

SILENT = ("wants", "incumbent_model")
"""Answers that no rule may read."""
UNASKED = frozenset({"classifier", "optimised", "model_size_b"})
"""Facts that are measured or volunteered, and not asked for to find the way: unknown, they leave no question open."""


Values = Mapping[str, Any]


def _reviewed_of_all(values: Values) -> str:
    reviewed, examples = values.get("reviewed_examples"), values.get("examples")
    if reviewed is None or examples is None or reviewed <= examples:
        return ""
    return f"You said {reviewed:,} reviewed of {examples:,} examples. Reviewed cannot be more than all."


def _smallest_of_all(values: Values) -> str:
    smallest, examples = values.get("smallest_class"), values.get("examples")
    if smallest is None or examples is None:
        return ""
    classes = values.get("classes") or 1
    if smallest * classes <= examples:
        return ""
    if classes == 1:
        return f"You said {smallest:,} examples in the smallest class, but {examples:,} examples in all."
    return (
        f"You said {classes:,} classes with at least {smallest:,} examples each, which makes {smallest * classes:,}, "
        f"but {examples:,} examples in all."
    )


def _effort_of_untried(values: Values) -> str:
    days = values.get("prompt_effort_days")
    if not days or values.get("prompting") != "untried":
        return ""
    return f"You said that no prompt was tried yet, and that {days:g} days of prompt work were spent."


CHECKS: dict[Callable[[Values], str], tuple[str, ...]] = {
    _reviewed_of_all: ("reviewed_examples", "examples"),
    _smallest_of_all: ("smallest_class", "classes", "examples"),
    _effort_of_untried: ("prompt_effort_days", "prompting"),
}
"""Each check with the keys it reads, the one to change first first."""

CHECKED_KEYS = frozenset(key for keys in CHECKS.values() for key in keys)


def contradictions(answers: Answers) -> list[tuple[str, str]]:
    """(key, sentence) for each pair of answers that cannot both be true."""
    values = answers.known()
    return [(keys[0], text) for check, keys in CHECKS.items() if (text := check(values))]


def consistent(values: Values) -> bool:
    """True if no check objects; fast, for trying out other answers."""
    return not any(check(values) for check in CHECKS)
