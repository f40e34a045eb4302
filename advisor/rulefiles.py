"""Reading rule files: TOML to a checked rulebook, with each fault at its line."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator, Set
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from advisor.checking import check
from advisor.dated_tables import life_faults, price_faults
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


def _is_list(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(part, kind) for part in value)


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


_TYPES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("source over relieves forbids on_the_way_to tasks needs", "a list of names", _is_list(str)),
    ("answers", "a list of tables", _is_list(dict)),
    ("when cells passes", "a table", _is(dict)),
    ("unless", "a table or a list of tables", lambda value: isinstance(value, dict) or _is_list(dict)(value)),
    ("explains core per_class", "true or false", _is(bool)),
    ("minimum recommended rank", "a whole number", _is(int)),
    ("size_b", "a number", _is(int, float)),
    ("read review_by", "a date", lambda value: type(value) is date),
)
TYPES = {name: (words, fits) for names, words, fits in _TYPES for name in names.split()}
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
        digest = self.digest.hexdigest()
        prices = tuple(self.prices)
        return Rulebook(self.version, digest, tuple(self.rules), self.sources, self.questions, by_id, prices)

    def price(self, path: Path) -> None:
        """Take in a table of prices, unparsed; a missing one means unknown prices."""
        if path.is_file():
            data = path.read_bytes()
            self.digest.update(path.name.encode() + b"\0" + data)
            self.prices.append(data.decode(errors="replace"))

    def own_prices(self, path: Path) -> None:
        """Check a team's own prices and take them in."""
        if self._checked(path, price_faults):
            self.price(path)

    def lives(self, path: Path) -> None:
        """Check a team's own table of how long models live."""
        self._checked(path, life_faults)

    def _checked(self, path: Path, faults: Callable[[JsonObject], Iterator[str]]) -> bool:
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

    def seen(self, path: Path) -> None:
        """Let a table that others read count for the rulebook's hash."""
        if path.is_file():
            self.digest.update(path.name.encode() + b"\0" + path.read_bytes())

    def read(self, path: Path, *, team: bool) -> None:
        """Read one file; what is wrong with it goes to `problems`."""
        try:
            data = path.read_bytes()
            table = tomllib.loads(data.decode())
        except OSError as error:
            way = f"Make {path} readable." if team else "Install Rung again from its checkout."
            raise RungError(f"{path}: cannot be read ({error.strerror}).", way, where=str(path)) from error
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
        self.rules.append(
            Rule(
                id=entry["id"],
                kind=kind,
                when=when,
                unless=tuple(
                    self._condition(part, place) for part in ([unless] if isinstance(unless, dict) else unless)
                ),
                because=entry["because"],
                short=entry.get("short", ""),
                source=tuple(entry["source"]),
                evidence=entry["evidence"],
                strength=entry.get("strength", "strong"),
                explains=bool(entry.get("explains", kind == "note")),
                effect=self._effect(kind, entry, place),
                place=place,
                team=team,
                counter=entry.get("counter", ""),
            )
        )

    def _effect(self, kind: str, entry: JsonObject, place: str) -> JsonObject:
        effect = {key: value for key, value in entry.items() if key not in COMMON}
        if "passes" in effect:
            effect["passes"] = self._condition(effect["passes"], place)
        return effect

    def _fields(self, entry: JsonObject, required: Set[str], known: Set[str], place: str) -> bool:
        """True if all required fields are there, known, and of their type; faults are added to `problems`."""
        before, name = len(self.problems), entry.get("id", "?")
        for key in sorted(entry.keys() - known):
            self._fault(f'{name}: unknown field "{key}".{did_you_mean(key, known)}', place)
        for key in sorted(required - entry.keys()):
            self._fault(f'{name}: the field "{key}" is missing.', place)
        for key in sorted(entry.keys() & known):
            words, fits = TYPES.get(key, ("a text", _is(str)))
            if not fits(entry[key]):
                self._fault(f"{name}: {key} must be {words}.", place)
        return len(self.problems) == before

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


def load_rulebook(project_rules: Path | None = None, folder: Path | None = None) -> Rulebook:
    """Read and check the rulebook, and a team's own rules from `project_rules` (`<project>/rules/*.toml`) on top.

    The rules that came with this program are read once.
    Raises InputError with every fault: file, line, "did you mean". No advice is given on a broken rulebook.
    """
    own = tuple(sorted(project_rules.glob("*.toml"))) if project_rules and project_rules.is_dir() else ()
    return (_read if own or folder else _read_once)(folder or rules_folder(), own)


def _read(root: Path, own: tuple[Path, ...]) -> Rulebook:
    reader = Reader()
    for name in ("sources", "questions", *FILES):
        reader.read(root / f"{name}.toml", team=False)
    for path in own:
        _read_own(reader, path)
    for name in PRICES:
        reader.price(root / f"{name}.toml")
    for name in TABLES[len(PRICES) :]:
        reader.seen(root / f"{name}.toml")
    book = reader.rulebook()
    problems = reader.problems or check(book)
    if problems:
        raise InputError(problems, "rung rules check")
    return book


_read_once = cache(_read)


def _read_own(reader: Reader, path: Path) -> None:
    """Read a team's own file: prices, lives or rules. The sizing reads other tables."""
    if path.stem in PRICES:
        reader.own_prices(path)
    elif path.stem == "lives":
        reader.lives(path)
    elif path.stem not in TABLES:
        reader.read(path, team=True)
