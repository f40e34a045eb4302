"""Reviewers as the store keeps them, their personal tokens, what each has decided, and the guideline that they go by.

Every version of `guideline.md` is kept, so that a decision can cite its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, case, func, select, update
from sqlalchemy.engine import RowMapping

from curation.store import Store
from curation.store.records import FINAL, Guideline, Reviewer, Share
from curation.store.tables import decisions, guidelines, reviewers, standing
from curation.store.writing import insert_unless_there
from workspace.artefact import now, stamp
from workspace.errors import RungError
from workspace.files import sha256_bytes
from workspace.folder import Project


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
        .where(decisions.c.verdict.in_(FINAL), standing)
        .group_by(reviewers.c.name, reviewers.c.kind)
    )
    return [Share(name, kind, count, int(today or 0)) for name, kind, count, today in connection.execute(asked)]


def current_guideline(store: Store, project: Project, connection: Connection | None = None) -> Guideline | None:
    """Return the present version of `guideline.md`, storing a new one if possible; None without the file."""
    try:
        data = project.guideline_file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RungError(f"guideline.md: cannot be read ({error.strerror}).", where="guideline.md") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RungError(f"guideline.md: not UTF-8 at byte {error.start + 1}.", where="guideline.md") from error
    return _kept(store, sha256_bytes(data), text, connection)


def _kept(store: Store, digest: str, text: str, connection: Connection | None) -> Guideline:
    asked = select(guidelines).where(guidelines.c.sha256 == digest)
    if digest in store.guidelines:
        return store.guidelines[digest]
    if connection is None:
        with store.read() as reading:
            if found := reading.execute(asked).mappings().first():
                return store.guidelines.setdefault(digest, Guideline(**found))
            if store.is_read_only:
                return Guideline(_next(reading), digest, text, now().isoformat())
    with store.write(connection) as opened:
        while not (found := opened.execute(asked).mappings().first()):
            version = _next(opened)
            values = {"version": version, "sha256": digest, "text": text, "at": now().isoformat()}
            if insert_unless_there(opened, guidelines, values):  # another program that does so now is waited for
                store.event("guideline", "rung", f"guideline-{version}", {"sha256": digest}, connection=opened)
        return Guideline(**found)


def _next(connection: Connection) -> int:
    return (connection.execute(select(func.max(guidelines.c.version))).scalar() or 0) + 1
