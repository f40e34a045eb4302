"""Claims and decisions in the database, each in one transaction that nobody else can split.

The clock is read inside the transaction: a moment from before a long wait for the lock would take a lease that someone
got meanwhile for one from the future.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.engine import RowMapping

from curation.example import Example
from curation.guideline import current_guideline
from curation.review.due import due_row, held_row, how_many_wait
from curation.review.gold import is_known, shown_state
from curation.review.people import Reviewer
from curation.review.refusals import running, stale
from curation.review.settling import own_entry, settle_row, to_known_item
from curation.store.ids import row_id
from curation.store.tables import decisions, drafts, rows
from workspace.artefact import now
from workspace.errors import Refusal, RungError

if TYPE_CHECKING:
    from curation.review.desk import Decided, Desk, Ruling


def claim(desk: Desk, person: Reviewer, holding: Sequence[int], want: int | None) -> tuple[int | None, int]:
    """Lease a row to a person: (its number, 0), or (None, how many rows wait for others)."""
    with desk.store.write(lasting=False) as connection:
        moment = desk.clock()
        number = held_row(connection, person, moment, holding, want)
        if number is None:
            number = due_row(connection, desk, person, moment, holding, want)
        if number is None:
            return None, how_many_wait(connection)
        _lease(connection, person, number, moment, desk.settings.review.lease_seconds)
        return number, 0


def take_decision(
    desk: Desk, person: Reviewer, number: int, token: str, ruling: Ruling
) -> tuple[str, int, Refusal | None]:
    """(state, decision, None), or the refusal after an edit was kept as a draft.

    Raises RungError for a row that is not there, and for a ruling that makes no sense.
    """
    from curation.review.desk import edited

    with desk.store.write() as connection:
        guideline = current_guideline(desk.store, desk.project, connection)  # before any row is held
        row = _locked(connection, number)
        moment = desk.clock()
        known = is_known(connection, number)
        text = row["original"] or row["payload"] if known else row["payload"]
        payload = edited(Example.from_json(text), ruling)
        refusal = stale(connection, row, person, token, moment)
        if refusal is not None:
            if payload is not None:
                keep_draft(connection, number, person.id, payload)
            return row["state"], 0, refusal
        version = guideline.version if guideline else None
        seconds = ruling.seconds if ruling.seconds is not None else max(0.0, moment - row["lease_at"])
        payload = payload if known else _as_shown(row, ruling, payload)
        decision = _write(connection, row, person, ruling, payload, version, token, seconds)
        skipped = {"skipped_at": moment} if ruling.verdict == "skip" and not known else {}
        outcome = settle_row(connection, row, desk.settings.review, lease_token=None, lease_until=None, **skipped)
        connection.execute(sql_delete(drafts).where(drafts.c.row_id == number, drafts.c.reviewer_id == person.id))
        changed = payload is not None and payload != (row["original"] or row["payload"])
        return shown_state(ruling.verdict, changed=changed) if known else outcome.state, decision, None


def _as_shown(row: RowMapping, ruling: Ruling, payload: str | None) -> str | None:
    """What a decision keeps: an approval of a text that was edited before keeps that text, not the draft's."""
    if ruling.verdict == "approve" and row["original"] and row["payload"] != row["original"]:
        return str(row["payload"])
    return payload


def take_many(desk: Desk, person: Reviewer, ready: Sequence[tuple[int, Ruling, str | None]]) -> list[Decided]:
    """Decisions without leases, all in one transaction; two such, each with rows that the other wants, take turns."""
    from curation.review.desk import Decided

    made = []
    with desk.store.write(alone=True) as connection:
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
            outcome = settle_row(connection, row, desk.settings.review)
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
        outcome = settle_row(connection, row, desk.settings.review)
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


def _lease(connection: Connection, person: Reviewer, number: int, moment: float, seconds: int) -> None:
    """Give the row to the person; one that they hold already keeps its token and gets a new end."""
    row = connection.execute(select(rows).where(rows.c.id == number)).mappings().one()
    until = moment + seconds
    if row["lease_owner"] == person.id and running(row, moment):
        connection.execute(update(rows).where(rows.c.id == number).values(lease_until=until))
        return
    values = {"lease_owner": person.id, "lease_token": secrets.token_urlsafe(18), "lease_at": moment}
    connection.execute(update(rows).where(rows.c.id == number).values(**values, lease_until=until))


def _locked(connection: Connection, number: int) -> RowMapping:
    found = connection.execute(select(rows).where(rows.c.id == number).with_for_update()).mappings().first()
    if found is None:
        raise RungError(f"No row {row_id(number)} in this project.", "rung review status", found=row_id(number))
    return found


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
