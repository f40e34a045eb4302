"""The log of decisions: what is in force on a row, who decided what, and drafts that were not decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import RowMapping

from curation.store.reading import chunks
from curation.store.records import DECIDED, Vote, row_id
from curation.store.tables import changes, decisions, drafts, gold, reviewers, rows, standing
from curation.store.waiting_rows import moved
from workspace.artefact import stamp
from workspace.errors import RungError

LATE = "late"
"""Before the token of a decision that was written beside one that counted already; older logs have it alone."""


def to_known_item() -> ColumnElement[bool]:
    """SQL: a decision answered a gold item of an earlier version, and says nothing of the row itself."""
    over = or_(gold.c.until.is_(None), decisions.c.id <= gold.c.until)
    return exists().where(gold.c.row_id == decisions.c.row_id, decisions.c.id > gold.c.since, over)


def standing_votes(connection: Connection, number: int, since: int = 0) -> list[Vote]:
    """Return decisions in force on a row since it was last sent to review, in order; not those on gold items."""
    return [
        _vote(each) for each in connection.execute(_votes_on_a_row(), {"number": number, "since": since}).mappings()
    ]


def all_standing_votes(connection: Connection) -> dict[int, list[Vote]]:
    """Return the standing votes of every row that has some, in order, by the row's number."""
    found: dict[int, list[Vote]] = {}
    asked = _votes().join(rows, rows.c.id == decisions.c.row_id).where(decisions.c.id > rows.c.since)
    for each in connection.execute(asked).mappings():
        found.setdefault(each["row_id"], []).append(_vote(each))
    return found


def _vote(each: RowMapping) -> Vote:
    return Vote(
        id=each["id"],
        reviewer=each["reviewer_id"],
        verdict=each["verdict"],
        payload=each["payload"],
        automatic=each["kind"] == "automatic",
        late=each["token"].partition(":")[0] == LATE,
    )


@cache
def _votes_on_a_row() -> Select[Any]:
    return _votes().where(decisions.c.row_id == bindparam("number"), decisions.c.id > bindparam("since"))


def _votes() -> Select[Any]:
    return (
        select(decisions, reviewers.c.kind)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(standing, ~to_known_item())
        .order_by(decisions.c.id)
    )


def own_entry(connection: Connection, number: int, since: int, reviewer: int) -> int | None:
    """Return the newest decision of one person in force on a row, answers to a gold item included."""
    return connection.execute(_own(), {"number": number, "since": since, "reviewer": reviewer}).scalar()


@cache
def _own() -> Select[Any]:
    return (
        select(func.max(decisions.c.id))
        .where(decisions.c.row_id == bindparam("number"), decisions.c.reviewer_id == bindparam("reviewer"))
        .where(decisions.c.id > bindparam("since"), standing)
    )


def touched_by_policy(connection: Connection) -> list[int]:
    """Return the rows whose state depends on `accept_automatic` or `second_edit`, in order."""
    return list(connection.execute(_touched().order_by(decisions.c.row_id)).scalars())


def decided_or_touched(connection: Connection) -> Sequence[RowMapping]:
    """Return the rows that the store holds to be decided, and those whose state depends on the policy."""
    asked = select(rows.c.id, rows.c.payload, rows.c.original, rows.c.needed)
    asked = asked.where(or_(rows.c.state.in_(DECIDED), rows.c.id.in_(_touched())))
    return connection.execute(asked.order_by(rows.c.id)).mappings().all()


def _touched() -> Select[Any]:
    return (
        select(decisions.c.row_id)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(or_(reviewers.c.kind == "automatic", decisions.c.verdict == "edit"))
        .distinct()
    )


def row_by_number(connection: Connection, number: int, *, lock: bool = False) -> RowMapping:
    """Return a row as it is stored; with `lock` nobody else changes it until this transaction ends.

    Raises RungError if there is none.
    """
    asked = select(rows).where(rows.c.id == number)
    found = connection.execute(asked.with_for_update() if lock else asked).mappings().first()
    if found is None:
        raise RungError(f"No row {row_id(number)} in this project.", "rung review status", found=row_id(number))
    return found


def write_state(connection: Connection, row: RowMapping, state: str, decision: int | None, **values: Any) -> None:
    """Write what the votes of a row come to."""
    moved(connection, row, state)
    connection.execute(update(rows).where(rows.c.id == row["id"]).values(state=state, decision_id=decision, **values))


def write_decision(
    connection: Connection,
    row: RowMapping,
    reviewer: int,
    values: Mapping[str, Any],
    *,
    token: str,
    seconds: float | None,
) -> int:
    """Add a decision to the log; it supersedes the one of the same person in force on the row. Returns its id."""
    entry = {
        **values,
        "row_id": row["id"],
        "reviewer_id": reviewer,
        "seconds": seconds,
        "token": token,
        "at": stamp(),
        "supersedes": own_entry(connection, row["id"], row["since"], reviewer),
    }
    return int(connection.execute(insert(decisions).values(**entry).returning(decisions.c.id)).scalar_one())


def keep_draft(connection: Connection, number: int, reviewer: int, payload: str) -> None:
    """Keep the text of an edit that was not decided; the newest one of each reviewer and row."""
    drop_drafts(connection, number, reviewer)
    values = {"row_id": number, "reviewer_id": reviewer, "payload": payload, "at": stamp()}
    connection.execute(insert(drafts).values(**values))


def draft_of(connection: Connection, number: int, reviewer: int) -> str | None:
    """Return a person's own draft of a row, as JSON; None if there is none."""
    asked = select(drafts.c.payload).where(drafts.c.row_id == number, drafts.c.reviewer_id == reviewer)
    return connection.execute(asked).scalar()


def drop_drafts(connection: Connection, number: int, reviewer: int) -> None:
    """Forget a person's own draft of a row."""
    connection.execute(delete(drafts).where(drafts.c.row_id == number, drafts.c.reviewer_id == reviewer))


def in_force(connection: Connection, *, reviewer: int | None = None, most: int | None = None) -> Sequence[RowMapping]:
    """Return decisions in force of persons and programs, the newest first, with reviewer, role and the row's text."""
    asked = _in_force() if reviewer is None else _in_force().where(reviewers.c.id == reviewer)
    return connection.execute(asked.limit(most)).mappings().all()


def counting_by_another(connection: Connection, number: int, reviewer: int) -> RowMapping | None:
    """Return the decision that counts on a row where someone else made it; None for a row under blind review."""
    asked = _in_force().where(rows.c.id == number, decisions.c.id == rows.c.decision_id)
    asked = asked.where(decisions.c.reviewer_id != reviewer, rows.c.needed == 1)
    return connection.execute(asked).mappings().first()


def _in_force() -> Select[Any]:
    return (
        select(decisions, reviewers.c.name, reviewers.c.role, rows.c.payload.label("text"))
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .join(rows, rows.c.id == decisions.c.row_id)
        .where(standing, decisions.c.id > rows.c.since)
        .order_by(decisions.c.id.desc())
    )


def read_standing(connection: Connection, *, overlap: bool = False) -> Sequence[RowMapping]:
    """Return decisions that no later entry supersedes, with reviewer and row; `overlap`: on rows for two people alone.

    Answers to gold items (`known`) are among them, for they took their time; with `overlap` they are not.
    """
    asked = (
        select(
            decisions,
            reviewers.c.name,
            reviewers.c.kind,
            reviewers.c.role,
            rows.c.needed,
            rows.c.state.label("row_state"),
            rows.c.payload.label("row_payload"),
            rows.c.original,
            rows.c.decision_id,
            rows.c.since,
            to_known_item().label("known"),
        )
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .join(rows, rows.c.id == decisions.c.row_id)
        .where(standing)
        .order_by(decisions.c.id)
    )
    if overlap:
        asked = asked.where(rows.c.needed > 1, decisions.c.id > rows.c.since, ~to_known_item())
    return connection.execute(asked).mappings().all()


def decided_since(connection: Connection, reviewer: int, since: datetime) -> Sequence[tuple[str, str]]:
    """Return (when, verdict) of a person's decisions in force since a moment, in order."""
    asked = (
        select(decisions.c.at, decisions.c.verdict)
        .where(standing, decisions.c.reviewer_id == reviewer, decisions.c.at >= since.astimezone(UTC).isoformat())
        .order_by(decisions.c.id)
    )
    return [(at, verdict) for at, verdict in connection.execute(asked).tuples()]


def decider_of(connection: Connection, decision: int) -> tuple[int, str]:
    """Return who made a decision, and their role."""
    asked = select(reviewers.c.id, reviewers.c.role).join(decisions, decisions.c.reviewer_id == reviewers.c.id)
    number, role = connection.execute(asked.where(decisions.c.id == decision)).one()
    return number, role


def is_used(connection: Connection, number: int, token: str) -> bool:
    """True if a decision on a row was written under this token, in time or late."""
    under = decisions.c.token.in_((token, f"{LATE}:{token}"))
    asked = select(decisions.c.id).where(decisions.c.row_id == number, under).limit(1)
    return connection.execute(asked).first() is not None


def newest_decision(connection: Connection, number: int) -> RowMapping | None:
    """Return the newest entry of the log on a row, with its reviewer's name."""
    asked = (
        select(decisions, reviewers.c.name)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(decisions.c.row_id == number)
        .order_by(decisions.c.id.desc())
        .limit(1)
    )
    return connection.execute(asked).mappings().first()


def newest_edit(connection: Connection, reviewer: int) -> RowMapping | None:
    """Return a person's newest edit in force, with the row's text as it came (`original`) and as it is (`text`)."""
    edits = _in_force().add_columns(rows.c.original).where(reviewers.c.id == reviewer, decisions.c.verdict == "edit")
    return connection.execute(edits.where(decisions.c.payload.is_not(None)).limit(1)).mappings().first()


def decided_after(connection: Connection, last: int) -> dict[int, int]:
    """Return the newest decision of each row that was decided after decision `last`."""
    asked = select(decisions.c.row_id, func.max(decisions.c.id)).where(decisions.c.id > last)
    return dict(connection.execute(asked.group_by(decisions.c.row_id)).tuples().all())


def newest_id(connection: Connection) -> int:
    """Return the id of the newest decision; 0 if there is none."""
    return connection.execute(select(func.max(decisions.c.id))).scalar() or 0


def sent_for(connection: Connection, number: int) -> list[str]:
    """Return what a row was sent to review for since it was last decided, in order."""
    decided = select(func.coalesce(func.max(decisions.c.at), "")).where(decisions.c.row_id == number)
    asked = select(changes.c.reason).where(changes.c.kind == "queue", changes.c.undone_at.is_(None))
    asked = asked.where(changes.c.at > decided.scalar_subquery(), changes.c.rows.contains(f'"{number}": {{'))
    return list(connection.execute(asked.order_by(changes.c.id)).scalars())


def remarks_of(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return (reason, remark) of these decisions."""
    found: dict[int, tuple[str, str]] = {}
    for part in chunks(ids):
        asked = select(decisions.c.id, decisions.c.reason, decisions.c.remark).where(decisions.c.id.in_(part))
        found.update((number, (reason, remark)) for number, reason, remark in connection.execute(asked).tuples())
    return found
