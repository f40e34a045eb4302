"""Recent decisions of one person, the decision in force on a row, and adjudication of two that disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import RowMapping

from curation.example import Example
from curation.review.desk import Desk
from curation.review.leases import was_leased
from curation.review.people import ROLES, seconds_at_it
from curation.review.ruling import Ruling, edited, settle_row
from curation.store.decision_log import (
    LATE,
    counting_by_another,
    decided_since,
    decider_of,
    drop_drafts,
    in_force,
    is_used,
    row_by_number,
    write_decision,
)
from curation.store.records import FINAL, Reviewer, number_of, row_id
from curation.store.reviewers import current_guideline
from workspace.errors import Refusal


@dataclass(frozen=True, slots=True)
class DecisionInForce:
    """A decision in force: `answer` the row's answer after it (None if rejected); `at` ISO, in UTC."""

    row: str
    reviewer: str
    verdict: str
    at: str
    answer: str | None
    reason: str = ""
    remark: str = ""
    role: str = "reviewer"
    """The reviewer's."""


@dataclass(frozen=True, slots=True)
class Day:
    """One person's day so far: standing decisions, and the minutes over which they were made."""

    rows: int
    minutes: float


def last_of(desk: Desk, person: Reviewer) -> DecisionInForce | None:
    """Return the newest decision of a person that is in force: what "undo" takes back."""
    with desk.store.read() as connection:
        return next(map(_standing, in_force(connection, reviewer=person.id, most=1)), None)


def recent(desk: Desk, count: int = 30) -> Sequence[DecisionInForce]:
    """Return the newest decisions of everyone that are in force, the newest first."""
    with desk.store.read() as connection:
        return [_standing(each) for each in in_force(connection, most=count)]


def day_of(desk: Desk, person: Reviewer, since: datetime) -> Day:
    """Return a person's decisions since a moment (with a time zone), and the time spent on them, without breaks."""
    with desk.store.read() as connection:
        found = decided_since(connection, person.id, since)
    return Day(sum(verdict in FINAL for _, verdict in found), seconds_at_it([at for at, _ in found]) / 60)


def decided_by_another(desk: Desk, person: Reviewer, name: str, token: str) -> DecisionInForce | None:
    """Return the other person's decision on a row; None if blind, or if this person never held it by this token."""
    if not _held(desk, person, name, token):
        return None
    with desk.store.read() as connection:
        found = counting_by_another(connection, number_of(name), person.id)
    return _standing(found) if found else None


def may_contest(person: Reviewer, decider: str) -> bool:
    """True if a person's late decision may reopen one by someone of the role `decider`: not of a higher one."""
    return ROLES.index(decider) <= ROLES.index(person.role)


def contest(desk: Desk, person: Reviewer, name: str, token: str, ruling: Ruling) -> str:
    """Write a decision that came too late beside the one that counts: the row goes to a third person, with both.

    Returns the row's state. Raises Refusal if the person did not hold the row under this token, decided under it
    already, or where no decision of someone else of their role or a lower one counts.
    """
    number = number_of(name)
    refusal = Refusal(
        f"{name}: nobody else has decided this row, so there is no conflict to send on.", "rung review next", where=name
    )
    if not _held(desk, person, name, token):
        raise refusal
    payload = edited(Example(desk.store.row(name).original.row), ruling)
    with desk.store.write() as connection:
        guideline = current_guideline(desk.store, desk.project, connection)
        held = row_by_number(connection, number, lock=True)
        counts = held["decision_id"] is not None and held["change_id"] is None and ruling.verdict in FINAL
        if not counts:
            raise refusal
        other, role = decider_of(connection, held["decision_id"])
        if other == person.id or not may_contest(person, role) or is_used(connection, number, token):
            raise refusal
        version = guideline.version if guideline else None
        write_decision(connection, held, person.id, ruling.values(payload, version), token=LATE, seconds=ruling.seconds)
        outcome = settle_row(connection, held, desk.settings.review, lease_token=None, lease_until=None)
        drop_drafts(connection, number, person.id)
        desk.store.event("contest", person.name, name, {"verdict": ruling.verdict}, connection=connection)
    return outcome.state


def drop_draft(desk: Desk, person: Reviewer, name: str) -> None:
    """Forget a person's own draft of a row."""
    with desk.store.write() as connection:
        drop_drafts(connection, number_of(name), person.id)


def _held(desk: Desk, person: Reviewer, name: str, token: str) -> bool:
    """True if a person held the row under this token."""
    with desk.store.read() as connection:
        row = row_by_number(connection, number_of(name), missing=True)
        return row is not None and was_leased(connection, row, person, token)


def _standing(each: RowMapping) -> DecisionInForce:
    return DecisionInForce(
        row=row_id(each["row_id"]),
        reviewer=each["name"],
        verdict=each["verdict"],
        at=each["at"],
        answer=Example.from_json(each["payload"] or each["text"]).answer if each["verdict"] != "reject" else None,
        reason=each["reason"],
        remark=each["remark"],
        role=each["role"],
    )
