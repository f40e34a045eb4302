"""Reviewers at their desk: who they are, the personal links that let them in, and their figures: pace, agreement."""

from __future__ import annotations

import hashlib
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from sqlalchemy.engine import RowMapping

from curation.example import Example
from curation.likeness.words import answer_form
from curation.store import Store, open_store
from curation.store.decision_log import read_standing
from curation.store.records import FINAL, Reviewer, Share
from curation.store.reviewers import (
    add_reviewer,
    all_reviewers,
    read_shares,
    reviewer_named,
    reviewer_with_token,
    set_token,
)
from workspace.errors import Refusal, RungError, did_you_mean
from workspace.folder import Project
from workspace.settings import Settings

Kind = Literal["person", "automatic"]
ROLES = ("reviewer", "adjudicator", "lead")
DAY = 86400.0
BREAK_SECONDS = 300.0
"""A longer pause between two decisions is a break, and counts as this long at most."""


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


def known_reviewer(store: Store, name: str, *, kind: Kind = "person") -> Reviewer:
    """Return the reviewer of that name, made on first use. RungError for no name, Refusal for one of the other kind."""
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise RungError("A reviewer needs a name of 1 to 200 printable characters.", "--reviewer NAME", found=name)
    with store.read() as connection:
        found = reviewer_named(connection, name)
    if found is None:
        with store.write() as connection:
            while (found := reviewer_named(connection, name)) is None:
                add_reviewer(connection, name, kind)
    if found.kind != kind:
        told = f'"{found.name}" is known here as {found.kind}, not as {kind}.'
        raise Refusal(told, "Use another name for the other kind.", expected=kind, found=found.kind)
    return found


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
    set_token(store, person, role=role, token_hash=_digest(token), token_until=time.time() + days * DAY)
    store.event("invite", actor, person.name, {"role": role, "days": days})
    return token


def revoke(store: Store, name: str, *, actor: str = "rung") -> None:
    """End a personal token at once. Raises RungError if nobody of that name is known."""
    names = {person.name: person for person in all_reviewers(store)}
    if name not in names:
        raise RungError(f'No reviewer "{name}".{did_you_mean(name, names)}', "rung review status", found=name)
    set_token(store, names[name], token_hash=None, token_until=None)
    store.event("revoke", actor, name, {})


def by_token(store: Store, token: str) -> Reviewer:
    """Return the owner of this token. Raises LinkUnknown if it is unknown or revoked, LinkEnded if it has expired."""
    with store.read() as connection:
        found = reviewer_with_token(connection, _digest(token))
    if found is None:
        raise LinkUnknown
    if found.token_until is not None and found.token_until <= time.time():
        raise LinkEnded(time.strftime("%Y-%m-%d", time.localtime(found.token_until)))
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PersonProgress:
    """One reviewer's standing decisions, and their pace over the time that they sat at it.

    Decisions that came in one go (`by_sheet`: by mail, from a program) took a time that nobody knows: they are in no
    pace and in no time of a row.

    `seconds` is the median time of a row; `consensus` the share of their decisions that is what the row came to, over
    the `consensus_rows` that others decided too; None if there are none.
    """

    name: str
    kind: str
    role: str
    decided: int
    verdicts: Mapping[str, int]
    minutes: float
    rows_an_hour: float | None
    seconds: float | None = None
    consensus: float | None = None
    consensus_rows: int = 0
    by_sheet: int = 0


def team(desk: Desk, since: datetime) -> list[Share]:
    """Everyone with a decision in force, the busiest first; `today` counts from `since` (with a time zone)."""
    with desk.store.read() as connection:
        return sorted(read_shares(connection, since), key=lambda share: (-share.decided, share.name))


def person_progress(store: Store) -> list[PersonProgress]:
    """Return everyone with a decision in force, in the order of their first one."""
    with store.read() as connection:
        entries = read_standing(connection)
    shared = _shared(entries)
    by_name: dict[str, list[RowMapping]] = {}
    for each in entries:
        by_name.setdefault(each["name"], []).append(each)
    return [_person(name, mine, shared) for name, mine in by_name.items()]


def _person(name: str, entries: Sequence[RowMapping], shared: Mapping[int, set[str]]) -> PersonProgress:
    sat = [entry for entry in entries if entry["token"]]
    seconds = seconds_at_it([entry["at"] for entry in sat])
    verdicts = {v: sum(entry["verdict"] == v for entry in entries) for v in (*FINAL, "skip", "unsure", "flag")}
    final = [entry for entry in entries if entry["verdict"] in FINAL]
    took = [entry["seconds"] for entry in final if entry["token"] and entry["seconds"] is not None]
    ruled = sum(entry["verdict"] in FINAL for entry in sat[1:])  # a row that is skipped is none that is done
    agreed = [
        _is_what_it_came_to(entry)
        for entry in final
        if not entry["known"] and len(shared.get(entry["row_id"], ())) > 1 and entry["decision_id"] is not None
    ]
    return PersonProgress(
        name=name,
        kind=entries[0]["kind"],
        role=entries[0]["role"],
        decided=len(final),
        verdicts=verdicts,
        minutes=seconds / 60,
        rows_an_hour=ruled / seconds * 3600 if seconds and ruled else None,
        seconds=statistics.median(took) if took else None,
        consensus=sum(agreed) / len(agreed) if agreed else None,
        consensus_rows=len(agreed),
        by_sheet=sum(not entry["token"] for entry in final),
    )


def _shared(entries: Sequence[RowMapping]) -> dict[int, set[str]]:
    """Return who decided each row since it was last sent to review."""
    shared: dict[int, set[str]] = {}
    for each in entries:
        if each["verdict"] in FINAL and each["id"] > each["since"] and not each["known"]:
            shared.setdefault(each["row_id"], set()).add(each["name"])
    return shared


def _is_what_it_came_to(entry: RowMapping) -> bool:
    """True if a decision gave the row its present state and answer."""
    if entry["id"] <= entry["since"]:
        return False
    if entry["verdict"] == "reject" or entry["row_state"] == "rejected":
        return bool(entry["verdict"] == "reject" and entry["row_state"] == "rejected")
    text = entry["payload"] or entry["original"] or entry["row_payload"]
    ours, came = (Example.from_json(each) for each in (text, entry["row_payload"]))
    return ours.question == came.question and answer_form(ours.answer or "") == answer_form(came.answer or "")


def seconds_at_it(times: Sequence[str]) -> float:
    """Return seconds over which decisions were made at these ISO times; a break counts as BREAK_SECONDS at most."""
    moments = [datetime.fromisoformat(each).timestamp() for each in times]
    return sum(min(BREAK_SECONDS, max(0.0, later - earlier)) for earlier, later in pairwise(moments))
