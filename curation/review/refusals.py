"""Why a decision under a token does not count, in words that tell nothing of what is hidden from this person."""

from __future__ import annotations

import secrets
import time

from sqlalchemy import Connection, select
from sqlalchemy.engine import RowMapping

from curation.review.gold import is_known
from curation.review.people import Reviewer
from curation.store.ids import row_id
from curation.store.reading import SKEW
from curation.store.tables import decisions, reviewers
from workspace.errors import Refusal


def running(row: RowMapping, moment: float) -> bool:
    """Whether the lease of a row is running; one from the future was made before the clock was set back."""
    return row["lease_until"] is not None and row["lease_until"] > moment and row["lease_at"] <= moment + SKEW


def stale(connection: Connection, row: RowMapping, person: Reviewer, token: str, moment: float) -> Refusal | None:
    """Why a decision under this token does not count; None where it does."""
    name = row_id(row["id"])
    if row["change_id"] is not None:
        return _refuse(name, "was taken out of the data meanwhile.")
    same = row["lease_token"] is not None and secrets.compare_digest(row["lease_token"], token)
    if same and row["lease_owner"] == person.id:
        if running(row, moment):
            return None
        return _refuse(name, f"was kept for you until {_clock(row['lease_until'])}; that is over.")
    return _refuse(name, _what_happened(connection, row, person, moment))


def _what_happened(connection: Connection, row: RowMapping, person: Reviewer, moment: float) -> str:
    asked = (
        select(decisions.c.verdict, decisions.c.at, reviewers.c.name, reviewers.c.id)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(decisions.c.row_id == row["id"])
        .order_by(decisions.c.id.desc())
        .limit(1)
    )
    if is_known(connection, row["id"]):
        asked = asked.where(reviewers.c.id == person.id)
    last = connection.execute(asked).first()
    if last is not None and last[3] == person.id:
        return f"you decided it already ({last[0]}, {last[1][11:16]} UTC)."
    if last is not None:
        who = "someone else" if row["needed"] > 1 else last[2]
        return f"{who} decided it at {last[1][11:16]} UTC."
    if running(row, moment) and row["lease_owner"] != person.id:
        return "it is leased to someone else now."
    return "the token is not that of a running lease."


def _refuse(name: str, why: str) -> Refusal:
    text = f"{name}: {why} Yours was not counted; the text of an edit is kept as a draft."
    return Refusal(text, "rung review next --reviewer NAME", where=name)


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))
