"""The rulebook: rules, questions and sources read from TOML, checked at load."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from advisor.conditions import ALL_FACTS, Bounds, Condition
from advisor.sizing.tables import rules_folder
from workspace.errors import InputError, Problem, RungError, did_you_mean

FILES = ("approach", "data_size", "actions", "method", "gates", "notes")
"""Files of `rules/` that hold rules, in the order they are read; order decides where the first match wins."""
PRICES = ("prices", "upkeep")
"""Dated prices; a project's own `rules/prices.toml` stands before them."""
TABLES = (*PRICES, "models", "hardware", "memory", "hyperparameters")
"""Dated tables with sources of their own, read by advisor.sizing."""
COMMON = {"id", "when", "unless", "because", "short", "source", "evidence", "strength", "explains", "was", "advises"}
FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    kind: (frozenset(required.split()), frozenset(optional.split()))
    for kind, required, optional in (
        ("status", "rung is", "over"),
        ("need", "kind cells", ""),
        ("relief", "relieves", ""),
        ("veto", "forbids blocks", "missing"),
        ("skip", "rung on_the_way_to", ""),
        ("size", "tasks minimum recommended", "per_class"),
        ("action", "name text", "cost"),
        ("method", "name", "rank"),
        ("variant", "name", "text"),
        ("base", "model", "size_b"),
        ("gate", "gate text", "passes data"),
        ("note", "", ""),
    )
}
"""Kinds of rule with the fields each must and may have."""
EVIDENCE = ("measured", "paper", "vendor", "practice", "judgement")
STRENGTH = ("strong", "conditional")


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule. `effect` holds the fields of its kind; `place` is `approach.toml line 12`; `team` marks a project's own."""

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

    def keys(self) -> frozenset[str]:
        """The facts it reads."""
        return frozenset(self.when).union(*map(frozenset, self.unless)) if self.unless else frozenset(self.when)

    def text(self) -> str:
        """Its reason in one sentence, marked where it is the team's own."""
        return f"{self.because} (your team's rule)" if self.team else self.because


@dataclass(frozen=True, slots=True)
class Source:
    """What may be cited. After `review_by` it shows as expired."""

    id: str
    title: str
    address: str
    read: date
    kind: str
    review_by: date
    says: str
    team: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to a question. `value` is what stands in answers.toml."""

    value: Any
    text: str
    example: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question for a person. `when` says when it is asked; `core`: it shapes where the way leads."""

    id: str
    text: str
    why: str
    kind: str
    answers: tuple[Choice, ...]
    when: Condition
    core: bool
    place: str


@dataclass(frozen=True)
class Rulebook:
    """Everything that decides, and its version and SHA-256 over the bytes of all files read."""

    version: str
    sha256: str
    rules: tuple[Rule, ...]
    sources: Mapping[str, Source]
    questions: Mapping[str, Question]
    by_id: Mapping[str, Rule] = field(repr=False)
    prices: tuple[str, ...] = field(default=(), repr=False)
    """TOML texts of prices, a project's own last; parsed when money is asked for."""
    engines: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Compiled forms, made when first needed."""

    def of(self, *kinds: str) -> Iterator[Rule]:
        """The rules of these kinds, in file order."""
        return (rule for rule in self.rules if rule.kind in kinds)

    def without(self, rule_id: str) -> Rulebook:
        """The same rulebook with one rule dropped: what the mutation check runs."""
        rules = tuple(rule for rule in self.rules if rule.id != rule_id)
        by_id = {rule.id: rule for rule in rules}
        return Rulebook(self.version, self.sha256, rules, self.sources, self.questions, by_id, self.prices)

    def cited_by_tables(self) -> set[str]:
        """Sources that the dated tables (prices, models, memory ...) cite."""
        texts = (rules_folder() / f"{name}.toml" for name in TABLES)
        found = (re.findall(r"^source = \[(.*)\]", path.read_text(), re.MULTILINE) for path in texts if path.exists())
        return {name for line in found for part in line for name in re.findall(r'"([\w-]+)', part)}


def load_rulebook(project_rules: Path | None = None, folder: Path | None = None) -> Rulebook:
    """Read and check the rulebook, and a team's own rules from `project_rules` (`<project>/rules/*.toml`) on top.

    Raises InputError with every fault: file, line, "did you mean". No advice is given on a broken rulebook.
    """
    from advisor.checking import check

    reader = _Reader()
    root = folder or rules_folder()
    for name in ("sources", "questions", *FILES):
        reader.read(root / f"{name}.toml", team=False)
    own = sorted(project_rules.glob("*.toml")) if project_rules and project_rules.is_dir() else []
    for path in own:
        if path.stem in PRICES:
            reader.price(path)
        elif path.stem not in TABLES:
            reader.read(path, team=True)
    for name in PRICES:
        reader.price(root / f"{name}.toml")
    book = reader.rulebook()
    problems = reader.problems or check(book)
    if problems:
        raise InputError(problems, "rung rules check")
    return book


class _Reader:
    """Collects rules, sources and questions from files, and what is wrong with them."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.version = ""
        self.rules: list[Rule] = []
        self.sources: dict[str, Source] = {}
        self.questions: dict[str, Question] = {}
        self.problems: list[Problem] = []
        self.prices: list[str] = []

    def rulebook(self) -> Rulebook:
        """What was read; of rules with one id the first is kept (the second is a problem)."""
        by_id = {rule.id: rule for rule in reversed(self.rules)}
        digest = self.digest.hexdigest()
        prices = tuple(self.prices)
        return Rulebook(self.version, digest, tuple(self.rules), self.sources, self.questions, by_id, prices)

    def price(self, path: Path) -> None:
        """Take in a table of prices, unparsed; a missing one means unknown prices."""
        if path.is_file():
            data = path.read_bytes()
            self.digest.update(path.name.encode() + b"\0" + data)
            self.prices.append(data.decode(errors="replace"))

    def read(self, path: Path, *, team: bool) -> None:
        """Read one file; what is wrong with it goes to `problems`."""
        try:
            data = path.read_bytes()
            table = tomllib.loads(data.decode())
        except OSError as error:
            raise RungError(
                f"{path}: cannot be read ({error.strerror}).", "pip install --force-reinstall rung"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.problems.append(Problem(f"is not TOML: {error}.", where=f"rules/{path.name}"))
            return
        self.digest.update(path.name.encode() + b"\0" + data)
        lines = _Lines(data.decode(), f"rules/{path.name}")
        for kind, entries in table.items():
            if kind == "version":
                self.version = self.version or str(entries)
            elif kind not in (*FIELDS, "source", "question"):
                hint = did_you_mean(kind, [*FIELDS, "source", "question"])
                self._fault(f'unknown table "{kind}".{hint}', lines.file)
            elif not isinstance(entries, list):
                self._fault(f"[{kind}] must be written [[{kind}]].", lines.file)
            else:
                for number, entry in enumerate(entries):
                    self._entry(kind, entry, lines.place(kind, number), team)

    def _fault(self, text: str, where: str) -> None:
        self.problems.append(Problem(text, where=where))

    def _entry(self, kind: str, entry: dict[str, Any], place: str, team: bool) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            self._fault(f'a {kind} without "id".', place)
        elif kind == "source":
            self._source(entry, place, team)
        elif kind == "question":
            self._question(entry, place)
        else:
            self._rule(kind, entry, place, team)

    def _source(self, entry: dict[str, Any], place: str, team: bool) -> None:
        wanted = {"id", "title", "address", "read", "kind", "review_by", "says"}
        self._fields(entry, wanted, wanted, place)
        if entry["id"] in self.sources:
            self._fault(f'source "{entry["id"]}" is there twice.', place)
        if wanted <= entry.keys():
            self.sources[entry["id"]] = Source(**{key: entry[key] for key in wanted}, team=team)

    def _question(self, entry: dict[str, Any], place: str) -> None:
        self._fields(entry, {"id", "text", "why", "answers"}, {"id", "text", "why", "answers", "when", "core"}, place)
        fact = ALL_FACTS.get(entry["id"])
        if fact is None:
            self._fault(f'question for an unknown key "{entry["id"]}".{did_you_mean(entry["id"], ALL_FACTS)}', place)
            return
        answers = tuple(
            Choice(a.get("value"), a.get("text", ""), a.get("example", "")) for a in entry.get("answers", [])
        )
        when = self._condition(entry.get("when", {}), place)
        core = bool(entry.get("core", False))
        self.questions[entry["id"]] = Question(
            entry["id"], entry.get("text", ""), entry.get("why", ""), fact.kind, answers, when, core, place
        )

    def _rule(self, kind: str, entry: dict[str, Any], place: str, team: bool) -> None:
        required, optional = FIELDS[kind]
        self._fields(entry, {"id", "because", "source", "evidence"} | required, COMMON | required | optional, place)
        if any(rule.id == entry["id"] for rule in self.rules):
            self._fault(f'rule "{entry["id"]}" is there twice.', place)
        unless = entry.get("unless", [])
        self.rules.append(
            Rule(
                id=entry["id"],
                kind=kind,
                when=self._condition(entry.get("when", {}), place),
                unless=tuple(
                    self._condition(part, place) for part in ([unless] if isinstance(unless, dict) else unless)
                ),
                because=entry.get("because", ""),
                short=entry.get("short", ""),
                source=tuple(entry.get("source", ())),
                evidence=entry.get("evidence", ""),
                strength=entry.get("strength", "strong"),
                explains=bool(entry.get("explains", kind == "note")),
                effect=self._effect(kind, entry, place),
                place=place,
                team=team,
            )
        )

    def _effect(self, kind: str, entry: dict[str, Any], place: str) -> dict[str, Any]:
        effect = {key: value for key, value in entry.items() if key not in COMMON}
        if "passes" in effect:
            effect["passes"] = self._condition(effect["passes"], place)
        return effect

    def _fields(self, entry: dict[str, Any], required: set[str], known: set[str], place: str) -> None:
        for key in entry.keys() - known:
            self._fault(f'{entry.get("id", "?")}: unknown field "{key}".{did_you_mean(key, known)}', place)
        for key in sorted(required - entry.keys()):
            self._fault(f'{entry.get("id", "?")}: the field "{key}" is missing.', place)

    def _condition(self, table: Any, place: str) -> Condition:
        if not isinstance(table, dict):
            self._fault("a condition must be a table { key = value }.", place)
            return {}
        return {key: self._allowed(key, raw, place) for key, raw in table.items() if self._known(key, place)}

    def _known(self, key: str, place: str) -> bool:
        if key not in ALL_FACTS:
            self._fault(f'unknown question "{key}".{did_you_mean(key, ALL_FACTS)}', place)
        return key in ALL_FACTS

    def _allowed(self, key: str, raw: Any, place: str) -> frozenset[Any] | Bounds:
        fact = ALL_FACTS[key]
        if isinstance(raw, dict):
            for name in raw.keys() - {"below", "at_least", "unknown"}:
                hint = did_you_mean(name, ["below", "at_least", "unknown"])
                self._fault(f'{key}: unknown bound "{name}".{hint}', place)
            if not fact.numeric:
                self._fault(f"{key} is not a number, so it has no bounds.", place)
            return Bounds(raw.get("at_least"), raw.get("below"), bool(raw.get("unknown", False)))
        values = raw if isinstance(raw, list) else [raw]
        return frozenset(self._value(fact, value, place) for value in values)

    def _value(self, fact: Any, value: Any, place: str) -> Any:
        if value == "unknown":
            return None
        good = isinstance(value, bool) if fact.kind == "boolean" else value in fact.values
        if not good:
            known = fact.values or ("true", "false")
            self._fault(f'{fact.key} has no answer "{value}".{did_you_mean(str(value), known)}', place)
        return value


class _Lines:
    """Finds the line of the n-th `[[kind]]` of a file."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.found: dict[str, list[int]] = {}
        for match in re.finditer(r"^\[\[([\w-]+)\]\]", text, re.MULTILINE):
            self.found.setdefault(match[1], []).append(text.count("\n", 0, match.start()) + 1)

    def place(self, kind: str, number: int) -> str:
        """`rules/approach.toml line 12`."""
        lines = self.found.get(kind, [])
        return f"{self.file} line {lines[number]}" if number < len(lines) else self.file
