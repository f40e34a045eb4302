"""Taking and deciding a row in one step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from curation.review import Ruling, decide, next_item


def take(desk: Any, reviewer: str, **more: Any) -> Any:
    item = next_item(desk, reviewer, **more).item
    assert item is not None
    return item


def held_before(desk: Any, reviewer: str, row: str) -> str:
    """The token of a lease on a row that this reviewer took long ago and let run out."""
    return str(take(replace(desk, clock=lambda: desk.clock() - 1_000_000), reviewer, want=row).token)


def settle(desk: Any, reviewer: str, verdict: str, want: str | None = None, **ruling: Any) -> Any:
    item = take(desk, reviewer, want=want)
    return decide(desk, item.id, item.token, reviewer, Ruling(verdict, **ruling))
