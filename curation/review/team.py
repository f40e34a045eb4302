"""Who decided how many rows, in all and today: one small query, for a screen that asks after every item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from curation.review.votes import FINAL

if TYPE_CHECKING:
    from curation.review.desk import Desk


@dataclass(frozen=True, slots=True)
class Share:
    """One reviewer's standing approvals, edits and rejections; `kind` is person or automatic."""

    name: str
    kind: str
    decided: int
    today: int


def team(desk: Desk, since: datetime) -> list[Share]:
    """Everyone with a decision that stands, the busiest first; `today` counts from `since` (with a time zone)."""
    from sqlalchemy import case, exists, func, select

    from curation.store.tables import decisions, later, reviewers

    start = since.astimezone(UTC).isoformat()
    recent = func.sum(case((decisions.c.at >= start, 1), else_=0))
    asked = (
        select(reviewers.c.name, reviewers.c.kind, func.count(), recent)
        .select_from(decisions)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(decisions.c.verdict.in_(FINAL), ~exists().where(later.c.supersedes == decisions.c.id))
        .group_by(reviewers.c.name, reviewers.c.kind)
    )
    with desk.store.read() as connection:
        found = [Share(name, kind, count, int(today or 0)) for name, kind, count, today in connection.execute(asked)]
    return sorted(found, key=lambda share: (-share.decided, share.name))
