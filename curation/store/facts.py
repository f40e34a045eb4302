"""Single facts that a store keeps beside its rows: the last of each replaces the one before."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from curation.store.tables import facts


def read_fact(connection: Connection, key: str) -> str:
    """The fact; empty where there is none."""
    return str(connection.execute(select(facts.c.value).where(facts.c.key == key)).scalar() or "")


def keep_fact(connection: Connection, key: str, value: str) -> None:
    """Write one fact of the store, in place of the one that was there."""
    connection.execute(delete(facts).where(facts.c.key == key))
    connection.execute(insert(facts).values(key=key, value=value))
