"""The store, project and settings that a review works on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from curation.example import Example
from curation.store import Store, StoredRow, open_store
from curation.store.records import number_of
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Desk:
    """Store, project and policy in one hand. `clock` gives seconds since the epoch: leases are measured by it."""

    store: Store
    project: Project
    settings: Settings
    clock: Callable[[], float] = time.time

    def shown(self, row: StoredRow) -> Example:
        """The text of a row as reviewers are given it: a gold item as it first came."""
        from curation.store.gold import is_known

        with self.store.read() as connection:
            return row.original if is_known(connection, number_of(row.id)) else row.example


def open_desk(project: Project, settings: Settings) -> Desk:
    """A desk on the project's own store."""
    return Desk(open_store(project, settings), project, settings)
