"""Steps that several tests of the review page take."""

from __future__ import annotations

from typing import Any

from curation.review import Ruling, decide, next_item

LEASE_OVER = 1000


def decisions(site: Any) -> list[Any]:
    from sqlalchemy import text

    with site.desk.store.read() as connection:
        return list(connection.execute(text("SELECT row_id, verdict, reviewer_id FROM decisions ORDER BY id")))


def stale(site: Any, decider: Ruling | None, **fields: str) -> tuple[Any, str]:
    """dana's form after its lease is over, and after mo decided."""
    dana = site.browser("dana")
    row = dana.row
    if fields.get("verdict") == "edit":
        dana.press("/decide", to="/open", panel="edit")
    site.now[0] += LEASE_OVER
    if decider is not None:
        item = next_item(site.desk, "mo", want=row).item
        decide(site.desk, row, item.token, "mo", decider)
    dana.press("/decide", **fields)
    return dana, row
