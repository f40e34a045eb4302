"""Claims and decisions in the database, each in one transaction that nobody else can split.

The clock is read inside the transaction: a moment from before a long wait for the lock would take a lease that someone
got meanwhile for one from the future.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, insert, not_, or_, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.engine import RowMapping

from curation.guideline import current_guideline
from curation.review.gold import is_known, shown_state
from curation.review.mixing import choose_known, entry_of, left_over
from curation.review.people import Reviewer
from curation.review.refusals import running, stale
from curation.review.settling import known_now, own_entry, settle_row, to_known_item
from curation.store.ids import row_id
from curation.store.reading import leased_now
from curation.store.records import OPEN_STATES
from curation.store.tables import decisions, drafts, later, reviewers, rows
from workspace.artefact import now
from workspace.errors import Refusal

if TYPE_CHECKING:
    from curation.review.desk import Decided, Desk, Ruling

ADJUDICATORS = ("adjudicator", "lead")


def claim(desk: Desk, person: Reviewer, holding: Sequence[int], want: int | None) -> tuple[int | None, int]:
    """Lease a row to a person: (its number, 0), or (None, how many rows wait for others)."""
    with desk.store.write() as connection:
        moment = desk.clock()
        number = _held(connection, person, moment, holding, want)
        if number is None:
            number = _next(connection, desk, person, moment, holding, want)
        if number is None:
            return None, _waiting(connection)
        _lease(connection, person, number, moment, desk.settings.review.lease_seconds)
        return number, 0


def _next(
    connection: Connection, desk: Desk, person: Reviewer, moment: float, holding: Sequence[int], want: int | None
) -> int | None:
    """The row that is due: a known item among the others, the first free row, or a known item that was put off."""
    settings = desk.settings
    entry = entry_of(connection, settings, person)
    waits = entry is not None and not entry.passed
    if want is not None:
        known = left_over(connection, settings, person, moment, holding, want)
        if known is not None or waits:
            return known
        return _choose(connection, _free(connection, person, moment, holding, want), person, moment, desk)
    if waits:
        return choose_known(connection, settings, person, moment, holding)
    found = _choose(connection, _free(connection, person, moment, holding, None), person, moment, desk)
    if found is None:  # a known item comes only where another row could have come
        return left_over(connection, settings, person, moment, holding, None)
    known = choose_known(connection, settings, person, moment, holding)
    return found if known is None else known


def take_decision(
    desk: Desk, person: Reviewer, number: int, token: str, ruling: Ruling, payload: str | None
) -> tuple[str, int, Refusal | None]:
    """(state, decision, None), or the refusal after an edit was kept as a draft."""
    with desk.store.write() as connection:
        moment = desk.clock()
        row = _locked(connection, number)
        refusal = stale(connection, row, person, token, moment)
        if refusal is not None:
            if payload is not None:
                keep_draft(connection, number, person.id, payload)
            return row["state"], 0, refusal
        guideline = current_guideline(desk.store, desk.project, connection)
        version = guideline.version if guideline else None
        seconds = ruling.seconds if ruling.seconds is not None else max(0.0, moment - row["lease_at"])
        known = is_known(connection, number)
        payload = payload if known else _as_shown(row, ruling, payload)
        decision = _write(connection, row, person, ruling, payload, version, token, seconds)
        outcome = settle_row(connection, number, desk.settings.review)
        skipped = {"skipped_at": moment} if ruling.verdict == "skip" and not known else {}
        connection.execute(
            update(rows).where(rows.c.id == number).values(lease_token=None, lease_until=None, **skipped)
        )
        connection.execute(sql_delete(drafts).where(drafts.c.row_id == number, drafts.c.reviewer_id == person.id))
        changed = payload is not None and payload != (row["original"] or row["payload"])
        return shown_state(ruling.verdict, changed=changed) if known else outcome.state, decision, None


def _as_shown(row: RowMapping, ruling: Ruling, payload: str | None) -> str | None:
    """What a decision keeps: an approval of a text that was edited before keeps that text, not the draft's."""
    if ruling.verdict == "approve" and row["original"] and row["payload"] != row["original"]:
        return str(row["payload"])
    return payload


def take_many(desk: Desk, person: Reviewer, ready: Sequence[tuple[int, Ruling, str | None]]) -> list[Decided]:
    """Decisions without leases, all in one transaction."""
    from curation.review.desk import Decided

    made = []
    with desk.store.write() as connection:
        moment = desk.clock()
        guideline = current_guideline(desk.store, desk.project, connection)
        version = guideline.version if guideline else None
        for number, ruling, payload in ready:
            row = _locked(connection, number)
            others = row["lease_owner"] != person.id and running(row, moment)
            if row["change_id"] is not None or others or _mine(connection, row, person):
                continue
            payload = payload if is_known(connection, number) else _as_shown(row, ruling, payload)
            decision = _write(connection, row, person, ruling, payload, version, "", ruling.seconds)
            outcome = settle_row(connection, number, desk.settings.review)
            made.append(Decided(row_id(number), outcome.state, decision))
    return made


def take_back(desk: Desk, person: Reviewer, number: int) -> Decided:
    """A new entry that supersedes a person's standing decision on a row."""
    from curation.review.desk import Decided, Ruling

    with desk.store.write() as connection:
        row = _locked(connection, number)
        mine = _mine(connection, row, person)
        if mine is None:
            raise Refusal(f"{person.name} has no standing decision on {row_id(number)}.", "rung review status")
        known = (
            is_known(connection, number)
            and connection.execute(select(decisions.c.id).where(decisions.c.id == mine, to_known_item())).first()
        )
        decision = _write(connection, row, person, Ruling("undo"), None, None, "", None)
        outcome = settle_row(connection, number, desk.settings.review)
        return Decided(row_id(number), "pending" if known else outcome.state, decision)


def renew(desk: Desk, person: Reviewer, number: int, token: str) -> float | None:
    """Lengthen a running lease; the new end in seconds since the epoch, None where it is over."""
    with desk.store.write() as connection:
        moment = desk.clock()
        row = _locked(connection, number)
        if stale(connection, row, person, token, moment) is not None:
            return None
        until = moment + desk.settings.review.lease_seconds
        connection.execute(update(rows).where(rows.c.id == number).values(lease_until=until))
        return until


def give_up(desk: Desk, person: Reviewer, number: int) -> None:
    """End a person's own lease on a row, so that others may have it at once."""
    with desk.store.write() as connection:
        connection.execute(
            update(rows)
            .where(rows.c.id == number, rows.c.lease_owner == person.id)
            .values(lease_token=None, lease_until=None)
        )


def keep_draft(connection: Connection, number: int, reviewer: int, payload: str) -> None:
    """Keep the text of an edit that was not decided; the newest one of each reviewer and row."""
    connection.execute(sql_delete(drafts).where(drafts.c.row_id == number, drafts.c.reviewer_id == reviewer))
    values = {"row_id": number, "reviewer_id": reviewer, "payload": payload, "at": now().isoformat()}
    connection.execute(insert(drafts).values(**values))


def _held(
    connection: Connection, person: Reviewer, moment: float, holding: Sequence[int], want: int | None
) -> int | None:
    """A row that the person holds already."""
    open_ = or_(_open(), and_(known_now(rows.c.id), rows.c.change_id.is_(None), rows.c.lease_token.is_not(None)))
    asked = select(rows.c.id).where(
        rows.c.lease_owner == person.id, open_, leased_now(moment), rows.c.id.not_in(holding)
    )
    if want is not None:
        asked = asked.where(rows.c.id == want)
    return connection.execute(asked.order_by(rows.c.lease_at).limit(1)).scalar()


def _open() -> ColumnElement[bool]:
    return and_(rows.c.state.in_(OPEN_STATES), rows.c.queued != "", rows.c.change_id.is_(None))


def _free(
    connection: Connection, person: Reviewer, moment: float, holding: Sequence[int], want: int | None
) -> Select[Any]:
    """Open rows that nobody holds and on which this person has no decision that stands (but a skip)."""
    mine = exists().where(
        decisions.c.row_id == rows.c.id,
        decisions.c.reviewer_id == person.id,
        decisions.c.id > rows.c.since,
        decisions.c.verdict.not_in(("skip", "undo")),
        ~exists().where(later.c.supersedes == decisions.c.id),
    )
    running = leased_now(moment)
    asked = select(rows.c.id).where(
        _open(), or_(rows.c.lease_until.is_(None), not_(running)), ~mine, rows.c.id.not_in(holding)
    )
    if person.role not in ADJUDICATORS and _has_adjudicator(connection):
        asked = asked.where(rows.c.flagged == 0)
    return asked if want is None else asked.where(rows.c.id == want)


def _choose(connection: Connection, free: Select[Any], person: Reviewer, moment: float, desk: Desk) -> int | None:
    """The first free row; then those that the person skipped; then those that others skipped a lease ago."""
    patience = moment - desk.settings.review.lease_seconds
    by_order = (rows.c.priority, rows.c.place, rows.c.id)
    for condition, order in (
        (rows.c.state != "skipped", by_order),
        (rows.c.skipped_by == person.id, (rows.c.skipped_at, rows.c.id)),
        (or_(rows.c.skipped_at.is_(None), rows.c.skipped_at <= patience), (rows.c.skipped_at, rows.c.id)),
    ):
        asked = free.where(condition).order_by(*order).limit(1)
        found = connection.execute(asked.with_for_update(skip_locked=True, of=rows)).scalar()
        if found is not None:
            return int(found)
    return None


def _lease(connection: Connection, person: Reviewer, number: int, moment: float, seconds: int) -> None:
    """Give the row to the person; one that they hold already keeps its token and gets a new end."""
    row = connection.execute(select(rows).where(rows.c.id == number)).mappings().one()
    until = moment + seconds
    if row["lease_owner"] == person.id and running(row, moment):
        connection.execute(update(rows).where(rows.c.id == number).values(lease_until=until))
        return
    values = {"lease_owner": person.id, "lease_token": secrets.token_urlsafe(18), "lease_at": moment}
    connection.execute(update(rows).where(rows.c.id == number).values(**values, lease_until=until))


def _waiting(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(rows).where(_open())).scalar() or 0)


def _has_adjudicator(connection: Connection) -> bool:
    return connection.execute(select(reviewers.c.id).where(reviewers.c.role.in_(ADJUDICATORS))).first() is not None


def _locked(connection: Connection, number: int) -> RowMapping:
    return connection.execute(select(rows).where(rows.c.id == number).with_for_update()).mappings().one()


def _mine(connection: Connection, row: RowMapping, person: Reviewer) -> int | None:
    return own_entry(connection, row["id"], row["since"], person.id)


def _write(
    connection: Connection,
    row: RowMapping,
    person: Reviewer,
    ruling: Ruling,
    payload: str | None,
    guideline: int | None,
    token: str,
    seconds: float | None,
) -> int:
    values = {
        "row_id": row["id"],
        "reviewer_id": person.id,
        "verdict": ruling.verdict,
        "payload": payload,
        "reason": ruling.reason,
        "remark": ruling.remark,
        "guideline": guideline,
        "seconds": seconds,
        "token": token,
        "at": now().isoformat(),
        "supersedes": _mine(connection, row, person),
    }
    return int(connection.execute(insert(decisions).values(**values).returning(decisions.c.id)).scalar_one())
