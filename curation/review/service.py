"""Review for the shell, the terminal and the browser: take a row, decide, take it back, contest. No screen in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import RowMapping

from curation.example import Example
from curation.review.item import ReviewItem, show_item
from curation.review.leases import claim, running, stale, was_leased
from curation.review.people import ROLES, Desk, Kind, known_reviewer, seconds_at_it
from curation.review.progress import failed_sample
from curation.review.queue import refresh_queue
from curation.review.ruling import Decided, Ruling, edited, settle_row
from curation.store.decision_log import (
    LATE,
    counting_by_another,
    decided_since,
    decider_of,
    drop_drafts,
    in_force,
    is_used,
    keep_draft,
    own_entry,
    row_by_number,
    write_decision,
)
from curation.store.open_rows import own_waiting
from curation.store.records import FINAL, Reviewer, number_of, row_id
from curation.store.reviewers import all_reviewers, current_guideline
from workspace.errors import Refusal, RungError, did_you_mean


@dataclass(frozen=True, slots=True)
class NextItem:
    """Result of `next_item`: an item, or none and the number of rows that wait for someone else."""

    item: ReviewItem | None
    waiting: int = 0
    mine: Sequence[str] = ()
    """Waiting rows that this person has decided already: they need a second person."""


def next_item(
    desk: Desk, reviewer: str, *, kind: Kind = "person", holding: Sequence[str] = (), want: str | None = None
) -> NextItem:
    """Lease the next row to a reviewer; one that they hold already is given again, with its token.

    `holding` names rows that are open elsewhere on their screen (for fetching ahead), `want` a certain row. Order:
    test rows first, then by priority and import; what they skipped comes last.
    """
    person = known_reviewer(desk.store, reviewer, kind=kind)
    refresh_queue(desk.store, desk.settings)
    number, waiting = claim(desk, person, [number_of(name) for name in holding], number_of(want) if want else None)
    if number is not None:
        return NextItem(show_item(desk, person, number))
    with desk.store.read() as connection:
        mine = own_waiting(connection, person, desk.clock()) if waiting else []
    return NextItem(None, waiting, [row_id(each) for each in mine])


def decide(desk: Desk, name: str, token: str, reviewer: str, ruling: Ruling, *, kind: Kind = "person") -> Decided:
    """Write one decision under a running lease.

    Raises RungError for a row that is not there and for a ruling that makes no sense (nothing is written), and Refusal
    where the lease is over or someone else's: then nothing is decided, and the text of an edit is kept as this
    reviewer's draft.
    """
    person, number = known_reviewer(desk.store, reviewer, kind=kind), number_of(name)
    with desk.store.write() as connection:
        guideline = current_guideline(desk.store, desk.project, connection)  # before any row is held
        row = row_by_number(connection, number, lock=True)
        moment = desk.clock()
        refusal = stale(connection, row, person, token, moment)
        if refusal is not None and not was_leased(connection, row, person, token):
            raise refusal
        payload = edited(Example.from_json(row["payload"]), ruling)
        if refusal is None:
            seconds = ruling.seconds if ruling.seconds is not None else max(0.0, moment - row["lease_at"])
            values = ruling.values(_as_shown(row, ruling, payload), guideline.version if guideline else None)
            decision = write_decision(connection, row, person.id, values, token=token, seconds=seconds)
            skipped = {"skipped_at": moment} if ruling.verdict == "skip" else {}
            outcome = settle_row(connection, row, desk.settings.review, lease_token=None, lease_until=None, **skipped)
            drop_drafts(connection, number, person.id)
        elif payload is not None:
            keep_draft(connection, number, person.id, payload)
    if refusal is not None:  # after the draft was written
        raise refusal
    failed = failed_sample(desk, name) if outcome.state in ("edited", "rejected") else None
    told = (failed.words(), failed.plan.role) if failed else ()
    return Decided(row_id(number), outcome.state, decision, *told)


def _as_shown(row: RowMapping, ruling: Ruling, payload: str | None) -> str | None:
    """Return the text that a decision keeps: approval of an edited text keeps that text, not the draft's."""
    if ruling.verdict == "approve" and row["original"] and row["payload"] != row["original"]:
        return str(row["payload"])
    return payload


def decide_all(
    desk: Desk, reviewer: str, rulings: Iterable[tuple[str, Ruling]], *, kind: Kind = "automatic"
) -> list[Decided]:
    """Many decisions in one transaction, without leases: for an automatic reviewer, or for decisions made by mail.

    Rows that are out, leased by someone else, or that this reviewer decided already are left alone. Two calls at once,
    each with rows that the other wants, take turns.
    """
    person = known_reviewer(desk.store, reviewer, kind=kind)
    refresh_queue(desk.store, desk.settings)
    given = list(rulings)
    examples = {row.id: row.example for row in desk.store.rows(ids=[name for name, _ in given])}
    ready = []
    for name, ruling in given:
        number = number_of(name)
        if row_id(number) not in examples:
            raise RungError(f"No row {name} in this project.", "rung review status", found=name)
        ready.append((number, ruling, edited(examples[row_id(number)], ruling)))
    made = []
    with desk.store.write(alone=True) as connection:
        moment = desk.clock()
        guideline = current_guideline(desk.store, desk.project, connection)
        for number, ruling, payload in ready:
            row = row_by_number(connection, number, lock=True)
            others = row["lease_owner"] != person.id and running(row, moment)
            if row["change_id"] is not None or others or own_entry(connection, row["id"], row["since"], person.id):
                continue
            values = ruling.values(_as_shown(row, ruling, payload), guideline.version if guideline else None)
            decision = write_decision(connection, row, person.id, values, token="", seconds=ruling.seconds)
            made.append(Decided(row_id(number), settle_row(connection, row, desk.settings.review).state, decision))
    return made


def undo(desk: Desk, name: str, reviewer: str) -> Decided:
    """Take back a reviewer's standing decision on a row, by a new entry. Raises Refusal if there is none."""
    number = number_of(name)
    people = {person.name: person for person in all_reviewers(desk.store)}
    if reviewer not in people:
        raise RungError(f'No reviewer "{reviewer}" here.{did_you_mean(reviewer, people)}', "rung review status")
    person = people[reviewer]
    with desk.store.write() as connection:
        row = row_by_number(connection, number, lock=True)
        if own_entry(connection, row["id"], row["since"], person.id) is None:
            name = row_id(number)
            hint = f"rung review undo {name} --reviewer NAME, or to decide it again: rung review reopen {name}"
            raise Refusal(f"{person.name} has no decision on {name} to undo.", hint)
        decision = write_decision(connection, row, person.id, Ruling("undo").values(None, None), token="", seconds=None)
        return Decided(row_id(number), settle_row(connection, row, desk.settings.review).state, decision)


@dataclass(frozen=True, slots=True)
class DecisionInForce:
    """A decision in force: `answer` the row's answer after it (None if rejected); `at` ISO, in UTC."""

    row: str
    reviewer: str
    verdict: str
    at: str
    answer: str | None
    reason: str = ""
    remark: str = ""
    role: str = "reviewer"
    """The reviewer's."""


@dataclass(frozen=True, slots=True)
class Day:
    """One person's day so far: standing decisions, and the minutes over which they were made."""

    rows: int
    minutes: float


def last_of(desk: Desk, person: Reviewer) -> DecisionInForce | None:
    """Return the newest decision of a person that is in force: what "undo" takes back."""
    with desk.store.read() as connection:
        return next(map(_standing, in_force(connection, reviewer=person.id, most=1)), None)


def recent(desk: Desk, count: int = 30) -> Sequence[DecisionInForce]:
    """Return the newest decisions of everyone that are in force, the newest first."""
    with desk.store.read() as connection:
        return [_standing(each) for each in in_force(connection, most=count)]


def day_of(desk: Desk, person: Reviewer, since: datetime) -> Day:
    """Return a person's decisions since a moment (with a time zone), and the time spent on them, without breaks."""
    with desk.store.read() as connection:
        found = decided_since(connection, person.id, since)
    return Day(sum(verdict in FINAL for _, verdict in found), seconds_at_it([at for at, _ in found]) / 60)


def decided_by_another(desk: Desk, person: Reviewer, name: str, token: str) -> DecisionInForce | None:
    """Return the other person's decision on a row; None if blind, or if this person never held it by this token."""
    if not _held(desk, person, name, token):
        return None
    with desk.store.read() as connection:
        found = counting_by_another(connection, number_of(name), person.id)
    return _standing(found) if found else None


def may_contest(person: Reviewer, decider: str) -> bool:
    """True if a person's late decision may reopen one by someone of the role `decider`: not of a higher one."""
    return ROLES.index(decider) <= ROLES.index(person.role)


def contest(desk: Desk, person: Reviewer, name: str, token: str, ruling: Ruling) -> str:
    """Write a decision that came too late beside the one that counts: the row goes to a third person, with both.

    Returns the row's state. Raises Refusal if the person did not hold the row under this token, decided under it
    already, or where no decision of someone else of their role or a lower one counts.
    """
    number = number_of(name)
    refusal = Refusal(
        f"{name}: nobody else has decided this row, so there is no conflict to send on.", "rung review next", where=name
    )
    if not _held(desk, person, name, token):
        raise refusal
    payload = edited(Example(desk.store.row(name).original.row), ruling)
    with desk.store.write() as connection:
        guideline = current_guideline(desk.store, desk.project, connection)
        held = row_by_number(connection, number, lock=True)
        counts = held["decision_id"] is not None and held["change_id"] is None and ruling.verdict in FINAL
        if not counts:
            raise refusal
        other, role = decider_of(connection, held["decision_id"])
        if other == person.id or not may_contest(person, role) or is_used(connection, number, token):
            raise refusal
        version = guideline.version if guideline else None
        values = ruling.values(payload, version)
        write_decision(connection, held, person.id, values, token=f"{LATE}:{token}", seconds=ruling.seconds)
        outcome = settle_row(connection, held, desk.settings.review, lease_token=None, lease_until=None)
        drop_drafts(connection, number, person.id)
        desk.store.event("contest", person.name, name, {"verdict": ruling.verdict}, connection=connection)
    return outcome.state


def _held(desk: Desk, person: Reviewer, name: str, token: str) -> bool:
    """True if a person held the row under this token."""
    number = number_of(name)
    with desk.store.read() as connection:
        try:
            row = row_by_number(connection, number)
        except RungError:
            return False
        return was_leased(connection, row, person, token)


def _standing(each: RowMapping) -> DecisionInForce:
    return DecisionInForce(
        row=row_id(each["row_id"]),
        reviewer=each["name"],
        verdict=each["verdict"],
        at=each["at"],
        answer=Example.from_json(each["payload"] or each["text"]).answer if each["verdict"] != "reject" else None,
        reason=each["reason"],
        remark=each["remark"],
        role=each["role"],
    )
