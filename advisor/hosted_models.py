"""Hosted models and tuning services: how long each lives, what each takes. Dated tables; nothing is sent."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from advisor.dated_tables import life_faults
from workspace.errors import InputError, Problem, RungError
from workspace.json_types import JsonObject
from workspace.shipped_rules import rule_file

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
            id=entry["id"],
            name=entry["name"],
            status="gone" if entry.get("until", today) < today else entry["status"],
            advice=entry["advice"],
            models=tuple(entry["models"]),
            form=entry["form"],
            price=entry["price"],
            until=entry.get("until"),
            read=entry["date"],
            old=today > entry["date"] + life,
            source=tuple(entry["source"]),
        )
        for entry in table["provider"]
    ]
    return tuple(sorted(found, key=lambda one: ("open", "closing", "gone").index(one.status)))
