"""Money: from how many calls a day a tuned small model pays, against the prompted one that is used now."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple, TypedDict

from advisor.answers import Answers
from advisor.decision import BreakEven
from advisor.rulebook import Rulebook
from workspace.errors import did_you_mean


class PriceRow(TypedDict, total=False):
    """A row of rules/prices.toml or upkeep.toml, with the fields of its kind (`dated_tables.FIELDS`)."""

    model: str
    input: float
    output: float
    cached_input: float
    batch_discount: float
    gpu: str
    provider: str
    per_hour: float
    per_month: float
    date: date
    source: list[str]


class Prices(NamedTuple):
    """Rows of prices by kind, a project's own first, and after how many days one expires."""

    rows: dict[str, list[PriceRow]]
    days: int


DAYS = 365.25 / 12
"""Days a month."""
GB_PER_BILLION = 2.4
"""Memory to serve a 16-bit model, in GB for each billion parameters: 2 for the weights and a fifth for the cache."""
CACHED_FROM = 1024
"""Fewest tokens of a common beginning that a provider's prompt cache keeps: OpenAI's and Claude Sonnet's."""


class CachedTokens(NamedTuple):
    """Mean tokens of a prompt that are in the provider's cache: as it counted them, or those all prompts begin with."""

    tokens: float
    measured: bool = False


def break_even(
    book: Rulebook, answers: Answers, size_b: float | None, as_of: date, cached: CachedTokens | None = None
) -> BreakEven:
    """Return calls a day from which one rented GPU with a tuned model of `size_b` billion parameters, upkeep included,
    costs less than the prompted model in use. Assumes that one GPU serves them all.

    Tokens that are `cached` count at their price, and batches where minutes are fine; `assumed` lists both. A figure
    that is not known is null, and `unknown` says which answer or price is missing; nothing is invented.
    """
    prices = _prices(book)
    unknown: list[str] = []
    api = _incumbent(prices, answers.incumbent_model, unknown)
    card = _card(prices, size_b, unknown)
    upkeep = next(iter(prices.rows["upkeep"]), None)
    unknown += [f"the answer {key}" for key in ("tokens_in", "tokens_out") if getattr(answers, key) is None]
    unknown += [] if upkeep else ["the upkeep a month"]
    kept = cached.tokens if cached and (cached.measured or cached.tokens >= CACHED_FROM) else 0.0
    call = _call(api, answers, kept)
    day = card["per_hour"] * 24 if card else None
    used = [row for row in (api, card, upkeep) if row]
    daily = day + upkeep["per_month"] / DAYS if day is not None and upkeep else None
    calls, most = _calls(daily, call), None
    if api and "cached_input" in api and cached is None and (answers.tokens_in or 0) >= CACHED_FROM:
        most = _calls(daily, _call(api, answers, math.inf))
    return BreakEven(
        incumbent=answers.incumbent_model,
        prompted_usd_per_call=call,
        tuned_usd_per_day=day,
        calls_per_day=calls,
        calls_per_day_cached=most,
        saving_usd_per_month=_saving(answers, call, day, upkeep),
        upkeep_usd_per_month=upkeep["per_month"] if upkeep else None,
        card=f"{card['gpu']}, {card['provider']}" if card else None,
        prices_dated=min((row["date"] for row in used if row.get("date")), default=None),
        expired=any("date" in row and (as_of - row["date"]).days > prices.days for row in used),
        unknown=tuple(unknown),
        assumed=(*_cache_words(api, answers, cached, most), *_batch_words(api, answers)) if api and calls else (),
        source=tuple(dict.fromkeys(name for row in used for name in row.get("source", ()))),
    )


def _prices(book: Rulebook) -> Prices:
    """Return the prices, parsed once: a team's were checked when they were read."""
    if "prices" not in book.engines:
        tables = list(map(tomllib.loads, book.prices))
        rows = {kind: [row for table in tables for row in table.get(kind, ())] for kind in ("api", "rental", "upkeep")}
        days = next((table["expires_after_days"] for table in tables if "expires_after_days" in table), 180)
        book.engines["prices"] = Prices(rows, days)
    found: Prices = book.engines["prices"]
    return found


def _incumbent(prices: Prices, name: str | None, unknown: list[str]) -> PriceRow | None:
    if name is None:
        unknown.append("the answer incumbent_model")
        return None
    rows = {row["model"].lower(): row for row in reversed(prices.rows["api"])}
    row = rows.get(name.lower()) or rows.get(re.sub(r"-\d{8}$", "", name.lower()))  # a dated id: NAME-20251001
    if row is None:
        unknown.append(f'the price of "{name}".{did_you_mean(name, rows)}')
    return row


def _card(prices: Prices, size_b: float | None, unknown: list[str]) -> PriceRow | None:
    """Return the cheapest GPU that serves the tuned model."""
    wanted = (size_b or 8.0) * GB_PER_BILLION
    able = [row for row in prices.rows["rental"] if _gb(row["gpu"]) >= wanted]
    if not able:
        unknown.append(f"the price of a GPU with {wanted:.0f} GB")
        return None
    return min(able, key=lambda row: (row["per_hour"], row["provider"]))


def _gb(card: str) -> float:
    found = re.search(r"(\d+)\s*GB", card)
    return float(found[1]) if found else 0.0


def _call(api: PriceRow | None, answers: Answers, kept: float) -> float | None:
    """Return dollars a call of the prompted model, of whose prompt the cache has `kept` tokens, all of them at most."""
    if api is None or answers.tokens_in is None or answers.tokens_out is None:
        return None
    kept = min(kept, answers.tokens_in)
    read = (answers.tokens_in - kept) * api["input"] + kept * api.get("cached_input", api["input"])
    share = 1 - api.get("batch_discount", 0.0) if answers.latency == "relaxed" else 1.0
    return float(round((read + answers.tokens_out * api["output"]) * share / 1e6, 9))


def _calls(daily: float | None, call: float | None) -> int | None:
    return math.ceil(daily / call) if daily is not None and call else None


def _cache_words(api: PriceRow, answers: Answers, cached: CachedTokens | None, most: int | None) -> Iterator[str]:
    if "cached_input" not in api:
        yield "nothing comes from a prompt cache: its price is not known"
    elif cached is None:
        other = f"; if the whole prompt does, {most:,} calls a day" if most else ""
        yield f"nothing comes from a prompt cache{other}"
    elif not cached.measured and cached.tokens < CACHED_FROM:
        shared = f"all prompts begin with the same {cached.tokens:,.0f} tokens, and it keeps {CACHED_FROM:,} or more"
        yield f"nothing comes from a prompt cache: {shared}"
    else:
        how = "measured" if cached.measured else "all prompts begin with them"
        yield f"{cached.tokens:,.0f} of {answers.tokens_in:,} tokens of a prompt come from its cache ({how})"


def _batch_words(api: PriceRow, answers: Answers) -> Iterator[str]:
    off = api.get("batch_discount")
    if off:
        relaxed = answers.latency == "relaxed"
        yield f"asked in batches, {off:.0%} off" if relaxed else f"asked at once; batches would be {off:.0%} off"


def _saving(answers: Answers, call: float | None, day: float | None, upkeep: PriceRow | None) -> float | None:
    if answers.calls_per_day is None or call is None or day is None or upkeep is None:
        return None
    return float(round((answers.calls_per_day * call - day) * DAYS - upkeep["per_month"], 2))
