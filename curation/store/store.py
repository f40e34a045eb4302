"""The store as the rest of Rung sees it."""

from __future__ import annotations

import contextlib
import json
import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, case, func, select

from curation.example import Example
from curation.store import reading
from curation.store.engine import is_unwritable, lock_all, refuse_writing, transaction
from curation.store.reading import payloads_of, read_links, shown_state
from curation.store.records import (
    Added,
    Change,
    Event,
    Guideline,
    Link,
    NewRow,
    SourceFile,
    StoredRow,
    number_of,
    row_id,
)
from curation.store.tables import changes, decisions, events, reviewers, rows, sources
from curation.store.writing import add_rows, change_rows, undo_change, write_event
from workspace.errors import RungError


class Store:
    """Rows, changes and events. A method is one transaction unless a connection is given. A context manager."""

    def __init__(self, engine: Any, where: str) -> None:
        self.engine = engine
        self.where = where
        self.guidelines: dict[str, Guideline] = {}
        """Versions that were read, by SHA-256: one that is stored never changes."""
        alone = engine.dialect.name == "sqlite"
        self.turn: contextlib.AbstractContextManager[Any] = threading.Lock() if alone else contextlib.nullcontext()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    @property
    def is_read_only(self) -> bool:
        """True if nothing can be written here: no permission, or a read-only disk. Reading still works."""
        return is_unwritable(self.engine)

    def check_writable(self) -> None:
        """Raise RungError before long work if its result could not be stored."""
        if self.is_read_only:
            raise refuse_writing(self.where)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a reading transaction."""
        with transaction(self.engine, self.where, write=False) as connection:
            yield connection

    @contextlib.contextmanager
    def write(
        self, connection: Connection | None = None, *, alone: bool = False, lasting: bool = True
    ) -> Iterator[Connection]:
        """Open a writing transaction, or use the one given. With `alone` other imports and queue changes wait.

        What is not `lasting` (a lease) may be lost in a power cut, and does not wait for the disk.

        Threads of this program take turns on SQLite, whose own waiting is neither fair nor prompt.
        """
        if connection is not None:
            yield connection
            return
        with self.turn, transaction(self.engine, self.where, write=True, lasting=lasting) as opened:
            if alone:
                lock_all(opened)
            yield opened

    # Rows

    def rows(
        self,
        *,
        role: str | Sequence[str] | None = None,
        state: str | Sequence[str] | None = None,
        origin: str | Sequence[str] | None = None,
        excluded: bool | None = False,
        ids: Sequence[str] | None = None,
    ) -> list[StoredRow]:
        """Rows in order of import. `excluded`: False for those that are in, True for those taken out, None for both.

        With `ids` the other conditions are not applied. Texts are parsed when `.example` is read.
        """
        with self.read() as connection:
            if ids is not None:
                return reading.by_numbers(connection, [number_of(name) for name in ids])
            statement = reading.narrowed(role=role, state=state, origin=origin, excluded=excluded)
            return reading.fetch(connection, statement)

    def each(self, *, excluded: bool | None = False) -> Iterator[StoredRow]:
        """Yield the rows of `rows` one by one, in one transaction that lasts until the last, not held in memory."""
        with self.read() as connection:
            yield from reading.stream(connection, reading.narrowed(excluded=excluded))

    def row(self, name: str) -> StoredRow:
        """Return the row `r-000123`. Raises RungError if there is none."""
        found = self.rows(ids=[name])
        if not found:
            raise RungError(f"No row {name} in this project.", "rung review status", found=name)
        return found[0]

    def add(
        self,
        new: Iterable[NewRow | Example],
        *,
        role: str,
        origin: str = "import",
        source: int | None = None,
        twins: bool = False,
        connection: Connection | None = None,
    ) -> Added:
        """Store rows; one whose content this role holds already is `known` and keeps its id.

        With `twins` repeats within this call are stored each (a file's second copy has a line of its own).
        Candidates, generated and unanswered rows wait for review at once; the policy queues the others.
        """
        given = (each if isinstance(each, NewRow) else NewRow(each) for each in new)
        with self.write(connection, alone=True) as opened:
            return add_rows(opened, given, role, origin, source, twins=twins)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return rows by role and state, those taken out under the state `excluded`."""
        shown = case((rows.c.change_id.is_not(None), "excluded"), else_=shown_state())
        asked = select(rows.c.role, shown, func.count()).group_by(rows.c.role, shown)
        table: dict[str, dict[str, int]] = {}
        with self.read() as connection:
            for role, state, count in connection.execute(asked):
                table.setdefault(role, {})[state] = count
        return table

    def revision(self) -> tuple[int, ...]:
        """Equal to an earlier one where nothing has changed since that a check sees."""
        with self.read() as connection:
            return reading.revision(connection)

    def deciders(self) -> tuple[str, ...]:
        """Return names of all who have decided, in order of their first decision."""
        first = func.min(decisions.c.id)
        asked = select(reviewers.c.name).join(decisions, decisions.c.reviewer_id == reviewers.c.id)
        with self.read() as connection:
            return tuple(connection.execute(asked.group_by(reviewers.c.name).order_by(first)).scalars())

    # Sources and links

    def sources(self) -> list[SourceFile]:
        """Return every file that was imported, in order."""
        with self.read() as connection:
            found = connection.execute(select(sources).order_by(sources.c.id)).mappings()
            return [SourceFile(**{**each, "counts": json.loads(each["counts"])}) for each in found]

    def links(self, ids: Sequence[str] | None = None) -> list[Link]:
        """Return pairs found at import: contradictions, minimal pairs, short near ones; of all rows or of these."""
        with self.read() as connection:
            return read_links(connection, ids)

    # Changes that can be taken back

    def exclude(self, ids: Sequence[str], reason: str, finding: str, *, actor: str = "rung") -> int:
        """Take rows out, with the reason. Returns the change's id, for `undo`."""
        return self._changed("exclude", ids, {}, actor, reason, finding)

    def queue(self, ids: Sequence[str], reason: str, finding: str, *, actor: str = "rung") -> int:
        """Send rows to review (again); `reason` is shown beside them. Returns the change's id, for `undo`."""
        values = {"queued": reason[:32], "state": "pending", "priority": 1}
        return self._changed("queue", ids, values, actor, reason, finding)

    def mark(self, ids: Sequence[str], split: str) -> int:
        """Pin rows to a split at freeze (`validation`, `train`, or empty to let go). Returns the change's id."""
        return self._changed("mark", ids, {"mark": split}, "rung", "used for choosing", "")

    def _changed(
        self, kind: str, ids: Sequence[str], values: Mapping[str, Any], actor: str, reason: str, finding: str
    ) -> int:
        numbers = sorted({number_of(name) for name in ids})
        with self.write() as opened:
            return change_rows(opened, kind, numbers, values, actor=actor, reason=reason, finding=finding)

    def undo(self, change: int, *, actor: str = "rung") -> list[str]:
        """Take a change back. Returns the ids of its rows. Raises RungError if it is undone or not there."""
        with self.write() as connection:
            numbers = undo_change(connection, change)
            write_event(connection, "undo", actor, f"change-{change}", {"rows": len(numbers)})
        return [row_id(number) for number in numbers]

    def changes(self, *, kind: str | None = None, undone: bool | None = False) -> list[Change]:
        """Return changes in order; by default those that were not undone."""
        columns = (column for column in changes.c if column is not changes.c.undone_at)
        statement = select(*columns, changes.c.undone_at.is_not(None).label("undone")).order_by(changes.c.id)
        if kind is not None:
            statement = statement.where(changes.c.kind == kind)
        if undone is not None:
            statement = statement.where(changes.c.undone_at.is_not(None) if undone else changes.c.undone_at.is_(None))
        with self.read() as connection:
            found = connection.execute(statement).mappings()
            return [Change(**{**each, "rows": [row_id(int(n)) for n in json.loads(each["rows"])]}) for each in found]

    # Events

    def event(
        self,
        kind: str,
        actor: str,
        ref: str,
        detail: Mapping[str, Any] | None = None,
        *,
        connection: Connection | None = None,
    ) -> int:
        """Write one line of the log. Returns its id."""
        with self.write(connection) as opened:
            return write_event(opened, kind, actor, ref, detail or {})

    def events(self, *, kind: str | None = None, ref: str | None = None, actor: str | None = None) -> list[Event]:
        """Return the log in order, narrowed."""
        statement = select(events).order_by(events.c.id)
        for column, value in ((events.c.kind, kind), (events.c.ref, ref), (events.c.actor, actor)):
            if value is not None:
                statement = statement.where(column == value)
        with self.read() as connection:
            found = connection.execute(statement).mappings()
            return [Event(**{**each, "detail": json.loads(each["detail"])}) for each in found]


ROWS_AT_ONCE = 500
"""Rows that are held while very many pass by."""


class StoredRows:
    """Rows of the store, none of which is held, by their place in `numbers`."""

    def __init__(self, connection: Connection, numbers: array[int]) -> None:
        self.connection, self.numbers = connection, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Example]:
        for first in range(0, len(self), ROWS_AT_ONCE):
            yield from self.fetch(range(first, min(first + ROWS_AT_ONCE, len(self))))

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """Return the rows at `indices`."""
        numbers = [self.numbers[index] for index in indices]
        found = {number: payload for number, _, payload in payloads_of(self.connection, list(set(numbers)))}
        return [Example.from_json(found[number]) for number in numbers]
