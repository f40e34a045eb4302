"""The guideline of reviewers, `guideline.md`: every version is kept, so that a decision can cite its own."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from curation.store import Store
from curation.store.records import Guideline
from curation.store.tables import guidelines
from curation.store.writing import insert_unless_there
from workspace.artefact import now
from workspace.errors import RungError
from workspace.files import sha256_bytes
from workspace.folder import Project


def current_guideline(store: Store, project: Project, connection: Connection | None = None) -> Guideline | None:
    """Return the present version of `guideline.md`, storing a new one if possible; None without the file."""
    try:
        data = project.guideline_file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RungError(f"guideline.md: cannot be read ({error.strerror}).", where="guideline.md") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RungError(f"guideline.md: not UTF-8 at byte {error.start + 1}.", where="guideline.md") from error
    return _kept(store, sha256_bytes(data), text, connection)


def _kept(store: Store, digest: str, text: str, connection: Connection | None) -> Guideline:
    asked = select(guidelines).where(guidelines.c.sha256 == digest)
    if digest in store.guidelines:
        return store.guidelines[digest]
    if connection is None:
        with store.read() as reading:
            if found := reading.execute(asked).mappings().first():
                return store.guidelines.setdefault(digest, Guideline(**found))
            if store.is_read_only:
                return Guideline(_next(reading), digest, text, now().isoformat())
    with store.write(connection) as opened:
        while not (found := opened.execute(asked).mappings().first()):
            _add(store, opened, digest, text)
        return Guideline(**found)


def _add(store: Store, connection: Connection, digest: str, text: str) -> None:
    """Keep it as the next version, unless another program does so at this moment: it is waited for."""
    version = _next(connection)
    values = {"version": version, "sha256": digest, "text": text, "at": now().isoformat()}
    if insert_unless_there(connection, guidelines, values):
        store.event("guideline", "rung", f"guideline-{version}", {"sha256": digest}, connection=connection)


def _next(connection: Connection) -> int:
    """Return the number that the next new version is given."""
    return (connection.execute(select(func.max(guidelines.c.version))).scalar() or 0) + 1
