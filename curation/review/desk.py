"""The desk at which rows are reviewed: take one, decide, take it back. No screen in it: shell, TUI and page use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.example import Example
from curation.review.gold import is_known
from curation.review.item import Item, show_item
from curation.review.mixing import entry_words, must_have_entered
from curation.review.people import Kind, Reviewer, known_reviewer
from curation.review.queue import refresh_queue
from curation.review.votes import VERDICTS
from curation.store import Store, StoredRow, open_store, row_id
from curation.store.ids import number_of
from workspace.errors import RungError, did_you_mean
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
        """The text of a row as reviewers are given it: a known item as it first came."""
        with self.store.read() as connection:
            return row.original if is_known(connection, number_of(row.id)) else row.example


@dataclass(frozen=True, slots=True)
class Turn:
    """What `next_item` gives: an item, or none and the number of rows that wait for someone else."""

    item: Item | None
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision did: the row's state after it, and the id of the log's new entry; `note` what is to be told."""

    id: str
    state: str
    decision: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One decision to be made: for `edit` the new answer (`text`) or the whole row; `reason` a code or a sentence."""

    verdict: str
    text: str | None = None
    row: Mapping[str, Any] | None = None
    reason: str = ""
    remark: str = ""
    seconds: float | None = None


def open_desk(project: Project, settings: Settings) -> Desk:
    """A desk on the project's own store."""
    return Desk(open_store(project, settings), project, settings)


def next_item(
    desk: Desk, reviewer: str, *, kind: Kind = "person", holding: Sequence[str] = (), want: str | None = None
) -> Turn:
    """Lease the next row to a reviewer; one that they hold already is given again, with its token.

    `holding` names rows that are open elsewhere on their screen (for fetching ahead), `want` a certain row. Order:
    test rows first, then by priority and import; what they skipped comes last.
    """
    from curation.review.leases import claim

    person = known_reviewer(desk.store, reviewer, kind=kind)
    refresh_queue(desk.store, desk.settings)
    number, waiting = claim(desk, person, [number_of(name) for name in holding], number_of(want) if want else None)
    return Turn(None, waiting) if number is None else Turn(show_item(desk, person, number))


def decide(desk: Desk, name: str, token: str, reviewer: str, ruling: Ruling, *, kind: Kind = "person") -> Decided:
    """Write one decision under a running lease.

    Raises RungError for a ruling that makes no sense (nothing is written), and Refusal where the lease is over or
    someone else's: then nothing is decided, and the text of an edit is kept as this reviewer's draft.
    """
    from curation.review.leases import take_decision

    person = known_reviewer(desk.store, reviewer, kind=kind)
    state, decision, refusal = take_decision(desk, person, number_of(name), token, ruling)
    if refusal is not None:
        raise refusal
    return Decided(row_id(number_of(name)), state, decision, entry_words(desk.store, desk.settings, person))


def decide_all(
    desk: Desk, reviewer: str, rulings: Iterable[tuple[str, Ruling]], *, kind: Kind = "automatic"
) -> list[Decided]:
    """Many decisions in one transaction, without leases: for an automatic reviewer, or for decisions made by mail.

    Rows that are out, leased by someone else, or on which this reviewer's decision stands already are left alone.
    """
    from curation.review.leases import take_many

    person = known_reviewer(desk.store, reviewer, kind=kind)
    refresh_queue(desk.store, desk.settings)
    must_have_entered(desk.store, desk.settings, person)
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
    """Take back a reviewer's standing decision on a row, by a new entry. Raises Refusal where there is none."""
    from curation.review.leases import take_back

    row = desk.store.row(name)
    person = known(desk, reviewer)
    return take_back(desk, person, number_of(row.id))


def known(desk: Desk, reviewer: str) -> Reviewer:
    """A reviewer who has been here before, of either kind. Raises RungError with the nearest name."""
    from curation.review.people import all_reviewers

    people = {person.name: person for person in all_reviewers(desk.store)}
    if reviewer not in people:
        raise RungError(f'No reviewer "{reviewer}" here.{did_you_mean(reviewer, people)}', "rung review status")
    return people[reviewer]


def edited(example: Example, ruling: Ruling) -> str | None:
    """The whole row after a ruling, None where it leaves the text as it is.

    Raises RungError for an unknown verdict, an edit without a text, an approval of a row without an answer, a row
    that breaks the rules of rows.
    """
    from curation.review.edits import whole_row, with_text

    if ruling.verdict not in VERDICTS:
        raise RungError(
            f'"{ruling.verdict}" is not a decision.{did_you_mean(ruling.verdict, VERDICTS)}',
            "one of: " + ", ".join(VERDICTS),
            found=ruling.verdict,
        )
    if ruling.verdict != "edit":
        if ruling.verdict == "approve" and example.messages and not example.is_answered:
            raise RungError("This row has no answer yet: nothing to approve.", "edit --text-file FILE, with the answer")
        if ruling.text is not None or ruling.row is not None:
            raise RungError(f"A text goes with edit only, not with {ruling.verdict}.", "edit --text-file FILE")
        return None
    if (ruling.text is None) == (ruling.row is None):
        raise RungError("An edit needs the new answer or the whole row.", "edit --text-file FILE, or --row-file FILE")
    return whole_row(ruling.row) if ruling.row is not None else with_text(example, ruling.text or "")
