"""Dated tables that a team may write itself, prices and the lives of models: what is wrong with one, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from workspace.errors import did_you_mean

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
TEXTS = frozenset(("model", "gpu", "provider", "what", "reason", "note", "replace"))
DAYS = frozenset(("date", "as_of", "ends", "not_before"))
HIGHEST = {"expires_after_days": 36_500, "warn_days": 3_650}
"""The fields of a file that are whole numbers, each with the largest."""


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
            if not _fits(name, value):
                yield f"{name} must be {_expected(name)}."
        elif name not in tables:
            yield f'unknown table "{name}".{did_you_mean(name, [*tables, *fields])}'
        elif not isinstance(value, list):
            yield f"[{name}] must be written [[{name}]]."
        else:
            for number, row in enumerate(value, 1):
                yield from (f"{name} {number}: {text}" for text in _row_faults(name, row))


def _row_faults(name: str, row: Any) -> Iterator[str]:
    if not isinstance(row, dict):
        yield "must be a table."
        return
    must, may = FIELDS[name]
    for key in sorted(row.keys() - must - may):
        yield f'unknown field "{key}".{did_you_mean(key, must | may)}'
    for key in sorted(must - row.keys()):
        yield f'the field "{key}" is missing.'
    for key in sorted(row.keys() & (must | may)):
        if not _fits(key, row[key]):
            yield f"{key} must be {_expected(key)}."


def _expected(key: str) -> str:
    if key in HIGHEST:
        return f"a whole number, 0 to {HIGHEST[key]:,}"
    if key in DAYS:
        return "a date like 2026-11-25, without a time"
    return "a text" if key in TEXTS else "a list of names" if key == "source" else "a number of 0 or more"


def _fits(key: str, value: Any) -> bool:
    if key in HIGHEST:
        return type(value) is int and 0 <= value <= HIGHEST[key]
    if key in DAYS:
        return type(value) is date
    if key == "source":
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    if key in TEXTS:
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
