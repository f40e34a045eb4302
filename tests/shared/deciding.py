"""Taking and deciding a row in one step."""

from typing import Any

from curation.review import Ruling, decide, next_item


def take(desk: Any, reviewer: str, **more: Any) -> Any:
    item = next_item(desk, reviewer, **more).item
    assert item is not None
    return item


def settle(desk: Any, reviewer: str, verdict: str, want: str | None = None, **ruling: Any) -> Any:
    item = take(desk, reviewer, want=want)
    return decide(desk, item.id, item.token, reviewer, Ruling(verdict, **ruling))
