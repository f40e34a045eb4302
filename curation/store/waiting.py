"""How many rows stand in the queue and how many of them wait, without counting them for each item that is shown.

The fact `waiting` holds what was counted last; each row that began or ceased to wait since stands in `tally` as 1 or
-1. Entries are only ever added by decisions, so that reviewers at work at once never wait for one another here.
Whatever else changes the queue forgets the count: it is then made anew.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, literal_column, select

from curation.store.records import OPEN_STATES
from curation.store.tables import facts, rows, tally

KEY = "waiting"
MANY = 500
"""Entries of the tally that are put into the fact together."""

queued = and_(rows.c.queued != "", rows.c.change_id.is_(None))
_kept = select(facts.c.value).where(facts.c.key == KEY).scalar_subquery()
_since = select(func.coalesce(func.sum(tally.c.waiting), 0)).scalar_subquery()
_both = select(_kept, _since)
_all = select(func.count(), func.coalesce(func.sum(rows.c.state.in_(OPEN_STATES).cast(tally.c.waiting.type)), 0)).where(
    queued
)
_entries = select(func.count()).select_from(tally)


def waiting(connection: Connection) -> tuple[int, int]:
    """(rows in the queue, those of them that wait)."""
    kept, since = connection.execute(_both).one()
    if kept is None:
        return _counted(connection)
    total, open_ = json.loads(kept)
    return total, open_ + since


def is_due(connection: Connection) -> bool:
    """Whether the count was forgotten, or has many entries after it."""
    kept, entries = connection.execute(select(_kept, _entries.scalar_subquery())).one()
    return kept is None or entries > MANY


def moved(connection: Connection, row: Any, state: str) -> None:
    """A row of the queue, as it stood, has a new state."""
    if row["queued"] == "" or row["change_id"] is not None:
        return
    change = (state in OPEN_STATES) - (row["state"] in OPEN_STATES)
    if change:
        connection.execute(insert(tally).values(waiting=change))


def forget(connection: Connection) -> None:
    """The queue is changed by other means than a decision; on PostgreSQL others that change or count it wait."""
    from curation.store.engine import lock_all

    lock_all(connection)
    connection.execute(delete(facts).where(facts.c.key == KEY))


def count_again(connection: Connection) -> None:
    """Count every row, and empty the tally. In a transaction that was opened `alone`."""
    if connection.dialect.name == "postgresql":  # one statement: what is decided meanwhile is in both or in neither
        gone = delete(tally).returning(literal_column("1")).cte("gone")
        counted = connection.execute(_all.add_cte(gone)).one()
    else:
        connection.execute(delete(tally))
        counted = connection.execute(_all).one()
    _keep(connection, *counted)


def put_together(connection: Connection) -> None:
    """Put the entries of the tally into the fact. In a transaction that was opened `alone`."""
    kept = connection.execute(select(_kept)).scalar()
    if kept is None:
        count_again(connection)
        return
    total, open_ = json.loads(kept)
    gone = connection.execute(delete(tally).returning(tally.c.waiting)).scalars().all()
    _keep(connection, total, open_ + sum(gone))


def _counted(connection: Connection) -> tuple[int, int]:
    total, open_ = connection.execute(_all).one()
    return int(total), int(open_)


def _keep(connection: Connection, total: int, open_: int) -> None:
    connection.execute(delete(facts).where(facts.c.key == KEY))
    connection.execute(insert(facts).values(key=KEY, value=json.dumps([int(total), int(open_)])))
