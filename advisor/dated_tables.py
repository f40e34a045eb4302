"""Dated tables of rules/: faults of a team's own, the lives of models, who tunes models, what is over its date."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.json_types import JsonObject
from workspace.shipped_rules import rule_file, rules_folder

FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(must.split()), frozenset((*may.split(), "date", "source", "note")))
    for name, must, may in (
        ("api", "model input output", "cached_input batch_discount"),
        ("rental", "gpu provider per_hour", ""),
        ("upkeep", "per_month", ""),
        ("managed", "provider what per_million_tokens", ""),
        ("unpriced", "provider reason", ""),
        ("life", "model", "ends not_before replace"),
    )
}
"""Tables with the fields that each row must and may have."""
FieldType = tuple[str, Callable[[Any], bool]]
"""A type of field: its words, and the test that a value of it passes."""
DAY: FieldType = ("a date like 2026-11-25, without a time", lambda value: type(value) is date)
TEXT: FieldType = ("a text", lambda value: isinstance(value, str))
NAMES: FieldType = ("a list of names", lambda value: isinstance(value, list) and all(isinstance(n, str) for n in value))
AMOUNT: FieldType = (
    "a number of 0 or more",
    lambda value: type(value) in (int, float) and 0 <= value < float("inf"),
)
TYPES: dict[str, FieldType] = {
    **dict.fromkeys(("model", "gpu", "provider", "what", "reason", "note", "replace"), TEXT),
    **dict.fromkeys(("date", "as_of", "ends", "not_before"), DAY),
    "source": NAMES,
    "expires_after_days": ("a whole number, 0 to 36,500", lambda value: type(value) is int and 0 <= value <= 36_500),
    "warn_days": ("a whole number, 0 to 3,650", lambda value: type(value) is int and 0 <= value <= 3_650),
}
"""Type of each field of a row or a file; a field that is not listed is an amount."""


def field_faults(
    entry: Mapping[str, Any], must: Set[str], known: Set[str], types: Mapping[str, FieldType], other: FieldType
) -> Iterator[str]:
    """Yield fields that are not `known`, that are missing, and that are not of their type (`other`: the rest's)."""
    for key in sorted(entry.keys() - known):
        yield f'unknown field "{key}".{did_you_mean(key, known)}'
    for key in sorted(must - entry.keys()):
        yield f'the field "{key}" is missing.'
    for key in sorted(entry.keys() & known):
        words, fits = types.get(key, other)
        if not fits(entry[key]):
            yield f"{key} must be {words}."


def price_faults(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield each fault of a price table, with a suggestion."""
    return _faults(table, ("api", "rental", "upkeep", "managed", "unpriced"), ("expires_after_days",))


def life_faults(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield each fault of a table of model lives, with a suggestion."""
    yield from _faults(table, ("life",), ("as_of", "warn_days"))
    rows = table.get("life", [])
    for number, row in enumerate(rows if isinstance(rows, list) else (), 1):
        if isinstance(row, dict) and not row.keys() & {"ends", "not_before"}:
            yield f"life {number}: ends or not_before is missing."


def _faults(table: Mapping[str, Any], tables: Sequence[str], fields: Sequence[str]) -> Iterator[str]:
    for name, value in table.items():
        if name in fields:
            yield from field_faults({name: value}, set(), set(fields), TYPES, AMOUNT)
        elif name not in tables:
            yield f'unknown table "{name}".{did_you_mean(name, [*tables, *fields])}'
        elif not isinstance(value, list):
            yield f"[{name}] must be written [[{name}]]."
        else:
            must, may = FIELDS[name]
            for number, row in enumerate(value, 1):
                is_row = isinstance(row, dict)
                faults = field_faults(row, must, must | may, TYPES, AMOUNT) if is_row else ("must be a table.",)
                yield from (f"{name} {number}: {text}" for text in faults)


NAMING = ("id", "model", "gpu", "what", "provider", "name")
"""The fields that name an entry, the best first."""


@dataclass(frozen=True, slots=True)
class Dated:
    """One entry of `rules/FILE`. It was read on `read` (None: not said), and holds up to and with `until`."""

    file: str
    entry: str
    read: date | None
    until: date


def over_date(as_of: date) -> list[Dated]:
    """Return the entries that ended before this day, the oldest first.

    An entry ends on its own `review_by` or `expires`, else on its file's, by date or days of life.
    """
    found = []
    for path in sorted(rules_folder().glob("*.toml")):
        table = rule_file(path.name)
        life, common = table.get("expires_after_days"), table.get("expires")
        for name, rows in table.items():
            for row in (row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)):
                read = row.get("date") or row.get("read") or table.get("as_of")
                until = row.get("review_by") or row.get("expires") or common
                if until is None and life is not None and read is not None:
                    until = read + timedelta(days=life)
                if isinstance(until, date) and until < as_of:
                    named = [str(row[key]) for key in NAMING if key in row][:2]
                    found.append(Dated(path.name, " ".join((name, *named)), read, until))
    return sorted(found, key=lambda each: (each.until, each.entry))


FILE = "lives.toml"


@dataclass(frozen=True, slots=True)
class Life:
    """The announced end of a hosted model. `ends`: after this day requests fail; `not_before`: none is announced, and
    none was to come before this day. `warn_days`: how long before the end it warns.
    """

    model: str
    ends: date | None
    not_before: date | None
    replace: str
    warn_days: int

    def has_ended(self, today: date) -> bool:
        """True if requests to the model fail."""
        return self.ends is not None and today > self.ends

    def ends_soon(self, today: date) -> bool:
        """True if the end is so close that a replacement should be measured now."""
        return self.ends is not None and today <= self.ends <= today + timedelta(self.warn_days)

    def words(self, today: date) -> str:
        """Return the life in a sentence."""
        other = f" Its provider names {self.replace}." if self.replace else ""
        if self.ends is None:
            return f"{self.model}: no end is announced; none was promised before {self.not_before}."
        if self.has_ended(today):
            return f"{self.model} ended on {self.ends}: requests to it fail.{other}"
        return f"{self.model} ends on {self.ends}, in {(self.ends - today).days} days.{other}"


def life_of(model: str, project_rules: Path | None = None) -> Life | None:
    """Return the entry of this model, dated ids (`NAME-20251001`, `NAME-2025-04-14`) included; None if there is none.

    Raises RungError if the project's own table cannot be read, InputError with all that is wrong with it.
    """
    own = project_rules / FILE if project_rules else None
    built_in = rule_file(FILE)
    for table in ([_read(own)] if own and own.is_file() else []) + [built_in]:
        for entry in table.get("life", []):
            if re.fullmatch(re.escape(str(entry["model"])) + r"(-\d{8}|-\d{4}-\d{2}-\d{2})?", model):
                dated = {key: entry.get(key) for key in ("ends", "not_before")}
                days = {**built_in, **table}["warn_days"]
                return Life(model=entry["model"], **dated, replace=entry.get("replace", ""), warn_days=days)
    return None


def _read(path: Path) -> JsonObject:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RungError(f"{path}: cannot be read ({error}).", where=str(path)) from error
    if problems := [Problem(text, where=str(path)) for text in life_faults(table)]:
        raise InputError(problems, "rung rules check")
    return table


@dataclass(frozen=True, slots=True)
class Managed:
    """One provider. `status` is open, closing or gone on `read`; `until` the last day for new jobs; `old` once expired.

    `form` is how the rows get into what it takes, `price` where its price is published (none is invented here).
    """

    id: str
    name: str
    status: str
    advice: str
    models: tuple[str, ...]
    form: str
    price: str
    until: date | None
    read: date
    old: bool
    source: tuple[str, ...]


def managed(as_of: date | None = None) -> tuple[Managed, ...]:
    """Return all providers, those that are open first; after its last day a closing one is gone."""
    today = as_of or date.today()
    table = rule_file("managed.toml")
    life = timedelta(days=table["expires_after_days"])
    found = [
        Managed(
            **{key: entry[key] for key in ("id", "name", "advice", "form", "price")},
            status="gone" if entry.get("until", today) < today else entry["status"],
            models=tuple(entry["models"]),
            until=entry.get("until"),
            read=entry["date"],
            old=today > entry["date"] + life,
            source=tuple(entry["source"]),
        )
        for entry in table["provider"]
    ]
    return tuple(sorted(found, key=lambda one: ("open", "closing", "gone").index(one.status)))
