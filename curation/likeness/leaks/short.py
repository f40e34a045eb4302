"""Short questions of train rows that are near a short one of the test by their characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curation.likeness.hashing import Hashes, characters_of
from curation.likeness.join import near_across
from curation.likeness.leaks.index import SUSPECTS, TestIndex
from curation.likeness.sets import I64, U64, Bools, Sets, concat, earlier, mix, offsets, ranges, set_keys, top
from curation.likeness.words import GRAM, SHORT_THRESHOLD

AT_ONCE = 1 << 19
"""Grams of train that are held before they are compared."""
_TO_FLAG = np.uint32(32 - 20)


class ShortQuestions:
    """The test's short questions, and those of train that may be near one, until many are compared at once.

    `found` are pairs of a train row and a test item. Of those with another answer as many are noted as are listed
    for one item. Questions with the same words are left out.
    """

    def __init__(self, index: TestIndex, compiled: bool) -> None:
        self.index, self.compiled = index, compiled
        self.found: list[tuple[I64, I64]] = []
        self._others: I64 = np.zeros(len(index.grams), np.int64)
        self._waiting: list[tuple[I64, U64, U64, Sets]] = []
        self._known = np.zeros(1 << 20, np.bool_)
        self._known[index.grams.hashes >> _TO_FLAG] = True

    def add(self, rows: I64, texts: Sequence[str], keys: U64, answers: U64) -> None:
        """Add train rows with a short question, in order, with the keys of its words and of the answer's."""
        if not len(self.index.grams.hashes):
            return
        characters = characters_of(texts)
        likely = np.flatnonzero(self._may_be_near(characters))
        self._waiting.append((rows[likely], keys[likely], answers[likely], characters.take(likely).sets(GRAM)))
        if sum(len(waiting[3].hashes) for waiting in self._waiting) >= AT_ONCE:
            self.compare()

    def _may_be_near(self, texts: Hashes) -> Bools:
        """True for each text of which few enough grams are in no test question. Of two sets with a Jaccard of .8 one
        has at most a quarter of what they share for itself.
        """
        owner, grams = texts.grams(GRAM)
        hashes = top(mix(grams))
        known = self._known[hashes >> _TO_FLAG]
        alone = Sets.of(owner[~known], hashes[~known], len(texts)).sizes
        return (4 * alone <= np.bincount(owner[known], minlength=len(texts))) | (texts.counts < GRAM)

    def compare(self) -> None:
        """Find the pairs of what waits."""
        if not self._waiting:
            return
        rows, keys, answers = (np.concatenate(column) for column in list(zip(*self._waiting, strict=True))[:3])
        grams, index, items = concat([waiting[3] for waiting in self._waiting]), self.index, len(self.index.grams)
        self._waiting.clear()
        _, first, group = np.unique(set_keys(grams), return_index=True, return_inverse=True)
        near = near_across(index.grams, grams.take(first), SHORT_THRESHOLD, compiled=self.compiled)
        members, starts = np.argsort(group, kind="stable"), offsets(np.bincount(group))
        count = np.diff(starts)[near.other]
        place, item = members[ranges(starts[near.other], count)], np.repeat(near.one, count)
        order = np.lexsort((item, place))
        place, item = place[order], item[order]
        fresh = keys[place] != index.sequence[item]
        place, item = place[fresh], item[fresh]
        may_agree = (answers[place] == index.answers[item]) | index.odd[item]
        others = item[~may_agree]
        noted = may_agree.copy()
        noted[~may_agree] = self._others[others] + earlier(others) < SUSPECTS
        self._others += np.bincount(others, minlength=items)
        self.found.append((rows[place[noted]], item[noted]))
