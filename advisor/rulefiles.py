"""Reading rule files: TOML to a checked rulebook, with each fault at its line."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator, Set
from functools import cache
from pathlib import Path
from typing import Any

from advisor.checking import check
from advisor.dated_tables import DAY, NAMES, TEXT, FieldType, field_faults, life_faults, price_faults
from advisor.rulebook import (
    ALL_FACTS,
    COMMON,
    FIELDS,
    FILES,
    PRICES,
    TABLES,
    AnswerChoice,
    Bounds,
    Condition,
    Question,
    Rule,
    Rulebook,
    Source,
)
from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.json_types import JsonObject
from workspace.shipped_rules import rules_folder


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, dict) for part in value)


_TYPES: tuple[tuple[str, FieldType], ...] = (
    ("source over relieves forbids on_the_way_to tasks needs", NAMES),
    ("answers", ("a list of tables", _is_tables)),
    ("when cells passes", ("a table", _is(dict))),
    ("unless", ("a table or a list of tables", lambda value: isinstance(value, dict) or _is_tables(value))),
    ("explains core per_class", ("true or false", _is(bool))),
    ("minimum recommended rank", ("a whole number", _is(int))),
    ("size_b", ("a number", _is(int, float))),
    ("read review_by", ("a date", DAY[1])),
)
TYPES = {name: kind for names, kind in _TYPES for name in names.split()}
"""Type that each field must have; a field that is not listed is a text."""


class Reader:
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
        """Return the rules read so far. Of two rules with one id the first is kept; the second is a problem."""
        by_id = {rule.id: rule for rule in reversed(self.rules)}
        known = (tuple(self.rules), self.sources, self.questions, by_id, tuple(self.prices))
        return Rulebook(self.version, self.digest.hexdigest(), *known)

    def is_fine(self, path: Path, faults: Callable[[JsonObject], Iterator[str]]) -> bool:
        """True if a team's own dated table is correct; faults are added to `problems`."""
        before = len(self.problems)
        try:
            for text in faults(tomllib.loads(path.read_text(encoding="utf-8"))):
                self._fault(text, f"rules/{path.name}")
        except OSError as error:
            self._fault(f"cannot be read ({error.strerror}).", f"rules/{path.name}")
        except (ValueError, RecursionError) as error:
            self._fault(f"is not TOML: {error}.", f"rules/{path.name}")
        return len(self.problems) == before

    def seen(self, path: Path) -> Iterator[str]:
        """Let a table that others read count for the rulebook's hash; yield its text, if it is there."""
        if path.is_file():
            data = path.read_bytes()
            self.digest.update(path.name.encode() + b"\0" + data)
            yield data.decode(errors="replace")

    def read(self, path: Path, *, team: bool) -> None:
        """Read one file; what is wrong with it goes to `problems`."""
        try:
            data = path.read_bytes()
            table = tomllib.loads(data.decode())
        except OSError as error:
            way = f"Make {path} readable." if team else "Install Rung again from its checkout."
            raise RungError(f"{path}: cannot be read ({error.strerror}).", way, where=str(path)) from error
        except (ValueError, RecursionError) as error:
            self.problems.append(Problem(f"is not TOML: {error}.", where=f"rules/{path.name}"))
            return
        self.digest.update(path.name.encode() + b"\0" + data)
        file = f"rules/{path.name}"
        lines = _lines(data.decode(), file)
        for kind, entries in table.items():
            if kind == "version":
                self.version = self.version or str(entries)
            elif kind not in (*FIELDS, "source", "question"):
                hint = did_you_mean(kind, [*FIELDS, "source", "question"])
                self._fault(f'unknown table "{kind}".{hint}', file)
            elif not isinstance(entries, list):
                self._fault(f"[{kind}] must be written [[{kind}]].", file)
            else:
                places = [*lines.get(kind, ()), *[file] * len(entries)]
                for entry, place in zip(entries, places, strict=False):
                    self._entry(kind, entry, place, team)

    def _fault(self, text: str, where: str) -> None:
        self.problems.append(Problem(text, where=where))

    def _entry(self, kind: str, entry: JsonObject, place: str, team: bool) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            self._fault(f'a {kind} without "id".', place)
        elif kind == "source":
            self._source(entry, place, team)
        elif kind == "question":
            self._question(entry, place)
        else:
            self._rule(kind, entry, place, team)

    def _source(self, entry: JsonObject, place: str, team: bool) -> None:
        wanted = {"id", "title", "address", "read", "kind", "review_by", "says"}
        if entry["id"] in self.sources:
            self._fault(f'source "{entry["id"]}" is there twice.', place)
        if self._fields(entry, wanted, wanted, place):
            self.sources[entry["id"]] = Source(**{key: entry[key] for key in wanted}, team=team)

    def _question(self, entry: JsonObject, place: str) -> None:
        must = {"id", "text", "why", "answers"}
        if not self._fields(entry, must, must | {"when", "core", "settle", "settle_cost"}, place):
            return
        fact = ALL_FACTS.get(entry["id"])
        if fact is None:
            self._fault(f'question for an unknown key "{entry["id"]}".{did_you_mean(entry["id"], ALL_FACTS)}', place)
            return
        answers = tuple(
            AnswerChoice(a.get("value"), str(a.get("text", "")), str(a.get("example", "")), float(a.get("often", 0.1)))
            for a in entry["answers"]
        )
        self.questions[entry["id"]] = Question(
            kind=fact.kind,
            answers=answers,
            when=self._condition(entry.get("when", {}), place),
            core=bool(entry.get("core", False)),
            place=place,
            **{key: entry.get(key, "") for key in ("id", "text", "why", "settle", "settle_cost")},
        )

    def _rule(self, kind: str, entry: JsonObject, place: str, team: bool) -> None:
        required, optional = FIELDS[kind]
        must = {"id", "because", "source", "evidence"} | required
        fine = self._fields(entry, must, COMMON | required | optional, place)
        when = self._condition(entry.get("when", {}), place)
        if any(rule.id == entry["id"] for rule in self.rules):
            self._fault(f'rule "{entry["id"]}" is there twice.', place)
        if not fine:
            return
        unless = entry.get("unless", [])
        parts = [self._condition(part, place) for part in ([unless] if isinstance(unless, dict) else unless)]
        effect = {key: value for key, value in entry.items() if key not in COMMON}
        if "passes" in effect:
            effect["passes"] = self._condition(effect["passes"], place)
        self.rules.append(
            Rule(
                id=entry["id"],
                kind=kind,
                when=when,
                unless=tuple(parts),
                because=entry["because"],
                short=entry.get("short", ""),
                source=tuple(entry["source"]),
                evidence=entry["evidence"],
                strength=entry.get("strength", "strong"),
                explains=bool(entry.get("explains", kind == "note")),
                effect=effect,
                place=place,
                team=team,
                counter=entry.get("counter", ""),
            )
        )

    def _fields(self, entry: JsonObject, required: Set[str], known: Set[str], place: str) -> bool:
        """True if all required fields are there, known, and of their type; faults are added to `problems`."""
        faults = list(field_faults(entry, required, known, TYPES, TEXT))
        for text in faults:
            self._fault(f"{entry['id']}: {text}", place)
        return not faults

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
            for name in sorted(raw.keys() - {"below", "at_least", "unknown"}):
                hint = did_you_mean(name, ["below", "at_least", "unknown"])
                self._fault(f'{key}: unknown bound "{name}".{hint}', place)
            if not fact.numeric:
                self._fault(f"{key} is not a number, so it has no bounds.", place)
            for name in ("below", "at_least"):
                if not _is(int, float)(raw.get(name, 0)):
                    self._fault(f"{key}: {name} must be a number.", place)
                    return Bounds()
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
        return value if good else None


def _lines(text: str, file: str) -> dict[str, list[str]]:
    """Return the place of each `[[kind]]` by kind: `rules/approach.toml line 12`."""
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if match := re.match(r"\[\[([\w-]+)\]\]", line):
            found.setdefault(match[1], []).append(f"{file} line {number}")
    return found


def load_rulebook(project_rules: Path | None = None) -> Rulebook:
    """Read and check the rulebook, and a team's own rules from `project_rules` (`<project>/rules/*.toml`) on top.

    The rules that came with this program are read once.
    Raises InputError with every fault: file, line, "did you mean". No advice is given on a broken rulebook.
    """
    own = tuple(sorted(project_rules.glob("*.toml"))) if project_rules and project_rules.is_dir() else ()
    return (_read if own else _read_once)(own)


def _read(own: tuple[Path, ...]) -> Rulebook:
    reader, root = Reader(), rules_folder()
    for name in ("sources", "questions", *FILES):
        reader.read(root / f"{name}.toml", team=False)
    for path in own:  # the sizing reads other tables
        if path.stem in PRICES:
            reader.prices += reader.seen(path) if reader.is_fine(path, price_faults) else ()
        elif path.stem == "lives":
            reader.is_fine(path, life_faults)
        elif path.stem not in TABLES:
            reader.read(path, team=True)
    for name in TABLES:
        found = list(reader.seen(root / f"{name}.toml"))
        reader.prices += found if name in PRICES else ()
    book = reader.rulebook()
    problems = reader.problems or check(book)
    if problems:
        raise InputError(problems, "rung rules check")
    return book


_read_once = cache(_read)
