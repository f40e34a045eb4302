"""Review for the shell, the terminal and the browser: take a row, decide, take it back. No screen in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curation.review.desk import Desk
from curation.review.item import ReviewItem, show_item
from curation.review.leases import claim, take_back, take_decision, take_many
from curation.review.people import Kind, known_reviewer
from curation.review.progress import failed_sample
from curation.review.queue import refresh_queue
from curation.review.ruling import Decided, Ruling, edited
from curation.store.open_rows import own_waiting
from curation.store.records import Reviewer, number_of, row_id
from curation.store.reviewers import all_reviewers
from workspace.errors import RungError, did_you_mean


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

    Raises RungError for a ruling that makes no sense (nothing is written), and Refusal where the lease is over or
    someone else's: then nothing is decided, and the text of an edit is kept as this reviewer's draft.
    """
    person = known_reviewer(desk.store, reviewer, kind=kind)
    state, decision, refusal = take_decision(desk, person, number_of(name), token, ruling)
    if refusal is not None:
        raise refusal
    failed = failed_sample(desk, name) if state in ("edited", "rejected") else None
    told = (failed.words(), failed.plan.role) if failed else ()
    return Decided(row_id(number_of(name)), state, decision, *told)


def decide_all(
    desk: Desk, reviewer: str, rulings: Iterable[tuple[str, Ruling]], *, kind: Kind = "automatic"
) -> list[Decided]:
    """Many decisions in one transaction, without leases: for an automatic reviewer, or for decisions made by mail.

    Rows that are out, leased by someone else, or that this reviewer decided already are left alone.
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
    return take_many(desk, person, ready)


def undo(desk: Desk, name: str, reviewer: str) -> Decided:
    """Take back a reviewer's standing decision on a row, by a new entry. Raises Refusal if there is none."""
    row = desk.store.row(name)
    person = known(desk, reviewer)
    return take_back(desk, person, number_of(row.id))


def known(desk: Desk, reviewer: str) -> Reviewer:
    """Return a reviewer who has been here before, of either kind. Raises RungError with the nearest name."""
    people = {person.name: person for person in all_reviewers(desk.store)}
    if reviewer not in people:
        raise RungError(f'No reviewer "{reviewer}" here.{did_you_mean(reviewer, people)}', "rung review status")
    return people[reviewer]
