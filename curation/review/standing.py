"""What one person did lately, what stands on a row, and how two decisions that met are sent to a third person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.guideline import current_guideline
from curation.review.gold import is_known
from curation.review.people import Reviewer
from curation.review.votes import FINAL
from curation.store.ids import number_of, row_id
from workspace.errors import Refusal

if TYPE_CHECKING:
    from sqlalchemy import Select

    from curation.review.desk import Desk, Ruling

BREAK_SECONDS = 300.0
"""A longer pause between two decisions is a break, and counts as this long at most."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A decision that stands: `answer` the row's answer after it (None where rejected); `at` ISO, in UTC."""

    row: str
    reviewer: str
    verdict: str
    at: str
    answer: str | None
    reason: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """One person's day so far: standing decisions, and the minutes over which they were made."""

    rows: int
    minutes: float


def last_of(desk: Desk, person: Reviewer) -> Standing | None:
    """The newest decision of a person that stands: what "undo" takes back."""
    from curation.store.tables import reviewers

    found = _read(desk, _asked().where(reviewers.c.id == person.id).limit(1))
    return found[0] if found else None


def recent(desk: Desk, count: int = 30) -> Sequence[Standing]:
    """The newest decisions of everyone that stand, the newest first."""
    return _read(desk, _asked().limit(count))


def day_of(desk: Desk, person: Reviewer, since: datetime) -> Day:
    """What a person decided since a moment (with a time zone), and the time they sat at it, breaks left out."""
    from datetime import UTC

    from sqlalchemy import exists, select

    from curation.store.tables import decisions, later

    asked = (
        select(decisions.c.at, decisions.c.verdict)
        .where(decisions.c.reviewer_id == person.id, decisions.c.at >= since.astimezone(UTC).isoformat())
        .where(decisions.c.verdict != "undo", ~exists().where(later.c.supersedes == decisions.c.id))
        .order_by(decisions.c.id)
    )
    with desk.store.read() as connection:
        found = connection.execute(asked).tuples().all()
    moments = [datetime.fromisoformat(at).timestamp() for at, _ in found]
    seconds = sum(min(BREAK_SECONDS, max(0.0, after - before)) for before, after in pairwise(moments))
    return Day(sum(verdict in FINAL for _, verdict in found), seconds / 60)


def decided_by_another(desk: Desk, person: Reviewer, name: str) -> Standing | None:
    """The decision of someone else that counts on a row now; None where there is none, or the row is blind."""
    from curation.review.settling import known_now
    from curation.store.tables import decisions, rows

    asked = _asked().where(rows.c.id == number_of(name), decisions.c.id == rows.c.decision_id)
    asked = asked.where(decisions.c.reviewer_id != person.id, rows.c.needed == 1, ~known_now(rows.c.id))
    found = _read(desk, asked)
    return found[0] if found else None


def contest(desk: Desk, person: Reviewer, name: str, ruling: Ruling) -> str:
    """Write a decision that came too late beside the one that stands: the row goes to a third person, with both.

    Returns the row's state. Raises Refusal where nothing of someone else's stands there (any more).
    """
    from sqlalchemy import delete, select

    from curation.review.desk import edited
    from curation.review.leases import _write
    from curation.review.settling import LATE, settle_row
    from curation.store.tables import drafts, rows

    number = number_of(name)
    row = desk.store.row(name)
    payload = edited(Example(row.original.row), ruling)
    with desk.store.write() as connection:
        guideline = current_guideline(desk.store, desk.project, connection)
        held = connection.execute(select(rows).where(rows.c.id == number).with_for_update()).mappings().one()
        if (
            is_known(connection, number)
            or held["decision_id"] is None
            or held["change_id"] is not None
            or ruling.verdict not in FINAL
        ):
            raise Refusal(f"{name}: no decision of someone else stands there now.", "rung review next", where=name)
        version = guideline.version if guideline else None
        _write(connection, held, person, ruling, payload, version, LATE, ruling.seconds)
        outcome = settle_row(connection, held, desk.settings.review, lease_token=None, lease_until=None)
        connection.execute(delete(drafts).where(drafts.c.row_id == number))
        desk.store.event("contest", person.name, name, {"verdict": ruling.verdict}, connection=connection)
    return outcome.state


def drop_draft(desk: Desk, person: Reviewer, name: str) -> None:
    """Forget a person's own draft of a row."""
    from sqlalchemy import delete

    from curation.store.tables import drafts

    with desk.store.write() as connection:
        mine = (drafts.c.row_id == number_of(name), drafts.c.reviewer_id == person.id)
        connection.execute(delete(drafts).where(*mine))


def _asked() -> Select[Any]:
    """Standing decisions of persons and programs, the newest first."""
    from sqlalchemy import exists, select

    from curation.store.tables import decisions, later, reviewers, rows

    return (
        select(decisions, reviewers.c.name, rows.c.payload.label("text"))
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .join(rows, rows.c.id == decisions.c.row_id)
        .where(decisions.c.verdict != "undo", ~exists().where(later.c.supersedes == decisions.c.id))
        .where(decisions.c.id > rows.c.since)
        .order_by(decisions.c.id.desc())
    )


def _read(desk: Desk, asked: Select[Any]) -> list[Standing]:
    with desk.store.read() as connection:
        found = connection.execute(asked).mappings().all()
    return [
        Standing(
            row=row_id(each["row_id"]),
            reviewer=each["name"],
            verdict=each["verdict"],
            at=each["at"],
            answer=Example.from_json(each["payload"] or each["text"]).answer if each["verdict"] != "reject" else None,
            reason=each["reason"],
            remark=each["remark"],
        )
        for each in found
    ]
