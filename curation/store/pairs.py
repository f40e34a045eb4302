"""Pairs of rows that resemble each other, as import found them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from sqlalchemy import Connection, or_, select

from curation.store.ids import number_of, row_id
from curation.store.reading import AT_ONCE, chunks
from curation.store.records import Link
from curation.store.tables import links


def write_links(connection: Connection, found: Iterable[Link]) -> None:
    """Keep pairs, each once, the lower number first; some at a time."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    statement = insert(links).on_conflict_do_nothing()
    given = iter(found)
    while some := list(islice(given, AT_ONCE)):
        values = {}
        for link in some:
            first, second = sorted((number_of(link.row), number_of(link.other)))
            values[(first, second, link.kind)] = {
                "row_id": first,
                "other_id": second,
                "kind": link.kind,
                "similarity": link.similarity,
            }
        connection.execute(statement, list(values.values()))


def read_links(connection: Connection, ids: Sequence[str] | None) -> list[Link]:
    """All pairs, or those with one of these rows."""
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
