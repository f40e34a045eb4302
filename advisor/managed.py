"""Tuning as a service: what each provider takes and closes, dated, from rules/managed.toml. Advice; nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from workspace.rules import rule_file


@dataclass(frozen=True, slots=True)
class Managed:
    """One provider. `status` is open, closing or gone on `read`; `until` the last day for new jobs; `old` once expired.

    `form` is how the rows get into what it takes, `price` where the price stands (none is invented here).
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
    """All providers, those that are open first; after its last day a closing one is gone."""
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
