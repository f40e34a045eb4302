"""Time, tokens and money of a logged request, where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from training.watch.fields import as_number, as_time, first, number_at

STARTS = ("startTime", "start_time", "request_created_at", "created_at", "timestamp", "time", "ts", "@timestamp", "at")
ENDS = ("endTime", "end_time", "response_created_at", "completed_at")
TOKENS = {
    "input_tokens": (("prompt_tokens", "input_tokens", "promptTokens", "inputTokens"), "input"),
    "output_tokens": (("completion_tokens", "output_tokens", "completionTokens", "outputTokens"), "output"),
}
"""Names of a count, and the one that a count shares with a text: below `usage`, or as a number."""
COSTS = ("response_cost", "cost_usd", "cost", "spend", "total_cost", "totalCost", "calculatedTotalCost",
         "costDetails.total", "usage.cost", "response.usage.cost")  # fmt: skip


def counted(obj: Mapping[str, Any], reply: Any) -> dict[str, Any]:
    """`at`, `seconds`, `input_tokens`, `output_tokens`, `cost_usd`; None for what the log does not say."""
    start = next((t for key in STARTS if (t := as_time(obj.get(key)))), None)
    end = next((t for key in ENDS if (t := as_time(obj.get(key)))), None)
    cost = number_at(obj, *COSTS)
    return {
        "at": start or end or as_time(first(reply, "created", "created_at")),
        "seconds": _seconds(obj, start, end),
        **{name: _tokens(obj, reply, *keys) for name, keys in TOKENS.items()},
        "cost_usd": cost if cost is not None and cost >= 0 else None,
    }


def _tokens(obj: Mapping[str, Any], reply: Any, names: tuple[str, ...], short: str) -> int | None:
    usages = (first(reply, "usage"), obj.get("usage"), obj.get("usageDetails"), first(reply, "response.usage"))
    found = [number_at(table, *names, short) for table in usages if isinstance(table, Mapping)]
    bare = obj.get(short)
    found += [number_at(obj, *names), as_number(bare) if isinstance(bare, int) else None]
    return next((int(n) for n in found if n is not None and 0 <= n < 1e9), None)


def _seconds(obj: Mapping[str, Any], start: datetime | None, end: datetime | None) -> float | None:
    if start and end and end >= start:
        return (end - start).total_seconds()
    milli = number_at(obj, "latency_ms", "duration_ms", "response_time_ms", "delay_ms", "response.response_time")
    found = milli / 1000 if milli is not None else number_at(obj, "seconds", "latency", "duration", "response_time")
    return found if found is not None and 0 <= found < 86_400 else None
