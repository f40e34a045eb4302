"""The rulebook: rules, questions and sources. `advisor.rulefiles` reads it from TOML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from advisor.conditions import Condition
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
