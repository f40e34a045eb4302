"""Pairs of a train row and a test item that deserve a look, by weighted containment, in columns.

A gram counts 1 / (rows that hold it, copies of one row as one), so that boilerplate counts for next to nothing. A few
rows that each hold half of a long text, and together most of it, are edited copies of it and count as one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.likeness.hashing import places_in
from curation.likeness.leaks.index import LABEL_WORDS, NO_ANSWER, SUSPECTS, TestIndex
from curation.likeness.leaks.scan import NOTED, Scan
from curation.likeness.sets import I64, SLACK, U32, Bools, distinct, earlier, ranges
from curation.likeness.words import LEAST, SHARE

Floats = npt.NDArray[np.float64]

ANSWER_SHARE = 0.28
"""Discounted share of an answer's grams, found in one train row, from which it is a leak. Chosen among 36 settings
on Debian package descriptions; held on a second draw of leaks (docs/duplicates-and-leaks.md)."""
QUESTION_SHARE = 0.6
"""The same for a question, which is shorter and closer to its neighbours."""
RAW_SHARE = 0.68
"""Undiscounted share from which a pair is judged, whatever its grams' weights: near questions and texts of which
.7 of the 5-grams are found have it. Of a question under 8 words all grams must be found."""
SPAN = 6
"""Discounted grams (8 words in a row) from which a pair is judged as a shared span."""
RARE_SHARE = 0.4
"""Share of a part's grams that are rare (all their rows are noted) from which only these count for it."""
LONG, HALF, FEW, UNION = 24, 0.5, 5, 0.8
"""Own grams of a part, the share of them that a row holds, the most such rows (copies as one) that count as one, and
the share that they hold together: copies are edited at different places, rows of one template differ at the same ones.
"""
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class CandidatePairs:
    """Pairs of a train row and a test item, each once, in this order.

    `question` and `answer` are the discounted shares of the parts that are worth a look, -1 for others; `same_words`
    where texts with the same words were met. `template` says of each gram of the test whether it is part of one.
    """

    row: I64
    item: I64
    question: Floats
    answer: Floats
    same_words: Bools
    template: Bools


def candidate_pairs(scan: Scan, labels: Collection[int]) -> CandidatePairs:
    """Return all pairs that share enough grams, have texts with the same words or near short questions. One label of
    `labels` on both sides is no reason to look at them.
    """
    index, items = scan.index, max(1, len(scan.index.grams))
    rows, numbers = scan.take_hits()
    copies = np.concatenate(scan.copies)
    spread = _spread(copies, rows, numbers, len(scan.count))
    template = _template_grams(scan, spread)
    row, part, share = _contained(scan, rows, numbers, spread, template, copies)
    may_be_answered = index.answers[index.item[part]] != NO_ANSWER
    keep = (index.words[part] >= LABEL_WORDS) | may_be_answered | (earlier(part) < SUSPECTS)
    row, part, share = row[keep], part[keep], share[keep]
    judged = np.ones(len(index.item), np.bool_)
    judged[list(labels)] = False
    same = [rows[judged[parts]] * items + index.item[parts[judged[parts]]] for rows, parts in scan.same_words]
    short = [rows * items + found for rows, found in scan.short.found]
    looked_at, by_words = row * items + index.item[part], np.concatenate(same)
    key = np.unique(np.concatenate((looked_at, by_words, *short)))
    question, answer = np.full(len(key), -1.0), np.full(len(key), -1.0)
    of_answer, place = index.is_answer[part], np.searchsorted(key, looked_at)
    question[place[~of_answer]] = share[~of_answer]
    answer[place[of_answer]] = share[of_answer]
    return CandidatePairs(key // items, key % items, question, answer, np.isin(key, by_words), template)


def _contained(
    scan: Scan, rows: I64, numbers: I64, spread: I64, template: Bools, copies: U32
) -> tuple[I64, I64, Floats]:
    """Return row, part and discounted share of all pairs of which it or the undiscounted share lets a leak or a span be
    possible. `rows` hold the grams `numbers`.
    """
    from scipy.sparse import csr_matrix

    index = scan.index
    is_rare = ~template & (scan.count <= NOTED)
    size, rare = _per_part(index, ~template), _per_part(index, is_rare)
    known = np.where(rare >= RARE_SHARE * size, rare, size)
    counts = np.repeat(is_rare, np.diff(index.held_from)) | (known == size)[index.holders]
    wanted = np.where(index.is_answer, ANSWER_SHARE, QUESTION_SHARE)
    weights = 1.0 / np.maximum(spread, 1) + 1j  # the weight, and 1 to be counted, summed in one product
    rows, numbers = rows[~template[numbers]], numbers[~template[numbers]]
    held = csr_matrix((counts.astype(float), index.holders, index.held_from), (len(weights), len(index.item)))
    parts = [(rows[:0], rows[:0], np.zeros(0), np.zeros(0), np.zeros(0, np.bool_))]
    for first in range(0, scan.rows, ROWS_AT_ONCE):
        some = slice(*np.searchsorted(rows, (first, first + ROWS_AT_ONCE)))
        cells = weights[numbers[some]], (rows[some] - first, numbers[some])
        sums = (csr_matrix(cells, (ROWS_AT_ONCE, len(weights))) @ held).tocoo()
        part, weight, found = sums.col.astype(np.int64), sums.data.real, np.rint(sums.data.imag)
        share, whole = weight / size[part], found / known[part]
        chosen = (share >= wanted[part]) | (whole >= RAW_SHARE) | (weight >= SPAN)
        chosen &= (whole >= 1 - SLACK) | (index.words[part] >= LABEL_WORDS)
        likely = chosen | ((found >= HALF * size[part]) & (size[part] >= LONG))
        columns = sums.row.astype(np.int64) + first, part, share, found, chosen
        parts.append(tuple(column[likely] for column in columns))
    row, part, share, found, chosen = (np.concatenate(column) for column in zip(*parts, strict=True))
    copied = np.flatnonzero((found >= HALF * size[part]) & (size[part] >= LONG))
    one = _as_one(index, (rows, numbers), (row[copied], part[copied]), spread, copies, size)
    share[copied] = np.maximum(share[copied], one)
    chosen |= share >= wanted[part]
    return row[chosen], part[chosen], share[chosen]


def _as_one(
    index: TestIndex, hits: tuple[I64, I64], pairs: tuple[I64, I64], spread: I64, copies: U32, size: I64
) -> Floats:
    """Return the discounted share of each of the `pairs` (row, part) where those of a part count as one row; 0 where
    they are no edited copies.
    """
    (rows, numbers), (row, part), grams = hits, pairs, len(spread)
    different = distinct((part << 32) | copies[row]) >> 32
    few = np.bincount(different, minlength=len(index.item))[part] <= FEW
    begin = np.searchsorted(rows, row)
    count = np.where(few, np.searchsorted(rows, row, "right") - begin, 0)
    pair, number = np.repeat(np.arange(len(row)), count), numbers[ranges(begin, count)]
    held = np.sort(np.repeat(np.arange(grams), np.diff(index.held_from)) + index.holders * grams)
    cell = part[pair] * grams + number
    inside, _ = places_in(held, cell)
    pair, number = pair[inside], number[inside]
    cells, place = np.unique(cell[inside], return_inverse=True)
    alike = _spread(copies, row[pair], place, len(cells))[place]
    together = np.bincount(cells // grams, minlength=len(size)) >= UNION * size
    return np.bincount(pair, together[part[pair]] / (spread[number] - alike + 1), len(row)) / size[part]


def _spread(copies: U32, rows: I64, numbers: I64, grams: int) -> I64:
    """Return for each gram how many rows hold it (of those that were noted); copies of one row count once."""
    held = distinct((numbers << 32) | copies[rows]) >> 32
    return np.bincount(held, minlength=grams)


def _template_grams(scan: Scan, spread: I64) -> Bools:
    """True for each gram that is in more than 10% of the train rows and in at least 20 that are no copies, and in more
    than 10% of the test items and in at least 2. A gram whose holders are mostly copies is of one leak, no template.
    """
    common = (spread >= LEAST) & (scan.count > SHARE * scan.rows) & (spread * 2 >= np.minimum(scan.count, NOTED))
    return common & (np.diff(scan.index.held_from) > max(1, SHARE * len(scan.index.grams)))


def _per_part(index: TestIndex, which: Bools) -> I64:
    """Return the number of distinct grams of each part that are among `which`."""
    chosen = np.repeat(which, np.diff(index.held_from))
    return np.bincount(index.holders[chosen], minlength=len(index.item))
