"""The store, project and settings that a review works on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from curation.store import Store, open_store
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Desk:
    """Store, project and policy in one hand. `clock` gives seconds since the epoch: leases are measured by it."""

    store: Store
    project: Project
    settings: Settings
    clock: Callable[[], float] = time.time


def open_desk(project: Project, settings: Settings) -> Desk:
    """Return a desk on the project's own store."""
    return Desk(open_store(project, settings), project, settings)
