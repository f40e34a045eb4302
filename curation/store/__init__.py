"""The project's database: rows, reviews, events. SQLite in `rung.db`, or PostgreSQL by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from workspace.folder import Project
from workspace.settings import Settings

if TYPE_CHECKING:
    from curation.store.store import Store, StoredRows

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


def store_exists(project: Project, settings: Settings) -> bool:
    """True if this project has a store; for PostgreSQL always true."""
    return bool(settings.store.url) or project.database_file.is_file()


def open_store(project: Project, settings: Settings) -> Store:
    """Open (or make) the project's store and bring its schema up to date; an older SQLite file is copied first.

    Raises RungError if it cannot be opened, or was written by a newer Rung: then nothing was changed.
    """
    from curation.store.engine import open_engine
    from curation.store.store import Store

    return Store(*open_engine(project, settings))


def __getattr__(name: str) -> object:
    """SQLAlchemy, which takes a third of a second, comes with what asks for the store itself."""
    if name not in ("Store", "StoredRows"):
        raise AttributeError(name)
    from curation.store import store

    return getattr(store, name)
