"""The rulebook: rules with their conditions (structure, not strings), questions, sources. `rulefiles` reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from advisor.answers import FACTS, Fact, FactValues
from workspace.shipped_rules import rules_folder

FILES = ("approach", "data_size", "actions", "method", "gates", "notes", "workloads")
"""Files of `rules/` that hold rules, in the order they are read; order decides where the first match wins."""
PRICES = ("prices", "upkeep")
"""Dated prices; a project's own `rules/prices.toml` takes precedence."""
TABLES = (*PRICES, "models", "hardware", "memory", "hyperparameters", "lives")
"""Dated tables with sources of their own, read by advisor.sizing."""
COMMON = frozenset(
    ("id", "when", "unless", "because", "short", "source", "evidence", "strength", "explains", "was", "counter")
)
FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    kind: (frozenset(required.split()), frozenset(optional.split()))
    for kind, required, optional in (
        ("status", "rung is", "over"),
        ("need", "kind cells", ""),
        ("relief", "relieves", ""),
        ("veto", "forbids blocks", "missing"),
        ("skip", "rung on_the_way_to", "needs"),
        ("size", "tasks minimum recommended", "per_class"),
        ("action", "name text", "cost"),
        ("method", "name", "rank"),
        ("variant", "name", "text"),
        ("base", "model", "size_b"),
        ("gate", "gate text", "passes data"),
        ("note", "", ""),
        ("workload", "advice text", ""),
    )
}
"""Kinds of rule with the fields each must and may have."""
EVIDENCE = ("measured", "paper", "vendor", "practice", "judgement")
STRENGTH = ("strong", "conditional")


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule. `effect`: the fields of its kind; `team`: a project's own; `counter`: the best evidence against it."""

    id: str
    kind: str
    when: Condition
    unless: tuple[Condition, ...]
    because: str
    short: str
    source: tuple[str, ...]
    evidence: str
    strength: str
    explains: bool
    effect: Mapping[str, Any]
    place: str
    team: bool = False
    counter: str = ""

    def keys(self) -> frozenset[str]:
        """Return the facts it reads."""
        return frozenset(self.when).union(*map(frozenset, self.unless)) if self.unless else frozenset(self.when)

    def text(self) -> str:
        """Return the reason in one sentence, marked if the rule is the team's own."""
        return f"{self.because} (your team's rule)" if self.team else self.because


@dataclass(frozen=True, slots=True)
class Source:
    """A source that rules may cite. After `review_by` it is shown as expired."""

    id: str
    title: str
    address: str
    read: date
    kind: str
    review_by: date
    says: str
    team: bool = False


@dataclass(frozen=True, slots=True)
class AnswerChoice:
    """One answer to a question. `value` is what is in answers.toml; `often`: the share of projects that give it."""

    value: Any
    text: str
    example: str
    often: float = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """One question for a person. `when` says when it is asked; `core`: it shapes where the way leads;
    `settle`: the one experiment that would answer it, with `settle_cost` of a person's time.
    """

    id: str
    text: str
    why: str
    kind: str
    answers: tuple[AnswerChoice, ...]
    when: Condition
    core: bool
    place: str
    settle: str = ""
    settle_cost: str = ""


@dataclass(frozen=True)
class Rulebook:
    """All that decides, with its version and SHA-256 over the bytes of all files read."""

    version: str
    sha256: str
    rules: tuple[Rule, ...]
    sources: Mapping[str, Source]
    questions: Mapping[str, Question]
    by_id: Mapping[str, Rule] = field(repr=False)
    prices: tuple[str, ...] = field(default=(), repr=False)
    """TOML texts of prices, a project's own first; parsed when money is asked for."""
    engines: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Compiled forms, made when first needed."""

    def of(self, *kinds: str) -> Iterator[Rule]:
        """Return the rules of these kinds, in file order."""
        return (rule for rule in self.rules if rule.kind in kinds)

    def cited_by_tables(self) -> set[str]:
        """Return sources that the dated tables (prices, models, memory ...) cite."""
        texts = (rules_folder() / f"{name}.toml" for name in TABLES)
        found = (re.findall(r"^source = \[(.*)\]", path.read_text(), re.MULTILINE) for path in texts if path.exists())
        return {name for line in found for part in line for name in re.findall(r'"([\w-]+)', part)}


OPTIONS = ("prompt", "few_shot", "rag", "fine_tune", "rag_and_fine_tune")
"""Options that can be advised, in the order of the ladder."""
RUNGS = OPTIONS[:4]
METHODS = ("qlora", "lora", "full")

DERIVED = {
    "rows": Fact("rows", "integer"),
    "usable_examples": Fact("usable_examples", "integer"),
    "unreviewed": Fact("unreviewed", "integer"),
    "class_floor": Fact("class_floor", "integer"),
    "class_balance": Fact("class_balance", "number"),
    "gb_per_billion": Fact("gb_per_billion", "number"),
    "total_gb_per_billion": Fact("total_gb_per_billion", "number"),
}
"""Facts worked out from answers: `derive` says how."""

OUTCOME = {
    "next_step": Fact("next_step", "choice", OPTIONS),
    "destination": Fact("destination", "choice", OPTIONS),
    "tuning": Fact("tuning", "boolean"),
    "retrieval": Fact("retrieval", "boolean"),
    "kept": Fact("kept", "boolean"),
    "stuck": Fact("stuck", "boolean"),
    "blocked": Fact("blocked", "choice", ("nothing", "data", "effort", "money")),
    "method": Fact("method", "choice", METHODS),
}
"""Facts that the first pass settles, for rules about action, method and gates."""

WORKLOAD = {
    **{name: Fact(name, "integer") for name in ("calls", "prefix_tokens", "answers")},
    **{name: Fact(name, "number") for name in ("failing", "repeats", "prefix_share", "usd_per_month")},
    **{name: Fact(name, "boolean") for name in ("narrow", "pays", "cheaper")},
}
"""Facts of one workload of a log (`training/monitoring/workloads.py`), for rules of that kind alone."""

ALL_FACTS: dict[str, Fact] = {**FACTS, **DERIVED, **OUTCOME, **WORKLOAD}

THIN = 50
"""A mean class size under which the smallest class is surely too small."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number at or above `at_least` and below `below`; with `unknown`, "don't know" holds too."""

    at_least: float | None = None
    below: float | None = None
    unknown: bool = False

    def __contains__(self, value: object) -> bool:
        """True if a number lies between the bounds; `None` means "don't know"."""
        if value is None:
            return self.unknown
        if not isinstance(value, (int, float)):
            return False
        return (self.at_least is None or value >= self.at_least) and (self.below is None or value < self.below)

    def words(self) -> str:
        """`at least 5, below 50 or unknown`."""
        parts = [f"at least {self.at_least:,g}" if self.at_least is not None else ""]
        parts += [f"below {self.below:,g}" if self.below is not None else ""]
        text = ", ".join(part for part in parts if part)
        return f"{text} or unknown" if self.unknown else text


Condition = Mapping[str, "frozenset[Any] | Bounds"]
"""Key to the values that satisfy it; `None` in a set means "don't know". All keys must hold."""


def holds(condition: Condition, values: Mapping[str, Any]) -> bool | None:
    """True, False, or None if an unknown answer leaves it open. A missing key is unknown."""
    state: bool | None = True
    for key, allowed in condition.items():
        value = values.get(key)
        if value in allowed:
            continue
        if value is not None:
            return False
        state = None
    return state


def derive(values: Mapping[str, Any]) -> FactValues:
    """Return the derived facts; None if an answer they rest on is unknown.

    usable_examples: the reviewed ones where their number is known, else all; unknown while `examples` is. All of them
    where a prompt works and only costs too much (its model can label every row), and in recommendation (what users did
    is the label).
    class_floor: the smallest class; where it was not counted, the mean if even that is under `THIN` (a larger mean says
    nothing about the smallest). class_balance: smallest class over mean class.
    gb_per_billion: memory of one card (total_: of all cards) for each billion parameters.
    """
    get = values.get
    examples, reviewed, classes, smallest = map(get, ("examples", "reviewed_examples", "classes", "smallest_class"))
    gb, size, gpus = get("gpu_memory_gb"), get("model_size_b"), get("gpus")
    labelled = get("prompting") == "works_but_costly" or get("task") == "recommendation"
    usable = examples if reviewed is None or examples is None or labelled else reviewed
    mean = usable / classes if usable is not None and classes else None
    each = gb / size if gb is not None and size else None
    return {
        "rows": examples if examples is not None else reviewed or None,
        "usable_examples": usable,
        "unreviewed": None if examples is None or reviewed is None else max(0, examples - reviewed),
        "class_floor": smallest if smallest is not None else int(mean) if mean is not None and mean < THIN else None,
        "class_balance": None if smallest is None or not mean else smallest / mean,
        "gb_per_billion": each,
        "total_gb_per_billion": None if each is None else each * (1 if gpus is None else gpus),
    }
