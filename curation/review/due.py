"""Which row is due for a person. The statements are made once: each is asked for every item that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Float,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)

from curation.review.mixing import choose_known, entry_of, left_over
from curation.review.people import Reviewer
from curation.review.settling import known_now
from curation.store.reading import leased_now
from curation.store.records import OPEN_STATES
from curation.store.tables import decisions, later, reviewers, rows

if TYPE_CHECKING:
    from curation.review.desk import Desk

UNSKIPPED = tuple(state for state in OPEN_STATES if state != "skipped")
ADJUDICATORS = ("adjudicator", "lead")
MOMENT: BindParameter[float] = bindparam("moment", type_=Float)
HOLDING: BindParameter[Sequence[int]] = bindparam("holding", expanding=True)


def due_row(
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
        return _choose(connection, desk, person, moment, holding, want)
    if waits:
        return choose_known(connection, settings, person, moment, holding)
    found = _choose(connection, desk, person, moment, holding, None)
    if found is None:  # a known item comes only where another row could have come
        return left_over(connection, settings, person, moment, holding, None)
    known = choose_known(connection, settings, person, moment, holding)
    return found if known is None else known


def held_row(
    connection: Connection, person: Reviewer, moment: float, holding: Sequence[int], want: int | None
) -> int | None:
    """A row that the person holds already."""
    asked = _holding() if want is None else _holding().where(rows.c.id == want)
    given = {"person": person.id, "moment": moment, "holding": holding}
    return connection.execute(asked.limit(1), given).scalar()


@cache
def _holding() -> Select[Any]:
    open_ = or_(open_rows(), and_(known_now(rows.c.id), rows.c.change_id.is_(None), rows.c.lease_token.is_not(None)))
    return (
        select(rows.c.id)
        .where(rows.c.lease_owner == bindparam("person"), open_, leased_now(MOMENT), rows.c.id.not_in(HOLDING))
        .order_by(rows.c.lease_at)
    )


def open_rows() -> ColumnElement[bool]:
    """SQL: rows that wait for a decision."""
    return and_(rows.c.state.in_(OPEN_STATES), rows.c.queued != "", rows.c.change_id.is_(None))


@cache
def free_rows(*, flagged: bool) -> Select[Any]:
    """Open rows that nobody holds and on which a person has no decision that stands (but a skip).

    Without `flagged` not those that wait for an adjudicator. To be run with `given_to(...)`.
    """
    mine = exists().where(
        decisions.c.row_id == rows.c.id,
        decisions.c.reviewer_id == bindparam("person"),
        decisions.c.id > rows.c.since,
        decisions.c.verdict.not_in(("skip", "undo")),
        ~exists().where(later.c.supersedes == decisions.c.id),
    )
    idle = or_(rows.c.lease_until.is_(None), not_(leased_now(MOMENT)))
    asked = select(rows.c.id).where(open_rows(), idle, ~mine, rows.c.id.not_in(HOLDING))
    return asked if flagged else asked.where(rows.c.flagged == 0)


def given_to(person: Reviewer, moment: float, holding: Sequence[int]) -> dict[str, Any]:
    """What `free_rows` is asked with."""
    return {"person": person.id, "moment": moment, "holding": holding}


def sees_flagged(connection: Connection, person: Reviewer) -> bool:
    """Whether a person may decide rows on which others disagree: adjudicators do, and anyone where there is none."""
    return person.role in ADJUDICATORS or not _has_adjudicator(connection)


PLACE = (rows.c.priority, rows.c.place, rows.c.id)


@cache
def _first(state: str, *, flagged: bool) -> Select[Any]:
    """The first free row of one state. One state at a time, for then an index holds them in their order."""
    of_it = free_rows(flagged=flagged).with_only_columns(*PLACE).where(_is(state))
    return of_it.order_by(*PLACE).limit(1).with_for_update(skip_locked=True, of=rows)


@cache
def _skipped(*, flagged: bool) -> tuple[Select[Any], ...]:
    """What the person skipped; then what others skipped a lease ago."""
    long_ago = or_(rows.c.skipped_at.is_(None), rows.c.skipped_at <= bindparam("patience", type_=Float))
    asked = free_rows(flagged=flagged).where(_is("skipped")).order_by(rows.c.skipped_at, rows.c.id).limit(1)
    return tuple(
        asked.where(condition).with_for_update(skip_locked=True, of=rows)
        for condition in (rows.c.skipped_by == bindparam("person"), long_ago)
    )


def _is(state: str) -> ColumnElement[bool]:
    return rows.c.state == literal(state, literal_execute=True)


def _choose(
    connection: Connection, desk: Desk, person: Reviewer, moment: float, holding: Sequence[int], want: int | None
) -> int | None:
    """The first free row; then those that the person skipped; then those that others skipped a lease ago."""
    given = given_to(person, moment, holding) | {"patience": moment - desk.settings.review.lease_seconds}
    flagged = sees_flagged(connection, person)

    def ask(asked: Select[Any]) -> Any:
        return connection.execute(asked if want is None else asked.where(rows.c.id == want), given).first()

    found = [tuple(each) for state in UNSKIPPED if (each := ask(_first(state, flagged=flagged)))]
    if found:
        return int(min(found)[-1])
    return next((int(each[0]) for asked in _skipped(flagged=flagged) if (each := ask(asked))), None)


def how_many_wait(connection: Connection) -> int:
    """Rows that wait for a decision, whoever may make it."""
    return int(connection.execute(select(func.count()).select_from(rows).where(open_rows())).scalar() or 0)


def _has_adjudicator(connection: Connection) -> bool:
    return connection.execute(select(reviewers.c.id).where(reviewers.c.role.in_(ADJUDICATORS))).first() is not None
