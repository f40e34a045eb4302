"""Reviewers: who they are, what they may do, and the personal links that let them in."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from curation.store import Store
from workspace.artefact import now
from workspace.errors import Refusal, RungError, did_you_mean

if TYPE_CHECKING:
    from sqlalchemy import Connection

Kind = Literal["person", "automatic"]
ROLES = ("reviewer", "adjudicator", "lead")
DAY = 86400.0


class LinkUnknown(Refusal):
    """A personal link that was never given out, or was revoked or replaced."""

    def __init__(self) -> None:
        super().__init__("This link is not known here. Ask for a new one.", "rung review invite NAME")


class LinkEnded(Refusal):
    """A personal link that was good until `day`."""

    def __init__(self, day: str) -> None:
        super().__init__(
            f"This link ended on {day}. Ask for a new one; what you decided is kept.", "rung review invite NAME"
        )
        self.day = day


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A person, or an automatic reviewer (a code table), which never counts as expert review."""

    id: int
    name: str
    role: str
    kind: str
    note: str = ""
    token_until: float | None = None


def known_reviewer(
    store: Store, name: str, *, kind: Kind = "person", note: str = "", connection: Connection | None = None
) -> Reviewer:
    """The reviewer of that name, made on first use.

    Raises RungError for an empty name, Refusal where the name belongs to the other kind.
    """
    from sqlalchemy import select

    from curation.store.tables import reviewers
    from curation.store.writing import insert_unless_there

    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise RungError("A reviewer needs a name of 1 to 200 printable characters.", "--reviewer NAME", found=name)
    asked = select(reviewers).where(reviewers.c.name == name)
    if connection is None:
        with store.read() as reading:
            if found := reading.execute(asked).mappings().first():
                return _of_kind(found, kind)
    with store.write(connection) as opened:
        found = opened.execute(asked).mappings().first()
        if found is None:
            values = {"name": name, "role": "reviewer", "kind": kind, "note": note, "at": _stamp()}
            insert_unless_there(opened, reviewers, values)
            found = opened.execute(asked).mappings().one()
        return _of_kind(found, kind)


def all_reviewers(store: Store) -> list[Reviewer]:
    """Everyone who ever reviewed or was invited, in order."""
    from sqlalchemy import select

    from curation.store.tables import reviewers

    with store.read() as connection:
        found = connection.execute(select(reviewers).order_by(reviewers.c.id)).mappings()
        return [_reviewer(each) for each in found]


def invite(store: Store, name: str, *, role: str = "reviewer", days: float = 14, actor: str = "rung") -> str:
    """Make a personal token for the review page; only its SHA-256 is stored. A new one replaces the old one.

    Raises RungError for an unknown role or days that are not positive.
    """
    if role not in ROLES:
        raise RungError(f'"{role}" is not a role.{did_you_mean(role, ROLES)}', "one of: " + ", ".join(ROLES))
    if not 0 < days <= 3650:
        raise RungError(f"--days {days:g}: expected a number over 0, at most 3650.", "--days 14")
    token = secrets.token_urlsafe(32)
    person = known_reviewer(store, name)
    _set_token(store, person, role=role, token_hash=_digest(token), token_until=time.time() + days * DAY)
    store.event("invite", actor, person.name, {"role": role, "days": days})
    return token


def revoke(store: Store, name: str, *, actor: str = "rung") -> None:
    """End a personal token at once. Raises RungError where nobody of that name is known."""
    names = {person.name: person for person in all_reviewers(store)}
    if name not in names:
        raise RungError(f'No reviewer "{name}".{did_you_mean(name, names)}', "rung review status")
    _set_token(store, names[name], token_hash=None, token_until=None)
    store.event("revoke", actor, name, {})


def by_token(store: Store, token: str, *, moment: float | None = None) -> Reviewer:
    """Whose token this is. Raises LinkUnknown where it is unknown or revoked, LinkEnded where it is over."""
    from sqlalchemy import select

    from curation.store.tables import reviewers

    with store.read() as connection:
        asked = select(reviewers).where(reviewers.c.token_hash == _digest(token))
        found = connection.execute(asked).mappings().first()
    if found is None:
        raise LinkUnknown
    if found["token_until"] is not None and found["token_until"] <= (time.time() if moment is None else moment):
        day = time.strftime("%Y-%m-%d", time.localtime(found["token_until"]))
        raise LinkEnded(day)
    return _reviewer(found)


def _set_token(store: Store, person: Reviewer, **values: Any) -> None:
    from sqlalchemy import update

    from curation.store.tables import reviewers

    with store.write() as connection:
        connection.execute(update(reviewers).where(reviewers.c.id == person.id).values(**values))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _of_kind(found: Any, kind: Kind) -> Reviewer:
    person = _reviewer(found)
    if person.kind != kind:
        raise Refusal(
            f'"{person.name}" is known here as {person.kind}, not as {kind}.', "Use another name for the other kind."
        )
    return person


def _reviewer(found: Any) -> Reviewer:
    return Reviewer(found["id"], found["name"], found["role"], found["kind"], found["note"], found["token_until"])


def _stamp() -> str:
    return now().isoformat()
