"""Rows, events, changes and facts out of the database, as values."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select
from sqlalchemy.engine import RowMapping

from curation.store.records import OPEN_STATES, Link, StoredRow, number_of, row_id
from curation.store.tables import changes, decisions, events, facts, links, reviewers, rows, sources

CHUNK = 500
"""Ids in one IN list: SQLite's older builds allow 999 parameters."""


AT_ONCE = 2000
"""Rows that are held while very many pass by."""
SKEW = 30.0
"""Seconds by which the clocks of two machines on one store may differ."""


def leased_now(moment: Any) -> Any:
    """SQL: a lease is running. One that began in the future was made before the clock was set back, and is over."""
    return and_(rows.c.lease_until.is_not(None), rows.c.lease_until > moment, rows.c.lease_at <= moment + SKEW)


def shown_state() -> Any:
    """SQL: the state of a row, `leased` where somebody has it now."""
    return case((and_(rows.c.state.in_(OPEN_STATES), leased_now(time.time())), "leased"), else_=rows.c.state)


def query() -> Select[Any]:
    """Return all columns that a StoredRow needs, in order of import."""
    return (
        select(
            rows,
            shown_state().label("shown"),
            sources.c.path.label("path"),
            sources.c.sha256.label("sha256"),
            changes.c.reason.label("excluded"),
            reviewers.c.name.label("reviewer"),
            reviewers.c.kind.label("kind"),
            decisions.c.guideline.label("guideline"),
        )
        .select_from(rows)
        .outerjoin(sources, sources.c.id == rows.c.source_id)
        .outerjoin(changes, changes.c.id == rows.c.change_id)
        .outerjoin(decisions, decisions.c.id == rows.c.decision_id)
        .outerjoin(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .order_by(rows.c.id)
    )


def fetch(connection: Connection, statement: Select[Any]) -> list[StoredRow]:
    """Run `query()` with conditions."""
    return [record(found) for found in connection.execute(statement).mappings()]


def stream(connection: Connection, statement: Select[Any]) -> Iterator[StoredRow]:
    """Yield the rows of `fetch` in blocks."""
    found = connection.execute(statement, execution_options={"yield_per": AT_ONCE})
    return map(record, found.mappings())


def by_numbers(connection: Connection, numbers: Sequence[int]) -> list[StoredRow]:
    """Return the rows with these numbers, in order of number."""
    return [
        each for part in chunks(sorted(set(numbers))) for each in fetch(connection, query().where(rows.c.id.in_(part)))
    ]


def chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield parts that fit an IN list."""
    for start in range(0, len(numbers), CHUNK):
        yield numbers[start : start + CHUNK]


Names = str | Sequence[str] | None
"""One name, several, or any."""


def narrowed(
    *, role: Names = None, state: Names = None, origin: Names = None, excluded: bool | None = False
) -> Select[Any]:
    """`query()` with conditions; those of `Store.rows`."""
    statement = query()
    for column, names in ((rows.c.role, role), (shown_state(), state), (rows.c.origin, origin)):
        if names is not None:
            statement = statement.where(column.in_([names] if isinstance(names, str) else names))
    if excluded is None:
        return statement
    return statement.where(rows.c.change_id.is_not(None) if excluded else rows.c.change_id.is_(None))


def record(found: RowMapping) -> StoredRow:
    """Return a database row as a value."""
    return StoredRow(
        id=row_id(found["id"]),
        role=found["role"],
        origin=found["origin"],
        state=found["shown"],
        payload=found["payload"],
        original_payload=found["original"] or found["payload"],
        source=_place(found),
        source_sha256=found["sha256"] or "",
        line=found["line"],
        content_hash=found["content_hash"],
        meta=json.loads(found["meta"]),
        mark=found["mark"],
        queued=found["queued"],
        excluded=found["excluded"],
        evidence=json.loads(found["evidence"]),
        change=found["change_id"],
        reviewer=found["reviewer"] or "",
        automatic=found["kind"] == "automatic",
        decision=found["decision_id"],
        guideline=found["guideline"],
        in_sample=bool(found["sampled"]),
        plan=found["plan_id"],
    )


def _place(found: RowMapping) -> str:
    """`file:line`; for a generated row the strategy, the model and its seed row."""
    if found["path"]:
        return f"{found['path']}:{found['line']}" if found["line"] else str(found["path"])
    meta = json.loads(found["meta"])
    parts = [meta.get("strategy"), meta.get("model") or meta.get("provider"), meta.get("seed_row")]
    return " ".join(str(part) for part in parts if part)


def revision(connection: Connection) -> tuple[int, ...]:
    """Return numbers that change with all that a check sees (row, state, decision, change, link), not with a lease."""
    stands = (rows.c.change_id, rows.c.decision_id, func.length(rows.c.queued), func.length(rows.c.mark))
    asked = (
        select(func.count(rows.c.id), func.max(rows.c.id), *(func.sum(each) for each in stands)),
        select(func.max(decisions.c.id)),
        select(func.max(changes.c.id), func.count(changes.c.undone_at)),
        select(func.max(events.c.id)),
        select(func.count(links.c.row_id)),
    )
    return tuple(int(number or 0) for each in asked for number in connection.execute(each).one())


def data_mark(connection: Connection) -> tuple[int, ...]:
    """Return numbers that differ where files came or went, or findings were fixed, dismissed or restored since."""
    of_data = events.c.kind.in_(("import", "unimport", "dismiss", "undismiss"))
    asked = (
        select(func.max(changes.c.id), func.count(changes.c.undone_at)),
        select(func.max(events.c.id)).where(of_data),
    )
    return tuple(int(number or 0) for each in asked for number in connection.execute(each).one())


def row_with_all(connection: Connection, number: int) -> RowMapping:
    """Return one row with all that a StoredRow needs, and its lease."""
    return connection.execute(query().where(rows.c.id == number)).mappings().one()


def first_payloads(connection: Connection, most: int) -> list[str]:
    """Return the texts of the first rows that are in."""
    asked = select(rows.c.payload).where(rows.c.change_id.is_(None)).order_by(rows.c.id).limit(most)
    return list(connection.execute(asked).scalars())


def payloads_of(connection: Connection, numbers: Sequence[int]) -> Iterator[tuple[int, str, str]]:
    """Yield (number, state, payload) of these rows."""
    for part in chunks(numbers):
        asked = select(rows.c.id, rows.c.state, rows.c.payload).where(rows.c.id.in_(part))
        yield from connection.execute(asked).tuples()


def up_to(connection: Connection, last: int, roles: Sequence[str]) -> Iterator[StoredRow]:
    """Return the rows of these roles that are in, up to number `last`, some at a time."""
    return stream(connection, narrowed(role=roles).where(rows.c.id <= last))


def read_fact(connection: Connection, key: str) -> str:
    """Return the fact; empty if there is none."""
    return str(connection.execute(select(facts.c.value).where(facts.c.key == key)).scalar() or "")


LOGS = {
    events: "id at actor kind ref detail",
    decisions: "id row_id reviewer_id verdict payload reason remark guideline seconds token at supersedes",
}
"""The logs, and the columns that are hashed: files name the hash, so a column that is added later stays out of it."""


def log_so_far(connection: Connection) -> str:
    """`57+720 SHA256`: how many events and decisions the log holds, and the hash of them all."""
    if connection.dialect.name == "postgresql":  # a number is given before its line can be seen: wait for those
        connection.exec_driver_sql("LOCK TABLE events, decisions IN SHARE MODE")
    last = [int(connection.execute(select(func.max(log.c.id))).scalar() or 0) for log in LOGS]
    return f"{last[0]}+{last[1]} {_digest(connection, last)}"


def begins_as(connection: Connection, log: str) -> bool:
    """True if the log still begins with the lines for which `log_so_far` returned this text."""
    numbers, _, digest = log.partition(" ")
    return _digest(connection, [int(number) for number in numbers.split("+")]) == digest


def _digest(connection: Connection, last: Sequence[int]) -> str:
    """Return the hash of the first lines of both logs, in order."""
    found = sha256()
    for (log, names), number in zip(LOGS.items(), last, strict=True):
        hashed = select(*(log.c[name] for name in names.split()))
        for line in connection.execute(hashed.where(log.c.id <= number).order_by(log.c.id)):
            found.update(json.dumps(list(line)).encode() + b"\n")
    return found.hexdigest()


def has_lost_lines(connection: Connection) -> bool:
    """True if the log has fewer lines than SQLite gave numbers: it repeats and skips none."""
    if connection.dialect.name != "sqlite":
        return False
    given: dict[str, int] = dict(connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").tuples().all())
    return any(connection.execute(select(func.count(log.c.id))).scalar() != given.get(log.name, 0) for log in LOGS)


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
