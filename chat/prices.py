"""What a call costs, by the dated prices in `rules/prices.toml`; None where no price is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from workspace.shipped_rules import rule_file

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the server counted them; `input` leaves out what the prompt cache read or wrote."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total_input(self) -> int:
        """All tokens of the prompt."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """USD per million tokens. `batch` is the share of it that a batch pays, `read` the day on which it was read."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    batch: float
    read: date
    expires: date

    def cost(self, usage: Usage, *, batch: bool = False) -> float:
        """USD of one call."""
        tokens = usage.input * self.input + usage.output * self.output
        tokens += usage.cache_read * self.cache_read + usage.cache_write * self.cache_write
        return tokens / MILLION * (self.batch if batch else 1.0)

    def words(self, today: date) -> str:
        """`price of 2026-04-30`, and whether it is too old to be relied on."""
        return f"price of {self.read}" + (f", expired on {self.expires}" if today > self.expires else "")

    def worst(self, prompt_bytes: int, max_tokens: int, *, batch: bool = False) -> float:
        """The most that a call can cost: no tokenizer makes more tokens than bytes."""
        dearest = max(self.input, self.cache_write)
        return (prompt_bytes * dearest + max_tokens * self.output) / MILLION * (self.batch if batch else 1.0)


def price_of(model: str, cache_write_factor: float = 1.0) -> TokenPrice | None:
    """The price in the `[[api]]` entry of this model, dated ids (`NAME-20251001`) included; None where there is none.

    `cache_write_factor` is what writing to the provider's prompt cache costs, in input prices.
    """
    table = rule_file("prices.toml")
    for entry in table.get("api", []):
        if re.fullmatch(re.escape(entry["model"]) + r"(-\d{8})?", model):
            return _price(entry, int(table.get("expires_after_days", 180)), cache_write_factor)
    return None


def _price(entry: Mapping[str, Any], days: int, factor: float) -> TokenPrice:
    dear = float(entry["input"])
    return TokenPrice(
        input=dear,
        output=float(entry["output"]),
        cache_read=float(entry.get("cached_input", dear)),
        cache_write=dear * factor,
        batch=1.0 - float(entry.get("batch_discount", 0.0)),
        read=entry["date"],
        expires=entry["date"] + timedelta(days=days),
    )
