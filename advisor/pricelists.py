"""A team's own prices (`rules/prices.toml`, `rules/upkeep.toml`): what may stand in them, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from workspace.errors import did_you_mean

FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(must.split()), frozenset(may.split()))
    for name, must, may in (
        ("api", "model input output", "cached_input batch_discount"),
        ("rental", "gpu provider per_hour", ""),
        ("upkeep", "per_month", ""),
        ("managed", "provider what per_million_tokens", ""),
        ("unpriced", "provider reason", ""),
    )
}
"""Tables with the fields that each row must and may have, beside COMMON."""
COMMON = frozenset(("date", "source", "note"))
TEXTS = frozenset(("model", "gpu", "provider", "what", "reason", "note"))
LIFE = "expires_after_days"


def faults(table: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a table of prices, each fault with a suggestion."""
    for name, rows in table.items():
        if name == LIFE:
            if type(rows) is not int or rows < 0:
                yield f"{LIFE} must be a whole number of 0 or more."
        elif name not in FIELDS:
            yield f'unknown table "{name}".{did_you_mean(name, [*FIELDS, LIFE])}'
        elif not isinstance(rows, list):
            yield f"[{name}] must be written [[{name}]]."
        else:
            for number, row in enumerate(rows, 1):
                yield from (f"{name} {number}: {text}" for text in _row_faults(name, row))


def _row_faults(name: str, row: Any) -> Iterator[str]:
    if not isinstance(row, dict):
        yield "must be a table."
        return
    must, may = FIELDS[name]
    for key in sorted(row.keys() - must - may - COMMON):
        yield f'unknown field "{key}".{did_you_mean(key, must | may | COMMON)}'
    for key in sorted(must - row.keys()):
        yield f'the field "{key}" is missing.'
    for key in sorted(row.keys() & (must | may | COMMON)):
        if not _fits(key, row[key]):
            yield f"{key} must be {_expected(key)}."


def _expected(key: str) -> str:
    if key in TEXTS:
        return "a text"
    return {"date": "a date like 2026-11-25", "source": "a list of names"}.get(key, "a number of 0 or more")


def _fits(key: str, value: Any) -> bool:
    if key in TEXTS:
        return isinstance(value, str)
    if key == "date":
        return type(value) is date
    if key == "source":
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
