"""Standing decisions of a row out of the log, and the row's state worked out from them."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.engine import RowMapping

from curation.review.votes import Outcome, Vote, settle
from curation.store.tables import decisions, gold, later, reviewers, rows
from curation.store.waiting import moved
from workspace.settings import ReviewSettings

LATE = "late"
"""What stands in the log for the token of a decision that was written beside one that counted already."""


def to_known_item() -> ColumnElement[bool]:
    """SQL: a decision was the answer to a known item, and says nothing of the row itself."""
    over = or_(gold.c.until.is_(None), decisions.c.id <= gold.c.until)
    return exists().where(gold.c.row_id == decisions.c.row_id, decisions.c.id > gold.c.since, over)


def known_now(number: ColumnElement[int]) -> ColumnElement[bool]:
    """SQL: the row with this number is a known item at present."""
    return number.in_(select(gold.c.row_id).where(gold.c.until.is_(None)))


def standing_votes(connection: Connection, number: int, since: int = 0) -> list[Vote]:
    """Decisions on a row that no later entry supersedes, made after the row was last sent to review, in order.

    Answers to a known item are no votes.
    """
    found = connection.execute(_votes(), {"number": number, "since": since}).mappings()
    return [
        Vote(
            id=each["id"],
            reviewer=each["reviewer_id"],
            verdict=each["verdict"],
            payload=each["payload"],
            automatic=each["kind"] == "automatic",
            late=each["token"] == LATE,
        )
        for each in found
    ]


@cache
def _votes() -> Select[Any]:
    return (
        select(decisions, reviewers.c.kind)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(decisions.c.row_id == bindparam("number"), decisions.c.id > bindparam("since"))
        .where(decisions.c.verdict != "undo", ~to_known_item())
        .where(~exists().where(later.c.supersedes == decisions.c.id))
        .order_by(decisions.c.id)
    )


def own_entry(connection: Connection, number: int, since: int, reviewer: int) -> int | None:
    """The newest decision of one person on a row that stands, answers to a known item included."""
    return connection.execute(_own(), {"number": number, "since": since, "reviewer": reviewer}).scalar()


@cache
def _own() -> Select[Any]:
    return (
        select(func.max(decisions.c.id))
        .where(decisions.c.row_id == bindparam("number"), decisions.c.reviewer_id == bindparam("reviewer"))
        .where(decisions.c.id > bindparam("since"), decisions.c.verdict != "undo")
        .where(~exists().where(later.c.supersedes == decisions.c.id))
    )


def settle_row(connection: Connection, row: RowMapping, policy: ReviewSettings, **also: Any) -> Outcome:
    """Write the state that the standing votes of a row, as it stands, come to; and what else is to be written of it.

    A known item that is decided no longer is none.
    """
    number = row["id"]
    original = row["original"] or row["payload"]
    votes = standing_votes(connection, number, row["since"])
    outcome = settle(
        votes,
        original,
        row["needed"],
        accept_automatic=policy.accept_automatic,
        second_edit=policy.second_edit,
    )
    state = outcome.state if row["queued"] or votes else row["state"]
    moved(connection, row, state)
    connection.execute(
        update(rows)
        .where(rows.c.id == number)
        .values(
            state=state,
            payload=outcome.payload,
            original=original if outcome.payload != original or row["original"] else None,
            decision_id=outcome.decision,
            flagged=int(outcome.flagged),
            skipped_by=outcome.skipped_by,
            **also,
        )
    )
    if outcome.decision is None:
        last = select(func.coalesce(func.max(decisions.c.id), 0)).scalar_subquery()
        ended = update(gold).where(and_(gold.c.row_id == number, gold.c.until.is_(None)))
        connection.execute(ended.values(until=last))
    return outcome
