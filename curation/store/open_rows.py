"""Leases: which open rows a person may be given next, and who holds one. Each statement is built once and reused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Float,
    Select,
    and_,
    bindparam,
    exists,
    literal,
    not_,
    or_,
    select,
    update,
)

from curation.store.reading import leased_now, read_fact
from curation.store.records import OPEN_STATES, Reviewer
from curation.store.tables import decisions, facts, reviewers, rows, standing
from curation.store.writing import insert_unless_there

UNSKIPPED = tuple(state for state in OPEN_STATES if state != "skipped")
KEY = "lease_key"
ADJUDICATORS = ("adjudicator", "lead")
MOMENT: BindParameter[float] = bindparam("moment", type_=Float)
HOLDING: BindParameter[Sequence[int]] = bindparam("holding", expanding=True)


def held_row(
    connection: Connection, person: Reviewer, moment: float, holding: Sequence[int], want: int | None
) -> int | None:
    """Return a row that the person holds already."""
    asked = _holding() if want is None else _holding().where(rows.c.id == want)
    return connection.execute(asked.limit(1), given_to(person, moment, holding)).scalar()


@cache
def _holding() -> Select[Any]:
    return (
        select(rows.c.id)
        .where(rows.c.lease_owner == bindparam("person"), open_rows(), leased_now(MOMENT), rows.c.id.not_in(HOLDING))
        .order_by(rows.c.lease_at)
    )


def open_rows() -> ColumnElement[bool]:
    """SQL: rows that wait for a decision."""
    return and_(rows.c.state.in_(OPEN_STATES), rows.c.queued != "", rows.c.change_id.is_(None))


@cache
def free_rows(*, flagged: bool) -> Select[Any]:
    """Open rows that nobody holds and on which a person has no decision in force (but a skip).

    Without `flagged` not those that wait for an adjudicator. To be run with `given_to(...)`.
    """
    idle = or_(rows.c.lease_until.is_(None), not_(leased_now(MOMENT)))
    asked = select(rows.c.id).where(open_rows(), idle, ~_decided_by_me(), rows.c.id.not_in(HOLDING))
    return asked if flagged else asked.where(rows.c.flagged == 0)


def _decided_by_me() -> ColumnElement[bool]:
    """SQL: the person has a decision in force on the row, a skip left out."""
    return exists().where(
        decisions.c.row_id == rows.c.id,
        decisions.c.reviewer_id == bindparam("person"),
        decisions.c.id > rows.c.since,
        decisions.c.verdict != "skip",
        standing,
    )


def given_to(person: Reviewer, moment: float, holding: Sequence[int]) -> dict[str, Any]:
    """Return the parameters of `free_rows`."""
    return {"person": person.id, "moment": moment, "holding": holding}


PLACE = (rows.c.priority, rows.c.place, rows.c.id)


@cache
def _first(state: str, *, flagged: bool) -> Select[Any]:
    """Return the first free row of one state. One state at a time, for then an index holds them in their order."""
    of_it = free_rows(flagged=flagged).with_only_columns(*PLACE).where(_is(state))
    return of_it.order_by(*PLACE).limit(1).with_for_update(skip_locked=True, of=rows)


@cache
def _skipped(*, flagged: bool) -> tuple[Select[Any], ...]:
    """Return two queries: rows that the person skipped, then rows that others skipped one lease ago."""
    long_ago = or_(rows.c.skipped_at.is_(None), rows.c.skipped_at <= bindparam("patience", type_=Float))
    asked = free_rows(flagged=flagged).where(_is("skipped")).order_by(rows.c.skipped_at, rows.c.id).limit(1)
    return tuple(
        asked.where(condition).with_for_update(skip_locked=True, of=rows)
        for condition in (rows.c.skipped_by == bindparam("person"), long_ago)
    )


def _is(state: str) -> ColumnElement[bool]:
    return rows.c.state == literal(state, literal_execute=True)


@cache
def own_open_rows() -> Select[Any]:
    """Open rows on which a person's decision is written already. To be run with `given_to(...)`."""
    return select(rows.c.id).where(open_rows(), _decided_by_me(), rows.c.id.not_in(HOLDING)).order_by(*PLACE)


def first_free(
    connection: Connection,
    person: Reviewer,
    moment: float,
    holding: Sequence[int],
    *,
    want: int | None,
    patience: float,
) -> int | None:
    """Return the first free row, or row `want` if it is free; None if there is none.

    Then those that the person skipped, then those that others skipped before `patience`.
    """
    given = given_to(person, moment, holding) | {"patience": patience}
    flagged = sees_flagged(connection, person)

    def ask(asked: Select[Any]) -> Any:
        return connection.execute(asked if want is None else asked.where(rows.c.id == want), given).first()

    found = [tuple(each) for state in UNSKIPPED if (each := ask(_first(state, flagged=flagged)))]
    if found:
        return int(min(found)[-1])
    return next((int(each[0]) for asked in _skipped(flagged=flagged) if (each := ask(asked))), None)


def first_unsure(
    connection: Connection, person: Reviewer, moment: float, holding: Sequence[int], *, want: int | None
) -> int | None:
    """Return the first row on which a person is not sure, or which they flagged, where nobody has it."""
    idle = or_(rows.c.lease_until.is_(None), not_(leased_now(MOMENT)))
    asked = own_open_rows().where(rows.c.state == "unsure", idle).limit(1).with_for_update(skip_locked=True, of=rows)
    return connection.execute(
        asked if want is None else asked.where(rows.c.id == want), given_to(person, moment, holding)
    ).scalar()


def others_review(connection: Connection, person: Reviewer) -> bool:
    """True if any other person has decided a row or has a personal link."""
    worked = exists().where(decisions.c.reviewer_id == reviewers.c.id)
    others = select(reviewers.c.id).where(reviewers.c.kind == "person", reviewers.c.id != person.id)
    found = others.where(or_(worked, reviewers.c.token_hash.is_not(None))).limit(1)
    return connection.execute(found).first() is not None


def sees_flagged(connection: Connection, person: Reviewer) -> bool:
    """True if a person may decide rows on which others disagree: an adjudicator, or anyone if there is none."""
    any_of_them = select(reviewers.c.id).where(reviewers.c.role.in_(ADJUDICATORS))
    return person.role in ADJUDICATORS or connection.execute(any_of_them).first() is None


def own_waiting(connection: Connection, person: Reviewer, moment: float) -> list[int]:
    """Return the open rows on which a person's decision is written already: they need a second person."""
    return list(connection.execute(own_open_rows(), given_to(person, moment, [0])).scalars())


def open_to(
    connection: Connection, person: Reviewer, moment: float, pieces: Sequence[str], *, alone: bool = False
) -> list[tuple[int, str]]:
    """Return (number, payload) of open rows for a person with all these pieces; `alone`: settled by one decision."""
    fits = [rows.c.payload.contains(piece, autoescape=True) for piece in pieces]
    fits += [rows.c.needed == 1, rows.c.flagged == 0] if alone else []
    held = select(rows.c.id).where(open_rows(), rows.c.lease_owner == person.id, leased_now(moment))
    free = free_rows(flagged=sees_flagged(connection, person))
    asked = [each.add_columns(rows.c.payload).where(*fits) for each in (free, held)]
    given = given_to(person, moment, [])
    return [(number, payload) for each in asked for number, payload in connection.execute(each, given).tuples()]


def set_lease(connection: Connection, number: int, **values: Any) -> None:
    """Write owner, token, start or end of a row's lease."""
    connection.execute(update(rows).where(rows.c.id == number).values(**values))


def end_lease(connection: Connection, number: int, person: Reviewer) -> None:
    """End a person's own lease on a row, so that others may have it at once."""
    mine = update(rows).where(rows.c.id == number, rows.c.lease_owner == person.id)
    connection.execute(mine.values(lease_token=None, lease_until=None))


def lease_key(connection: Connection, *, new: str = "") -> str:
    """Return the project's own key for lease tokens, `new` where it has none yet; empty if there is none."""
    if new and not read_fact(connection, KEY):
        insert_unless_there(connection, facts, {"key": KEY, "value": new})
    return read_fact(connection, KEY)
