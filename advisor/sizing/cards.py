"""Cards, what they hold, what they cost an hour, and how fast they were seen to train. Dated data, never looked up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from workspace.errors import InputError, Problem, did_you_mean
from workspace.shipped_rules import rule_file

LARGEST_CARD = 1 << 20
"""GiB above which a GPU's size is a slip of the finger."""


@dataclass(frozen=True, slots=True)
class Card:
    """One kind of GPU. `memory_gib` is what a program can use of it."""

    name: str
    memory_gib: float


@dataclass(frozen=True, slots=True)
class Price:
    """Price of one hour of one GPU on `date`."""

    provider: str
    per_hour: float
    date: date
    expired: bool


def cards() -> tuple[Card, ...]:
    """Return all GPUs of rules/hardware.toml, the smallest first."""
    found = [Card(gpu["id"], float(gpu["memory_gib"])) for gpu in rule_file("hardware.toml")["gpu"]]
    return tuple(sorted(found, key=lambda card: (card.memory_gib, card.name)))


def find_card(text: str, where: str = "--fit") -> Card:
    """Return a GPU by name, or a plain size such as `24GB` (as GPUs are sold: 24 GB means 24 GiB).

    Raises InputError if it is neither; `where` is the option that named it.
    """
    wanted = text.strip().lower()
    for entry in rule_file("hardware.toml")["gpu"]:
        if wanted in (entry["id"].lower(), *entry["also"]):
            return Card(entry["id"], float(entry["memory_gib"]))
    size = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*(?:gi?b?)?", wanted)
    if size and 0 < float(size[1]) <= LARGEST_CARD:
        return Card(f"{float(size[1]):g} GB", float(size[1]))
    names = [card.name for card in cards()]
    hint = did_you_mean(wanted, [n.lower() for n in names])
    expected = "a size such as 24GB, or one of " + ", ".join(names)
    raise InputError([Problem(f'"{text[:60]}" is no GPU and no size.{hint}', where, expected, text[:60])])


def prices(card: str, as_of: date) -> tuple[Price, ...]:
    """Dated rental prices of one GPU, the cheapest first; an old one says that it has expired."""
    table = rule_file("prices.toml")
    life = timedelta(days=table["expires_after_days"])
    found = [
        Price(e["provider"], float(e["per_hour"]), e["date"], as_of > e["date"] + life)
        for e in table["rental"]
        if e["gpu"] == card
    ]
    return tuple(sorted(found, key=lambda price: (price.expired, price.per_hour)))


def rows_per_second(card: str, method: str, parameters: int, length: int) -> tuple[float, Mapping[str, Any]] | None:
    """Return a measured speed: same GPU and method, a model within a quarter of the size, no longer rows."""
    for entry in rule_file("hardware.toml").get("throughput", []):
        near = 0.8 <= parameters / entry["parameters"] <= 1.25
        if entry["gpu"] == card and entry["method"] == method and near and length <= entry["max_length"]:
            return entry["rows"] / (entry["hours"] * 3600), entry
    return None
