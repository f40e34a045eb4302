"""The log of events, and the list of changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select

from curation.store.ids import row_id
from curation.store.records import Change, Event
from curation.store.tables import changes, decisions, events, reviewers
from curation.store.writing import stamp


def write_event(connection: Connection, kind: str, actor: str, ref: str, detail: Mapping[str, Any]) -> int:
    """One line of the log."""
    text = json.dumps(dict(detail), ensure_ascii=False, default=str)
    statement = insert(events).values(at=stamp(), actor=actor, kind=kind, ref=ref, detail=text)
    return int(connection.execute(statement.returning(events.c.id)).scalar_one())


def read_events(connection: Connection, kind: str | None, ref: str | None, actor: str | None) -> list[Event]:
    """Events in order, narrowed."""
    statement = select(events).order_by(events.c.id)
    for column, value in ((events.c.kind, kind), (events.c.ref, ref), (events.c.actor, actor)):
        if value is not None:
            statement = statement.where(column == value)
    found = connection.execute(statement).mappings()
    return [Event(**{**each, "detail": json.loads(each["detail"])}) for each in found]


def read_changes(connection: Connection, kind: str | None, undone: bool | None) -> list[Change]:
    """Changes in order, narrowed."""
    statement = select(changes).order_by(changes.c.id)
    if kind is not None:
        statement = statement.where(changes.c.kind == kind)
    if undone is not None:
        statement = statement.where(changes.c.undone_at.is_not(None) if undone else changes.c.undone_at.is_(None))
    return [
        Change(
            id=each["id"],
            at=each["at"],
            actor=each["actor"],
            kind=each["kind"],
            reason=each["reason"],
            finding=each["finding"],
            rows=[row_id(int(number)) for number in json.loads(each["rows"])],
            undone=each["undone_at"] is not None,
        )
        for each in connection.execute(statement).mappings()
    ]


def read_deciders(connection: Connection) -> tuple[str, ...]:
    """Names of all who have decided, in order of their first decision."""
    first = func.min(decisions.c.id)
    asked = select(reviewers.c.name, first).join(decisions, decisions.c.reviewer_id == reviewers.c.id)
    return tuple(name for name, _ in connection.execute(asked.group_by(reviewers.c.name).order_by(first)))
