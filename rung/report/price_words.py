"""What fine-tuning costs, in words: people's hours, training, a call, upkeep, and where it pays."""

from __future__ import annotations

from evaluation.price import Call, Price
from rung.report.figures import arm_name, duration, money
from workspace.words import counted


def rows(price: Price) -> list[tuple[str, str]]:
    """Name and text of each part."""
    return [
        ("review", _review(price)),
        ("drafts", "unknown (no dated price)" if price.drafts_usd is None else money(price.drafts_usd)),
        ("training", _training(price)),
        *((arm_name(call.arm), call_words(call)) for call in (price.prompted, price.tuned)),
        ("upkeep", _upkeep(price)),
        ("break-even", break_even(price)),
    ]


def lines(price: Price) -> list[str]:
    """For the shell: what was spent, what it costs to keep, where it pays."""
    wanted = ("review", "training", "upkeep", "break-even")
    return ["What it costs", *(f"  {name:<10}  {text}" for name, text in rows(price) if name in wanted)]


def _review(price: Price) -> str:
    people = "1 person" if price.review_people == 1 else f"{price.review_people} people"
    if price.review_hours is None:
        return f"unknown ({people} by sheet)" if price.review_people else "unknown (no store here)"
    if not price.review_people:
        return "no person sat at the queue"
    paid = f", {money(price.review_usd)}" if price.review_usd is not None else ""
    return f"{duration(3600 * price.review_hours)} of {people}{paid}"


def _training(price: Price) -> str:
    seconds = price.training_seconds
    return f"{duration(seconds)} on this machine" if seconds else "unknown (run.json has no time)"


def call_words(call: Call) -> str:
    """Tokens, time and dollars of one call."""
    paid = "" if not call.usd else f", ${call.usd:.4g}"
    each = "time unknown" if call.seconds is None else f"{duration(call.seconds)} each (p50)"
    return f"{call.tokens_in:.0f} tokens in, {call.tokens_out:.0f} out a call, {each}{paid}"


def _upkeep(price: Price) -> str:
    if price.upkeep_usd_per_month is None:
        return "unknown (no upkeep in rules/)"
    return f"${price.upkeep_usd_per_month:,.0f} a month, a published figure; yours: rules/prices.toml"


def break_even(price: Price) -> str:
    """From how many calls a day a card of one's own with the tuned model pays, or what is missing to say so."""
    if price.break_even_calls is None:
        return f"unknown (missing: {', '.join(price.unknown)})" if price.unknown else "unknown"
    dated = f", prices of {price.prices_dated}{', expired' if price.expired else ''}" if price.prices_dated else ""
    return f"{counted(price.break_even_calls, 'call')} a day against {price.incumbent} ({price.card}{dated})"
