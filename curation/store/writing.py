"""Rows, imported files, pairs, events and facts into the database, and the changes that can be undone."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from curation.store.reading import AT_ONCE, chunks
from curation.store.records import Added, Link, NewRow, number_of, row_id
from curation.store.tables import changes, decisions, drafts, events, facts, links, plans, rows, sources
from curation.store.waiting_rows import forget
from workspace.artefact import stamp
from workspace.errors import RungError

QUEUED_ROLES = {"candidates": "candidate"}
FIRST = {"test": 0, "validation": 1}


def insert_unless_there(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert one row; False if there is one with that key. Waits for whoever inserts it at this moment."""
    statement = insert_or_skip(connection, table).values(dict(values)).returning(*table.primary_key)
    return connection.execute(statement).first() is not None


def insert_or_skip(connection: Connection, table: Table) -> Any:
    """SQL: insert rows, but for those whose key is there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def add_rows(
    connection: Connection, new: Iterable[NewRow], role: str, origin: str, source: int | None, *, twins: bool
) -> Added:
    """Insert new rows in batches. Without `twins` a row that repeats an earlier one of this call is known, too."""
    last = last_row(connection)
    start = first = last
    if connection.dialect.name == "sqlite":  # a number is never given twice
        given_before = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'rows'").scalar()
        start = first = max(last, int(given_before or 0))
    ids, there = array("q"), bytearray()
    fresh: dict[str, int] = {}
    unanswered, given = 0, iter(new)
    while some := list(islice(given, AT_ONCE)):
        hashes = [each.example.content_hash for each in some]
        known = _stored(connection, role, hashes, last)
        values: list[dict[str, Any]] = []
        for each, content_hash in zip(some, hashes, strict=True):
            twin = known.get(content_hash) or (None if twins else fresh.get(content_hash))
            there.append(twin is not None)
            if twin is not None:
                ids.append(twin)
                continue
            start += 1
            if not twins:
                fresh[content_hash] = start
            ids.append(start)
            values.append(_values(start, each, content_hash, role, origin, source))
        if values:
            forget(connection)
            connection.execute(insert(rows), values)
            unanswered += sum(each["queued"] == "unanswered" for each in values)
    if start > first and connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('rows', 'id'), {start:d})")
    return Added(ids, there, unanswered)


def _values(number: int, each: NewRow, content_hash: str, role: str, origin: str, source: int | None) -> dict[str, Any]:
    queued = "generated" if origin == "generated" else QUEUED_ROLES.get(role, "")
    if not queued and each.example.messages and not each.example.is_answered:
        queued = "unanswered"
    return {
        "id": number,
        "role": role,
        "origin": origin,
        "state": "pending" if queued else "unreviewed",
        "content_hash": content_hash,
        "payload": each.example.to_json(),
        "source_id": source,
        "line": each.line,
        "meta": json.dumps(dict(each.meta), ensure_ascii=False),
        "queued": queued,
        "priority": int(each.meta.get("priority", FIRST.get(role, 2))),
    }


def _stored(connection: Connection, role: str, hashes: Sequence[str], last: int) -> dict[str, int]:
    """Return the rows up to number `last` that hold one of these contents in this role."""
    found: dict[str, int] = {}
    for part in chunks(list(set(hashes))):  # type: ignore[arg-type]
        statement = select(rows.c.content_hash, func.min(rows.c.id)).where(
            rows.c.role == role, rows.c.content_hash.in_(part), rows.c.id <= last
        )
        found.update((str(a), int(b)) for a, b in connection.execute(statement.group_by(rows.c.content_hash)))
    return found


UNDONE: Mapping[str, tuple[str, ...]] = {
    "exclude": ("change_id", "evidence"),
    "queue": ("queued", "state", "priority", "since", "decision_id", "flagged"),
    "mark": ("mark",),
}
"""Fields that each kind of change sets and its undo restores; the log keeps the old value of each row."""
Evidence = Callable[[Sequence[int]], Mapping[int, Mapping[str, Any]]]
"""The evidence for some rows, asked for as they are changed: that of very many is never held."""


def change_rows(
    connection: Connection,
    kind: str,
    numbers: Sequence[int],
    values: Mapping[str, Any],
    *,
    actor: str,
    reason: str,
    finding: str,
    evidence: Evidence | None = None,
) -> int:
    """Set `values` on rows (their numbers in order, each once) as one undoable change; rows that are out already are
    left as they are for `exclude`. The change is a line of the log.

    Returns the change's number. Raises RungError for an unknown row.
    """
    forget(connection)
    new = {"at": stamp(), "actor": actor, "kind": kind, "reason": reason, "finding": finding, "rows": "{}"}
    change = int(connection.execute(insert(changes).values(new).returning(changes.c.id)).scalar_one())
    fields = {**values, "change_id": change} if kind == "exclude" else dict(values)
    last = connection.execute(select(func.max(decisions.c.id))).scalar() or 0 if kind == "queue" else 0
    if kind == "queue":
        fields |= {"since": last, "decision_id": None, "flagged": 0, "lease_token": None, "lease_until": None}
    kept: list[str] = []
    for part in chunks(numbers):
        before = _before(connection, part, UNDONE[kind])
        if kind == "exclude":
            before = {number: old for number, old in before.items() if old["change_id"] is None}
        connection.execute(update(rows).where(rows.c.id.in_(before)).values(**fields))
        found = evidence(list(before)) if evidence is not None else {}
        texts = [
            {"number": number, "text": json.dumps(dict(facts), ensure_ascii=False)}
            for number, facts in found.items()
            if number in before
        ]
        if texts:
            statement = update(rows).where(rows.c.id == bindparam("number")).values(evidence=bindparam("text"))
            connection.execute(statement, texts)
        if before:
            kept.append(json.dumps({str(number): old for number, old in before.items()})[1:-1])
    connection.execute(update(changes).where(changes.c.id == change).values(rows=f"{{{', '.join(kept)}}}"))
    write_event(connection, kind, actor, f"change-{change}", {"reason": reason, "rows": len(numbers)})
    return change


def _before(connection: Connection, numbers: Sequence[int], names: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Return what a change can set, as it is; nobody else sets it until this transaction ends."""
    asked = select(rows.c.id, *(rows.c[name] for name in names)).where(rows.c.id.in_(numbers))
    found = {
        int(each["id"]): {name: each[name] for name in names}
        for each in connection.execute(asked.order_by(rows.c.id).with_for_update()).mappings()
    }
    missing = [row_id(number) for number in numbers if number not in found]
    if missing:
        raise RungError(f"No row {', '.join(missing[:5])} in this project.", "rung review status", found=missing[0])
    return found


def undo_change(connection: Connection, change: int) -> list[int]:
    """Undo a change where nothing was set since; return row numbers. Raises RungError if there is none to undo."""
    forget(connection)
    found = connection.execute(select(changes).where(changes.c.id == change)).mappings().first()
    if found is None or found["undone_at"]:
        raise RungError(f"Change {change} is not there, or it is undone already.", "rung data check")
    before = {int(number): old for number, old in json.loads(found["rows"]).items()}
    names = UNDONE[found["kind"]]
    statement = (
        update(rows).where(rows.c.id == bindparam("number")).values({name: bindparam(f"old_{name}") for name in names})
    )
    if found["kind"] == "exclude":
        statement = statement.where(rows.c.change_id == change)
    if found["kind"] == "queue":
        statement = statement.where(rows.c.decision_id.is_(None))
    for part in chunks(list(before)):
        given = [{"number": number, **{f"old_{name}": before[number][name] for name in names}} for number in part]
        connection.execute(statement, given)
    connection.execute(update(changes).where(changes.c.id == change).values(undone_at=stamp()))
    return list(before)


def write_event(connection: Connection, kind: str, actor: str, ref: str, detail: Mapping[str, Any]) -> int:
    """Return one line of the log."""
    text = json.dumps(dict(detail), ensure_ascii=False, default=str)
    statement = insert(events).values(at=stamp(), actor=actor, kind=kind, ref=ref, detail=text)
    return int(connection.execute(statement.returning(events.c.id)).scalar_one())


def keep_fact(connection: Connection, key: str, value: str) -> None:
    """Write one fact of the store; it replaces the one before."""
    connection.execute(delete(facts).where(facts.c.key == key))
    connection.execute(insert(facts).values(key=key, value=value))


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


def decided_rows(connection: Connection, source: int | None) -> dict[int, bool]:
    """Return whether anyone decided it for each row of a source, in order."""
    asked = select(rows.c.id, rows.c.id.in_(select(decisions.c.row_id))).where(rows.c.source_id == source)
    return dict(connection.execute(asked.order_by(rows.c.id)).tuples().all())


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
