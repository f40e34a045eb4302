"""The decided rows whose questions are nearest to an item's, by the words they share.

A link between near duplicates is rare in a pool that was cleaned; what a reviewer wants beside an item is how the most
similar rows were decided, be they ever so different. The index reads the log on from where it stopped.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.example import Example
from curation.review.gold import hidden_rows
from curation.review.item import Side
from curation.review.repair import edited_text
from curation.similarity.words import words
from curation.store.ids import number_of, row_id

if TYPE_CHECKING:
    from curation.review.desk import Desk
    from curation.review.item import Item

DECIDED = ("approved", "edited", "rejected")
LEAST = 0.15
"""Share of the words, weighted by how rare they are, below which a row is not near."""
NEWEST = 20_000
"""Decided rows that are kept in the index at most: the newest ones."""
WIDE = 2_000
"""A word that stands in more decided rows than this finds none."""


@dataclass(frozen=True, slots=True)
class NearRow:
    """A decided row near an item: `side` as the item's own neighbours are shown, and the row's question."""

    side: Side
    question: str


class Nearest:
    """An index in memory over the decided rows of one store. `near` may be called from several threads."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._seen = 0
        self._words: dict[int, frozenset[str]] = {}
        self._rows: dict[str, set[int]] = defaultdict(set)
        self._lock = threading.Lock()

    def near(self, item: Item, most: int = 4) -> tuple[NearRow, ...]:
        """The nearest decided rows of an item, the nearest first; none where the item is under blind review."""
        if item.blind:
            return ()
        with self._lock:
            self._read_on()
            ranked = self._ranked(frozenset(words(Example(item.row).question)), number_of(item.id))
        found = {row.id: row for row in self.desk.store.rows(ids=[row_id(number) for number, _ in ranked[: 3 * most]])}
        with self.desk.store.read() as connection:
            hidden = hidden_rows(connection)
        near = []
        for number, similarity in ranked[: 3 * most]:
            row = None if number in hidden else found.get(row_id(number))
            if row is None or row.excluded is not None or row.state not in DECIDED:
                continue
            answer = None if row.state == "rejected" else edited_text(row.example.row)
            side = Side(row.id, row.reviewer, row.state, answer, "nearest", similarity)
            near.append(NearRow(side, row.example.question))
        return tuple(near[:most])

    def _read_on(self) -> None:
        """Take in the rows whose state may have changed since the last look."""
        from sqlalchemy import func, select

        from curation.store.reading import chunks
        from curation.store.tables import decisions, rows

        with self.desk.store.read() as connection:
            asked = select(decisions.c.row_id, func.max(decisions.c.id)).where(decisions.c.id > self._seen)
            latest = connection.execute(asked.group_by(decisions.c.row_id)).tuples().all()
            if not latest:
                return
            self._seen = max(last for _, last in latest)
            changed = [number for number, _ in sorted(latest, key=lambda each: -each[1])[:NEWEST]]
            for part in chunks(changed):
                asked_rows = select(rows.c.id, rows.c.state, rows.c.payload).where(rows.c.id.in_(part))
                for number, state, payload in connection.execute(asked_rows).tuples():
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
