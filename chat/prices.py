"""What a call costs, by the dated prices in `rules/prices.toml`; None where no price is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workspace.rules import rule_file, rules_folder

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
class Price:
    """USD per million tokens. `batch` is the share of the price that a batch pays, `read` the day it was looked up."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    batch: float
    read: str

    def cost(self, usage: Usage, *, batch: bool = False) -> float:
        """USD of one call."""
        tokens = usage.input * self.input + usage.output * self.output
        tokens += usage.cache_read * self.cache_read + usage.cache_write * self.cache_write
        return tokens / MILLION * (self.batch if batch else 1.0)

    def worst(self, prompt_bytes: int, max_tokens: int, *, batch: bool = False) -> float:
        """The most that a call can cost: no tokenizer makes more tokens than bytes."""
        dearest = max(self.input, self.cache_write)
        return (prompt_bytes * dearest + max_tokens * self.output) / MILLION * (self.batch if batch else 1.0)


def price_of(provider: str, model: str) -> Price | None:
    """The price whose id is the model's, or whose `prefix*` begins it, the longest first; None where none is known."""
    entries = [entry for entry in _entries() if entry.get("provider") == provider and _names(entry["model"], model)]
    if not entries:
        return None
    entry = max(entries, key=lambda entry: len(entry["model"].rstrip("*")))
    dear, share = float(entry["input"]), float(entry.get("batch", 1.0))
    read, write = float(entry.get("cache_read", dear)), float(entry.get("cache_write", dear))
    return Price(dear, float(entry["output"]), read, write, share, str(entry.get("read", "")))


def _entries() -> list[Mapping[str, Any]]:
    if not (rules_folder() / "prices.toml").is_file():
        return []
    return list(rule_file("prices.toml").get("tokens", []))


def _names(pattern: str, model: str) -> bool:
    return model.startswith(pattern[:-1]) if pattern.endswith("*") else model == pattern
