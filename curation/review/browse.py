"""The rows of a review as a list, and open rows that look like one another with the same answer.

What is hidden in blind review is hidden here too: an open row that two people decide shows its first answer, is none of
the look-alikes, and has none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from curation.checks.dismissals import sent_by_finding
from curation.example import Example
from curation.likeness.words import jaccard, words
from curation.review.desk import Desk
from curation.review.ruling import Decided, Ruling
from curation.review.service import decide_all
from curation.store.open_rows import open_to
from curation.store.records import DECIDED, OPEN_STATES, Reviewer, StoredRow, number_of, row_id
from curation.store.waiting_rows import for_several

OPEN = (*OPEN_STATES, "leased")
STATES = {"open": OPEN, **{state: (state,) for state in DECIDED}}
"""States that can filter a list."""
PAGE = 50
"""Rows of a page."""
MOST, LEAST = 30, 0.5
"""Look-alikes that are shown at most, and the share of words that two questions have in common at least."""


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of the list; `reviewer` is empty while it is open."""

    id: str
    question: str
    answer: str
    state: str
    reviewer: str
    digest: str = ""
    """SHA-256 of the content, by which a later decision is on what was shown."""


@dataclass(frozen=True, slots=True)
class RowList:
    """One page of a list: its rows, how many there are in all, and the findings that rows were sent for."""

    rows: Sequence[ListedRow]
    total: int
    findings: Sequence[str]


def browse(desk: Desk, *, state: str = "", label: str = "", finding: str = "", page: int = 1) -> RowList:
    """Return a page of the rows in review, narrowed by state, answer, and the finding that sent them."""
    sent = {name: rows for name, rows in sent_by_finding(desk.store).items() if name}
    wanted = sent.get(finding, set()) if finding else None
    with desk.store.read() as connection:
        blind = for_several(connection)
    states, found = STATES.get(state, (*OPEN, *DECIDED)), []
    for row in desk.store.each():
        if row.queued and row.state in states and (wanted is None or row.id in wanted):
            listed = _listed(row, blind)
            if not label or listed.answer == label:
                found.append(listed)
    start = max(page - 1, 0) * PAGE
    return RowList(found[start : start + PAGE], len(found), sorted(sent))


def _listed(row: StoredRow, blind: Collection[int]) -> ListedRow:
    waits = row.state in OPEN
    example = row.original if waits and number_of(row.id) in blind else row.example
    who = "" if waits else row.reviewer
    return ListedRow(row.id, example.question, example.answer or "", "open" if waits else row.state, who)


def look_alikes(desk: Desk, person: Reviewer, name: str) -> list[ListedRow]:
    """Return open rows that this person may decide alone, with the answer of row `name` and a question much like its
    own, the nearest first. None of them is under blind review, and a row under blind review has none.
    """
    row = desk.store.row(name)
    answer = row.example.answer
    if not answer or row.state not in OPEN:
        return []
    mine, piece = frozenset(words(row.example.question)), json.dumps(answer, ensure_ascii=False)[1:-1]
    with desk.store.read() as connection:
        found = open_to(connection, person, desk.clock(), [piece], alone=True)
    if all(number != number_of(name) for number, _ in found):
        return []
    near = []
    for number, payload in found:
        example = Example.from_json(payload)
        alike = jaccard(mine, frozenset(words(example.question))) if example.answer == answer else 0.0
        if number != number_of(name) and alike >= LEAST:
            listed = ListedRow(row_id(number), example.question, answer, "open", "", example.content_hash)
            near.append((-alike, listed.id, listed))
    return [listed for _, _, listed in sorted(near, key=lambda each: each[:2])[:MOST]]


def approve_alike(desk: Desk, person: Reviewer, name: str, chosen: dict[str, str]) -> list[Decided]:
    """Approve the chosen look-alikes of a row (id -> digest as shown), each as a decision of this person.

    Rows that were changed, decided or taken by someone else meanwhile are left alone.
    """
    ruling = Ruling("approve", remark=f"accepted with {name}")
    rows = [row.id for row in look_alikes(desk, person, name) if chosen.get(row.id) == row.digest]
    return decide_all(desk, person.name, [(row, ruling) for row in rows], kind="person")
