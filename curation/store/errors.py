"""Database errors as sentences, and whether there is a store at all. Imports no database library."""

from __future__ import annotations

import tempfile

from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings

REASONS = {
    "disk is full": (
        "The disk is full: the project's, or that of {temporary}, where the database sorts. "
        "Nothing of this change was kept.",
        "Make room, then the same command again. TMPDIR names another folder to sort in.",
    ),
    "locked": ("The store is busy with another program's change. Nothing was changed.", "The same command again."),
    "readonly": ("The store cannot be written: the file or the folder is read-only.", "Check its permissions."),
    "not a database": ("The store is not a database, or it is damaged. Nothing was opened.", ""),
    "malformed": ("The store is damaged. Nothing was opened.", "Copies of before an upgrade: rung.db.before-*"),
    "unable to open": ("The store cannot be opened.", "Check that the folder exists and its permissions."),
    "disk i/o": (
        "The disk is full or reported an error. Nothing of this change was kept.",
        "Make room or check the disk, then the same command again.",
    ),
    "connection": ("The database server cannot be reached.", "Check [store] url in rung.toml."),
    "append-only": ("Decisions are an append-only log: nothing was changed.", "rung review undo ID"),
}


def store_exists(project: Project, settings: Settings) -> bool:
    """Whether this project has a store already; for PostgreSQL always true."""
    return bool(settings.store.url) or project.database_file.is_file()


BUSY = ("55P03", "40P01", "40001")
"""PostgreSQL's codes, whatever its language, for a lock that was waited for too long, a deadlock, an older state."""


def explain(error: Exception, where: str) -> RungError:
    """The sentence for an error of the database library."""
    cause = getattr(error, "orig", error)
    text = f"locked: {cause}" if getattr(cause, "sqlstate", "") in BUSY else str(cause)
    for mark, (message, hint) in REASONS.items():
        if mark in text.lower():
            said = message.format(temporary=tempfile.gettempdir())
            return (Refusal if mark == "locked" else RungError)(f"{where}: {said}", hint, where=where, found=text)
    return RungError(f"{where}: the database said: {text.strip()}", where=where)
