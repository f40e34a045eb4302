"""Decided rows near the one under review.

A link between near duplicates is rare in a pool without duplicates, so the nearest decided rows are those that share
the most telling words.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from curation.example import Example, edited_text
from curation.likeness.words import words
from curation.review.desk import Desk
from curation.review.item import NearRow, OtherDecision
from curation.store.records import DECIDED, number_of, row_id

if TYPE_CHECKING:
    from curation.review.item import ReviewItem


def shared(mine: frozenset[str], others: Sequence[str]) -> float:
    """Jaccard similarity of two sets of words."""
    other = set(others)
    return len(mine & other) / len(mine | other) if mine or other else 0.0


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

    def near(self, item: ReviewItem, most: int = 4) -> tuple[NearRow, ...]:
        """The nearest decided rows of an item, the nearest first; none where the item is under blind review."""
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
            side = OtherDecision(row.id, row.reviewer, row.state, answer, "nearest", similarity)
            near.append(NearRow(side, row.example.question))
        return tuple(near[:most])

    def _read_on(self) -> None:
        """Take in the rows whose state may have changed since the last look."""
        from curation.store.decisions import decided_after
        from curation.store.reading import payloads_of

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
