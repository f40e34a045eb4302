"""What reviewers go by: `guideline.md`, every version kept, so that a decision can cite the one it was made under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.store import Store
from workspace.artefact import now
from workspace.errors import RungError
from workspace.files import sha256_bytes
from workspace.folder import Project

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Guideline:
    """One version, numbered from 1 in the order in which the texts were first seen; `at` in UTC."""

    version: int
    sha256: str
    text: str
    at: str


def current_guideline(store: Store, project: Project, connection: Connection | None = None) -> Guideline | None:
    """The version that stands in `guideline.md` now, kept if it is new; None where there is no such file."""
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


def guideline_versions(store: Store) -> list[Guideline]:
    """All versions, the oldest first."""
    from sqlalchemy import select

    from curation.store.tables import guidelines

    with store.read() as connection:
        found = connection.execute(select(guidelines).order_by(guidelines.c.version)).mappings()
        return [Guideline(**each) for each in found]


def _kept(store: Store, digest: str, text: str, connection: Connection | None) -> Guideline:
    from sqlalchemy import func, insert, select

    from curation.store.tables import guidelines

    asked = select(guidelines).where(guidelines.c.sha256 == digest)
    if digest in store.guidelines:
        return store.guidelines[digest]
    if connection is None:
        with store.read() as reading:
            if found := reading.execute(asked).mappings().first():
                return store.guidelines.setdefault(digest, Guideline(**found))
    with store.write(connection, alone=True) as opened:
        if found := opened.execute(asked).mappings().first():
            return Guideline(**found)
        last = opened.execute(select(func.max(guidelines.c.version))).scalar() or 0
        made = Guideline(last + 1, digest, text, now().isoformat())
        opened.execute(insert(guidelines).values(version=last + 1, sha256=digest, text=text, at=made.at))
        store.event("guideline", "rung", f"guideline-{last + 1}", {"sha256": digest}, connection=opened)
        return made
