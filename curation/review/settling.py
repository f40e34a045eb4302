"""Standing decisions of a row out of the log, and the row's state worked out from them."""

from __future__ import annotations

from sqlalchemy import Connection, exists, select, update

from curation.review.votes import Outcome, Vote, settle
from curation.store.tables import decisions, later, reviewers, rows


def standing_votes(connection: Connection, number: int, since: int = 0) -> list[Vote]:
    """Decisions on a row that no later entry supersedes, made after the row was last sent to review, in order."""
    asked = (
        select(decisions, reviewers.c.kind)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(decisions.c.row_id == number, decisions.c.id > since, decisions.c.verdict != "undo")
        .where(~exists().where(later.c.supersedes == decisions.c.id))
        .order_by(decisions.c.id)
    )
    return [
        Vote(each["id"], each["reviewer_id"], each["verdict"], each["payload"], each["kind"] == "automatic")
        for each in connection.execute(asked).mappings()
    ]


def settle_row(connection: Connection, number: int, *, accept_automatic: bool) -> Outcome:
    """Write the state that a row's standing votes come to."""
    row = connection.execute(select(rows).where(rows.c.id == number)).mappings().one()
    original = row["original"] or row["payload"]
    votes = standing_votes(connection, number, row["since"])
    outcome = settle(votes, original, row["needed"], accept_automatic=accept_automatic)
    state = outcome.state if row["queued"] or votes else row["state"]
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
        )
    )
    return outcome
