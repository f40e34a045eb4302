"""Dated entries of the rules that are over their date: sources, models, prices, providers, tuning, hardware."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from workspace.json_types import JsonObject
from workspace.shipped_rules import rule_file, rules_folder

NAMES = ("id", "model", "gpu", "what", "provider", "name")
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
                    found.append(Dated(path.name, _name(name, row), read, until))
    return sorted(found, key=lambda each: (each.until, each.entry))


def _name(table: str, row: JsonObject) -> str:
    named = [str(row[key]) for key in NAMES if key in row]
    return " ".join((table, *named[:2]))
