"""Cost of a call, by the dated prices in `rules/prices.toml`, the project's first; None if no price is known."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from workspace.errors import InputError, Problem
from workspace.files import read_utf8
from workspace.json_types import JsonObject
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

    def worst(self, prompt_bytes: int, max_tokens: int) -> float:
        """Return the most that a call can cost: no tokenizer makes more tokens than bytes."""
        dearest = max(self.input, self.cache_write)
        return (prompt_bytes * dearest + max_tokens * self.output) / MILLION


def price_of(
    model: str, cache_write_factor: float = 1.0, *, own: Path | None = None, shipped: bool = True
) -> TokenPrice | None:
    """Return the price in the `[[api]]` entry of this model, dated ids (`NAME-20251001`) included, or None.

    `own` is a project's `prices.toml`, which comes first; `shipped` prices are for the model's own host alone.
    `cache_write_factor` is what writing to the provider's prompt cache costs, in input prices. Raises InputError if
    the project's file is not TOML or an entry lacks a figure.
    """
    tables = [_own_table(own)] if own and own.is_file() else []
    for table in [*tables, *([rule_file("prices.toml")] if shipped else [])]:
        for entry in table.get("api", []):
            if re.fullmatch(re.escape(str(entry.get("model", ""))) + r"(-\d{8})?", model):
                return _price(entry, int(table.get("expires_after_days", 180)), cache_write_factor)
    return None


def price_line(model: str) -> str:
    """Return the line that a person adds to give an unknown model a price."""
    entry = {"model": f'"{model}"', "input": "1.0", "output": "5.0", "date": "2026-11-28", "source": '["..."]'}
    return "in rules/prices.toml:  [[api]]  " + "  ".join(f"{key} = {value}" for key, value in entry.items())


def _own_table(path: Path) -> JsonObject:
    try:
        table = tomllib.loads(read_utf8(path))
        for entry in table.get("api", []):
            _price(entry, 0, 1.0)
        return table
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            [Problem(str(path), f"is no table of prices ({error}).", expected="[[api]] model, input, output, date")]
        ) from error


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
