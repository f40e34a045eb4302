"""Imported files in the store: numbers, counts, the pairs of near rows that import found, and deletion."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from curation.store.reading import AT_ONCE, chunks
from curation.store.records import Link, number_of, row_id
from curation.store.tables import changes, decisions, drafts, links, plans, rows, sources
from curation.store.waiting_rows import forget
from curation.store.writing import insert_or_skip
from workspace.artefact import stamp


def find_source(connection: Connection, path: str, sha256: str, role: str) -> int | None:
    """Return the number of a source; None if this file was not imported for this role from this path."""
    where = (sources.c.sha256 == sha256, sources.c.role == role, sources.c.path == path)
    return connection.execute(select(sources.c.id).where(*where)).scalar()


def source_number(connection: Connection, path: str, sha256: str, role: str) -> int:
    """Return the number of a source, added if it is new."""
    found = find_source(connection, path, sha256, role)
    if found is not None:
        return found
    values = {"path": path, "sha256": sha256, "role": role, "at": stamp(), "counts": "{}"}
    return int(connection.execute(insert(sources).values(**values).returning(sources.c.id)).scalar_one())


def write_counts(connection: Connection, source: int, counts: Mapping[str, int]) -> None:
    """Write what was counted of a source."""
    connection.execute(update(sources).where(sources.c.id == source).values(counts=json.dumps(counts)))


def add_counts(connection: Connection, source: int, counts: Mapping[str, int]) -> None:
    """Add to what was counted of a source."""
    before = connection.execute(select(sources.c.counts).where(sources.c.id == source)).scalar_one()
    write_counts(connection, source, Counter(json.loads(before)) + Counter(counts))


def last_row(connection: Connection) -> int:
    """Return the highest number of a row; 0 if there is none."""
    return int(connection.execute(select(func.max(rows.c.id))).scalar() or 0)


def first_decided(connection: Connection, source: int | None) -> int | None:
    """Return the first row of a source that anyone decided."""
    touched = rows.c.id.in_(select(decisions.c.row_id))
    return connection.execute(select(func.min(rows.c.id)).where(rows.c.source_id == source, touched)).scalar()


def numbers_of(connection: Connection, source: int | None) -> list[int]:
    """Return the numbers of the rows of a source."""
    return list(connection.execute(select(rows.c.id).where(rows.c.source_id == source)).scalars())


def plans_of(connection: Connection, source: int | None) -> list[int]:
    """Return the sampling plans that cover rows of a source, in order."""
    found = connection.execute(select(rows.c.plan_id).where(rows.c.source_id == source).distinct()).scalars()
    return sorted(plan for plan in found if plan is not None)


def covers_others(connection: Connection, plan: int, source: int | None) -> bool:
    """True if a sampling plan covers rows of another source too."""
    others = select(rows.c.id).where(rows.c.plan_id == plan, rows.c.source_id != source).limit(1)
    return connection.execute(others).first() is not None


def delete_source(connection: Connection, source: int | None) -> int:
    """Delete a source with its rows, their drafts, links, duplicates' changes and plans. Returns how many rows."""
    mine = select(rows.c.id).where(rows.c.source_id == source)
    touched = plans_of(connection, source)
    out = connection.execute(select(rows.c.change_id).where(rows.c.source_id == source).distinct()).scalars()
    for change in filter(None, out.all()):
        its = update(changes).where(changes.c.id == change, changes.c.finding == "duplicates")
        connection.execute(its.values(undone_at=stamp()))
    connection.execute(delete(drafts).where(drafts.c.row_id.in_(mine)))
    connection.execute(delete(links).where(or_(links.c.row_id.in_(mine), links.c.other_id.in_(mine))))
    forget(connection)
    gone = connection.execute(delete(rows).where(rows.c.source_id == source)).rowcount
    for plan in reversed(touched):
        _drop_empty(connection, plan)
    connection.execute(delete(sources).where(sources.c.id == source))
    return gone


def _drop_empty(connection: Connection, plan: int | None) -> None:
    """Delete a sampling plan of which no row is left, and those before it that it replaced."""
    while (
        plan is not None
        and connection.execute(select(rows.c.id).where(rows.c.plan_id == plan).limit(1)).first() is None
    ):
        before = connection.execute(select(plans.c.replaces).where(plans.c.id == plan)).scalar()
        if connection.execute(select(plans.c.id).where(plans.c.replaces == plan)).first() is not None:
            return
        connection.execute(delete(plans).where(plans.c.id == plan))
        plan = before


def write_links(connection: Connection, found: Iterable[Link]) -> None:
    """Keep pairs, each once, the lower number first; some at a time."""
    given = iter(found)
    while some := list(islice(given, AT_ONCE)):
        values = []
        for link in some:
            first, second = sorted((number_of(link.row), number_of(link.other)))
            values.append({"row_id": first, "other_id": second, "kind": link.kind, "similarity": link.similarity})
        connection.execute(insert_or_skip(connection, links), values)


def read_links(connection: Connection, ids: Sequence[str] | None) -> list[Link]:
    """Return all pairs, or those with one of these rows."""
    statement = select(links).order_by(links.c.row_id, links.c.other_id)
    if ids is None:
        found = list(connection.execute(statement).mappings())
    else:
        found = [
            each
            for part in chunks([number_of(name) for name in ids])
            for each in connection.execute(
                statement.where(or_(links.c.row_id.in_(part), links.c.other_id.in_(part)))
            ).mappings()
        ]
    return [
        Link(row_id(each["row_id"]), row_id(each["other_id"]), each["kind"], each["similarity"])
        for each in dict.fromkeys(found)
    ]
