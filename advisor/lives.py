"""How long hosted models live, dated, from rules/lives.toml and a project's own before it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from workspace.errors import RungError
from workspace.rules import rule_file

FILE = "lives.toml"


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a model's end. `ends`: after this day requests fail; `not_before`: none is announced, and none
    was to come before this day. `read` is the day of the table.
    """

    model: str
    ends: date | None
    not_before: date | None
    replace: str
    read: date
    source: tuple[str, ...]

    def has_ended(self, today: date) -> bool:
        """Whether requests fail."""
        return self.ends is not None and today > self.ends

    def ends_soon(self, today: date) -> bool:
        """Whether the end is so near that a replacement should be measured now."""
        return self.ends is not None and today <= self.ends <= today + timedelta(days=rule_file(FILE)["warn_days"])

    def words(self, today: date) -> str:
        """The life in a sentence."""
        other = f" Its provider names {self.replace}." if self.replace else ""
        if self.ends is None:
            return f"{self.model}: no end is announced; none was promised before {self.not_before}."
        if self.has_ended(today):
            return f"{self.model} ended on {self.ends}: requests to it fail.{other}"
        return f"{self.model} ends on {self.ends}, in {(self.ends - today).days} days.{other}"


def life_of(model: str, project_rules: Path | None = None) -> Life | None:
    """The entry of this model, dated ids (`NAME-20251001`, `NAME-2025-04-14`) included; None where there is none.

    Raises RungError where the project's own table cannot be read.
    """
    own = project_rules / FILE if project_rules else None
    for table in ([_read(own)] if own and own.is_file() else []) + [rule_file(FILE)]:
        for entry in table.get("life", []):
            if re.fullmatch(re.escape(str(entry.get("model"))) + r"(-\d{8}|-\d{4}-\d{2}-\d{2})?", model):
                return _life(entry, table, own)
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RungError(f"{path}: cannot be read ({error}).", where=str(path)) from error


def _life(entry: dict[str, Any], table: dict[str, Any], own: Path | None) -> Life:
    days = [entry.get(key) for key in ("ends", "not_before")]
    if not any(isinstance(day, date) for day in days) or not all(isinstance(day, date | None) for day in days):
        place = str(own or FILE)
        raise RungError(f"{place}: {entry.get('model')}: ends or not_before is a date like 2027-01-14.", where=place)
    return Life(
        model=str(entry["model"]),
        ends=days[0],
        not_before=days[1],
        replace=str(entry.get("replace", "")),
        read=entry.get("date") or table.get("as_of") or rule_file(FILE)["as_of"],
        source=tuple(entry.get("source", ())),
    )
