"""Reviewers as the store keeps them, their personal tokens, and what each has decided."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, case, exists, func, select, update
from sqlalchemy.engine import RowMapping

from curation.store import Store
from curation.store.records import FINAL, Reviewer, Share
from curation.store.tables import decisions, later, reviewers
from curation.store.writing import insert_unless_there
from workspace.artefact import stamp


def all_reviewers(store: Store) -> list[Reviewer]:
    """Return everyone who ever reviewed or was invited, in order."""
    with store.read() as connection:
        found = connection.execute(select(reviewers).order_by(reviewers.c.id)).mappings()
        return [_reviewer(each) for each in found]


def reviewer_named(connection: Connection, name: str) -> Reviewer | None:
    """Return the reviewer of that name; None if there is none."""
    found = connection.execute(select(reviewers).where(reviewers.c.name == name)).mappings().first()
    return None if found is None else _reviewer(found)


def add_reviewer(connection: Connection, name: str, kind: str) -> None:
    """Add a reviewer unless another program does so at this moment: it is waited for."""
    values = {"name": name, "role": "reviewer", "kind": kind, "at": stamp()}
    insert_unless_there(connection, reviewers, values)


def reviewer_with_token(connection: Connection, digest: str) -> Reviewer | None:
    """Return whose personal token has this SHA-256; None if it is nobody's."""
    found = connection.execute(select(reviewers).where(reviewers.c.token_hash == digest)).mappings().first()
    return None if found is None else _reviewer(found)


def set_token(store: Store, person: Reviewer, **values: Any) -> None:
    """Write token, end and role of a reviewer."""
    with store.write() as connection:
        connection.execute(update(reviewers).where(reviewers.c.id == person.id).values(**values))


def _reviewer(found: RowMapping) -> Reviewer:
    return Reviewer(found["id"], found["name"], found["role"], found["kind"], found["note"], found["token_until"])


def read_shares(connection: Connection, since: datetime) -> list[Share]:
    """Return how many rows everyone decided, in all and since a moment with a time zone."""
    start = since.astimezone(UTC).isoformat()
    recent = func.sum(case((decisions.c.at >= start, 1), else_=0))
    asked = (
        select(reviewers.c.name, reviewers.c.kind, func.count(), recent)
        .select_from(decisions)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(decisions.c.verdict.in_(FINAL), ~exists().where(later.c.supersedes == decisions.c.id))
        .group_by(reviewers.c.name, reviewers.c.kind)
    )
    return [Share(name, kind, count, int(today or 0)) for name, kind, count, today in connection.execute(asked)]
