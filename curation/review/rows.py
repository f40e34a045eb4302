"""Rows in review: the list, and those similar to one: look-alikes, decided rows near it, rows that an edit repairs.

A link between near duplicates is rare in a pool without duplicates, so the nearest decided rows are those that share
the most telling words. A person takes a proposed repair as an ordinary edit or leaves it. What is hidden in blind
review is hidden here too: an open row that two people decide shows its first answer, is none of the look-alikes, and
has none.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from curation.checks.dismissals import sent_by_finding
from curation.example import Example, edited_text
from curation.likeness.words import jaccard, words
from curation.review.item import OtherDecision, ReviewItem
from curation.review.people import Desk
from curation.review.ruling import Decided, Ruling
from curation.review.service import decide_all
from curation.store.decision_log import decided_after, newest_edit
from curation.store.open_rows import open_to
from curation.store.reading import payloads_of
from curation.store.records import DECIDED, WAITING, Reviewer, StoredRow, number_of, row_id
from curation.store.waiting_rows import for_several

STATES = {"open": WAITING, **{state: (state,) for state in DECIDED}}
"""States that can filter a list."""
PAGE = 50
"""Rows of a page."""
MOST_ALIKE, LEAST_ALIKE = 30, 0.5
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
    states, found = STATES.get(state, (*WAITING, *DECIDED)), []
    for row in desk.store.each():
        if row.queued and row.state in states and (wanted is None or row.id in wanted):
            listed = _listed(row, blind)
            if not label or listed.answer == label:
                found.append(listed)
    start = max(page - 1, 0) * PAGE
    return RowList(found[start : start + PAGE], len(found), sorted(sent))


def _listed(row: StoredRow, blind: Collection[int]) -> ListedRow:
    waits = row.state in WAITING
    example = row.original if waits and number_of(row.id) in blind else row.example
    who = "" if waits else row.reviewer
    return ListedRow(row.id, example.question, example.answer or "", "open" if waits else row.state, who)


def look_alikes(desk: Desk, person: Reviewer, name: str) -> list[ListedRow]:
    """Return open rows that this person may decide alone, with the answer of row `name` and a question much like its
    own, the nearest first. None of them is under blind review, and a row under blind review has none.
    """
    row = desk.store.row(name)
    answer = row.example.answer
    if not answer or row.state not in WAITING:
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
        if number != number_of(name) and alike >= LEAST_ALIKE:
            listed = ListedRow(row_id(number), example.question, answer, "open", "", example.content_hash)
            near.append((-alike, listed.id, listed))
    return [listed for _, _, listed in sorted(near, key=lambda each: each[:2])[:MOST_ALIKE]]


def approve_alike(desk: Desk, person: Reviewer, name: str, chosen: dict[str, str]) -> list[Decided]:
    """Approve the chosen look-alikes of a row (id -> digest as shown), each as a decision of this person.

    Rows that were changed, decided or taken by someone else meanwhile are left alone.
    """
    ruling = Ruling("approve", remark=f"accepted with {name}")
    rows = [row.id for row in look_alikes(desk, person, name) if chosen.get(row.id) == row.digest]
    return decide_all(desk, person.name, [(row, ruling) for row in rows], kind="person")


MOST_ROWS = 200
"""Similar open rows that are shown at most."""
LONGEST = 2_000
"""Words (and the spaces between them) of a text whose parts are compared; a longer one is a repair as a whole."""


@dataclass(frozen=True, slots=True)
class WordChange:
    """Words that an edit took away, and what it put in their place; `old` is never empty."""

    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerRepair:
    """One edit. Without `changes` it replaced the whole answer, and fits only rows with the same answer."""

    row: str
    question: str
    before: str
    after: str
    changes: tuple[WordChange, ...]


def repair_of(row: str, question: str, before: str, after: str) -> AnswerRepair | None:
    """Return the change of an edit; None if it changed nothing."""
    if before.strip() == after.strip() or not before.strip():
        return None
    old, new = _parts(before.strip()), _parts(after.strip())
    changes: list[WordChange] = []
    if len(old) <= LONGEST and len(new) <= LONGEST:
        changes = _changes(old, new)
    kept = len([part for part in old if not part.isspace()]) - sum(_solid(change.old) for change in changes)
    return AnswerRepair(row, question, before.strip(), after.strip(), tuple(changes) if kept > 0 else ())


def repaired(repair: AnswerRepair, answer: str) -> str | None:
    """Return the answer after the same repair; None if the repair does not fit, or changes nothing."""
    if answer.strip() == repair.before:
        return repair.after
    parts = _parts(answer.strip())
    for change in repair.changes:
        changed = _replaced(parts, change)
        if changed is None:
            return None
        parts = changed
    made = "".join(parts)
    return made if repair.changes and made != answer.strip() and made.strip() else None


def last_repair(desk: Desk, person: Reviewer) -> AnswerRepair | None:
    """Return the newest edit of a person in force; None if they have edited nothing."""
    with desk.store.read() as connection:
        found = newest_edit(connection, person.id)
    if found is None:
        return None
    before, after = json.loads(found["original"] or found["text"]), json.loads(found["payload"])
    return repair_of(row_id(found["row_id"]), Example(before).question, edited_text(before), edited_text(after))


def similar_rows(desk: Desk, person: Reviewer, repair: AnswerRepair) -> list[str]:
    """Return the open rows that this person may take and that the repair fits, the nearest question first.

    Rows that somebody else holds, or that this person decided already, are left out.
    """
    mine = frozenset(words(repair.question))
    found = []
    with desk.store.read() as connection:
        for number, payload in open_to(connection, person, desk.clock(), _pieces(repair)):
            row = json.loads(payload)
            if row_id(number) != repair.row and repaired(repair, edited_text(row)) is not None:
                found.append((-jaccard(mine, frozenset(words(Example(row).question))), row_id(number)))
    return [name for _, name in sorted(found)[:MOST_ROWS]]


def _parts(text: str) -> list[str]:
    return re.findall(r"\s+|\S+", text)


def _solid(parts: Sequence[str]) -> int:
    return sum(not part.isspace() for part in parts)


def _changes(old: list[str], new: list[str]) -> list[WordChange]:
    """Changed runs of words, joined across the single spaces between them; each names at least one old word."""
    runs: list[list[int]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if runs and all(part.isspace() for part in old[runs[-1][1] : a]):
            runs[-1][1], runs[-1][3] = b, d
        else:
            runs.append([a, b, c, d])
    return [_anchored(old, new, *run) for run in runs]


def _anchored(old: list[str], new: list[str], a: int, b: int, c: int, d: int) -> WordChange:
    """Return a run widened by the word before it (at the start: after it) while it names no old word."""
    while not _solid(old[a:b]):
        if a > 0:
            a, c = a - 1, c - 1
        else:
            b, d = b + 1, d + 1
    return WordChange(tuple(old[a:b]), tuple(new[c:d]))


def _replaced(parts: list[str], change: WordChange) -> list[str] | None:
    """`parts` with every run of the old words replaced; None if there is none, or it is repaired already."""
    made: list[str] = []
    at = hits = 0
    while at < len(parts):
        if _stands(parts, at, change.new) and len(change.new) > len(change.old):
            made += change.new
            at += len(change.new)
        elif _stands(parts, at, change.old):
            made += change.new
            at, hits = at + len(change.old), hits + 1
        else:
            made.append(parts[at])
            at += 1
    return made if hits else None


def _stands(parts: Sequence[str], at: int, run: Sequence[str]) -> bool:
    """True if these words are at this place; all white space is equal."""
    there = parts[at : at + len(run)]
    return len(there) == len(run) > 0 and all(
        a == b or (a.isspace() and b.isspace()) for a, b in zip(there, run, strict=True)
    )


def _pieces(repair: AnswerRepair) -> list[str]:
    """Words that the stored text of a fitting row must hold: the longest old one of each change, as JSON writes it."""
    olds = [change.old for change in repair.changes] or [tuple(_parts(repair.before))]
    return [json.dumps(max(old, key=len), ensure_ascii=False)[1:-1] for old in olds]


LEAST = 0.15
"""Share of the words, weighted by how rare they are, below which a row is not near."""
NEWEST = 20_000
"""Decided rows that are kept in the index at most: the newest ones."""
WIDE = 2_000
"""A word that is in more decided rows than this finds none."""


class NearestDecided:
    """An index in memory over the decided rows of one store. `near` may be called from several threads."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._seen = 0
        self._words: dict[int, frozenset[str]] = {}
        self._rows: dict[str, set[int]] = defaultdict(set)
        self._lock = threading.Lock()

    def near(self, item: ReviewItem, most: int = 4) -> tuple[OtherDecision, ...]:
        """Return the nearest decided rows of an item, the nearest first; none if the item is under blind review."""
        if item.blind:
            return ()
        with self._lock:
            self._read_on()
            ranked = self._ranked(frozenset(words(Example(item.row).question)), number_of(item.id))
        found = {row.id: row for row in self.desk.store.rows(ids=[row_id(number) for number, _ in ranked[: 3 * most]])}
        near = []
        for number, similarity in ranked[: 3 * most]:
            row = found.get(row_id(number))
            if row is None or row.excluded is not None or row.state not in DECIDED:
                continue
            answer = None if row.state == "rejected" else edited_text(row.example.row)
            asked = row.example.question
            near.append(OtherDecision(row.id, row.reviewer, row.state, answer, "nearest", similarity, asked))
        return tuple(near[:most])

    def _read_on(self) -> None:
        """Take in the rows whose state may have changed since the last look."""
        with self.desk.store.read() as connection:
            latest = decided_after(connection, self._seen)
            if not latest:
                return
            self._seen = max(latest.values())
            changed = sorted(latest, key=lambda number: -latest[number])[:NEWEST]
            for number, state, payload in payloads_of(connection, changed):
                self._forget(number)
                if state in DECIDED:
                    self._keep(number, words(Example.from_json(payload).question))
        for number in list(self._words)[: max(0, len(self._words) - NEWEST)]:
            self._forget(number)

    def _keep(self, number: int, found: Iterable[str]) -> None:
        self._words[number] = frozenset(found)
        for word in self._words[number]:
            self._rows[word].add(number)

    def _forget(self, number: int) -> None:
        for word in self._words.pop(number, ()):
            self._rows[word].discard(number)

    def _ranked(self, mine: frozenset[str], own: int) -> list[tuple[int, float]]:
        """(row, similarity 0..1) of rows that share words, the nearest first."""
        if not self._words:
            return []
        total = sum(self._weight(word) for word in mine)
        common: Counter[int] = Counter()
        for word in mine:
            if len(self._rows.get(word, ())) <= WIDE:
                for number in self._rows.get(word, ()):
                    common[number] += self._weight(word)  # type: ignore[assignment]
        made = []
        for number, weight in common.most_common(50):
            other = sum(self._weight(word) for word in self._words[number])
            made.append((number, weight / max(total + other - weight, 1e-9)))
        near = [(number, value) for number, value in made if value >= LEAST and number != own]
        return sorted(near, key=lambda each: (-each[1], -each[0]))

    def _weight(self, word: str) -> float:
        """Rare words say more: log of the share of decided rows without it."""
        return math.log(1 + len(self._words) / (1 + len(self._rows.get(word, ()))))
