"""The pairs of train rows and test items that are to be judged, in columns: some 40 bytes each."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from curation.leakage.index import LABEL_WORDS, TestIndex
from curation.leakage.judge import Pair
from curation.leakage.scan import Scan, ShortNear, earlier
from curation.leakage.weigh import Looked
from curation.sets import I64

SUSPECTS = 3
"""Suspects that are listed for one test item."""
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Pairs:
    """Pairs, each once, by train row and test item. What is not known is not a number."""

    def __init__(self, index: TestIndex, scan: Scan, looked: Looked, labels: Collection[int]) -> None:
        self._items = max(1, len(index.grams))
        merely = index.words[looked.part] < LABEL_WORDS
        keep = ~merely | (earlier(looked.part) < SUSPECTS)
        row, part, share = looked.row[keep], looked.part[keep], looked.share[keep]
        by_words = _with_same_words(index, scan, labels, self._items)
        looked_at = row * self._items + index.item[part]
        known = np.unique(np.concatenate((looked_at, by_words)))
        short = _short(scan, known, self._items)
        self.key = np.unique(np.concatenate((known, short.row * self._items + short.item)))
        self.rows: I64 = np.unique(self.key // self._items)
        self.question, self.answer = np.full(len(self.key), np.nan), np.full(len(self.key), np.nan)
        of_answer = index.is_answer[part]
        place = np.searchsorted(self.key, looked_at)
        self.question[place[~of_answer]] = share[~of_answer]
        self.answer[place[of_answer]] = share[of_answer]
        self.same_words = np.zeros(len(self.key), np.bool_)
        self.same_words[np.searchsorted(self.key, by_words)] = True
        self.short_near, self.differ = np.zeros(len(self.key)), np.zeros(len(self.key), np.bool_)
        place = np.searchsorted(self.key, short.row * self._items + short.item)
        self.short_near[place], self.differ[place] = short.score, ~short.open

    def of(self, rows: Sequence[int]) -> dict[int, dict[int, Pair]]:
        """The pairs of some neighbouring rows: by row, by test item."""
        first, last = np.searchsorted(self.key, [rows[0] * self._items, (rows[-1] + 1) * self._items])
        some = slice(int(first), int(last))
        columns = (self.key, self.question, self.answer, self.short_near, self.same_words, self.differ)
        found: dict[int, dict[int, Pair]] = defaultdict(dict)
        for key, question, answer, near, same, differ in zip(*(c[some].tolist() for c in columns), strict=True):
            row, item = divmod(key, self._items)
            found[row][item] = Pair(0.0, near, _known(question), _known(answer), same, differ)
        return found


def _known(share: float) -> float | None:
    return None if math.isnan(share) else share


def _with_same_words(index: TestIndex, scan: Scan, labels: Collection[int], items: int) -> I64:
    """Pairs with texts of the same words. That both have one label is no reason to look at them."""
    judged = np.ones(len(index.item), np.bool_)
    judged[list(labels)] = False
    found = []
    for rows, parts in scan.same_words:
        keep = judged[parts]
        found.append(rows[keep] * items + index.item[parts[keep]])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _short(scan: Scan, known: I64, items: int) -> ShortNear:
    """Short near pairs that are not `known`: they may have the same answer; of the others a few, as suspects."""
    if not scan.short_near:
        none = np.zeros(0, np.int64)
        return ShortNear(none, none, np.zeros(0), np.zeros(0, np.bool_))
    row, item, score, may_be = (np.concatenate(column) for column in zip(*scan.short_near, strict=True))
    fresh = ~np.isin(row * items + item, known)
    row, item, score, may_be = row[fresh], item[fresh], score[fresh], may_be[fresh]
    keep = may_be.copy()
    others = np.flatnonzero(~may_be)
    keep[others[earlier(item[others]) < SUSPECTS]] = True
    return ShortNear(row[keep], item[keep], score[keep], may_be[keep])
