"""The project's database: rows, reviews, events. SQLite in `rung.db`, or PostgreSQL by URL."""

from __future__ import annotations

from curation.store.records import (
    Added,
    Change,
    Event,
    Link,
    NewRow,
    Origin,
    Role,
    SourceFile,
    State,
    StoredRow,
    number_of,
    row_id,
)
from curation.store.store import Store, StoredRows, open_store, store_exists

__all__ = [
    "Added",
    "Change",
    "Event",
    "Link",
    "NewRow",
    "Origin",
    "Role",
    "SourceFile",
    "State",
    "Store",
    "StoredRow",
    "StoredRows",
    "number_of",
    "open_store",
    "row_id",
    "store_exists",
]
