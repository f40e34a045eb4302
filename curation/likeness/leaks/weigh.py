"""Pairs of a train row and a test item that deserve a look, by weighted containment, in columns.

A gram counts 1 / (rows of different nature that hold it), so that boilerplate counts for next to nothing and copies of
one leak count as one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.example import Example, all_texts
from curation.likeness.fingerprints import RowSource
from curation.likeness.hashing import words_of
from curation.likeness.join import distinct
from curation.likeness.leaks.index import GRAM_WORDS, LABEL_WORDS, NO_ANSWER, TestIndex, places_in
from curation.likeness.leaks.scan import NOTED, Scan, in_orders, natures_of
from curation.likeness.sets import I64, SLACK, U32, U64, earlier, offsets
from curation.likeness.words import LEAST, SHARE

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
ROWS_AT_ONCE = 512


def rest_spread(scan: Scan, likely: Bools, wanted: Bools, hits: tuple[I64, I64], source: RowSource) -> Floats:
    """Return for each of the `wanted` grams how many different rests its holders (of those that were noted) have: the
    nature of a row by the grams that are not `likely` to be of a template. Copies have one rest, or none.
    """
    chosen = np.flatnonzero(wanted[hits[1]])
    rows, numbers = hits[0][chosen], hits[1][chosen]
    holders, place = np.unique(rows, return_inverse=True)
    rests = rests_of(holders, scan.index.table[likely], source, compiled=scan.compiled)
    return _natures_held(rests, place, numbers, len(likely))


def rests_of(rows: I64, table: U64, source: RowSource, *, compiled: bool) -> U32:
    """Return the nature of each of the rows by its grams that are not in `table`."""
    parts = [rows[begin : begin + ROWS_AT_ONCE] for begin in range(0, len(rows), ROWS_AT_ONCE)]
    return np.concatenate([_rests(source.fetch(some.tolist()), table, compiled) for some in parts], axis=1)


def _rests(examples: Sequence[Example], table: U64, compiled: bool) -> U32:
    texts = [all_texts(example) for example in examples]
    text, hashes = words_of([each for some in texts for each in some], compiled=compiled).grams(GRAM_WORDS)
    owner = np.repeat(np.arange(len(texts)), [len(some) for some in texts])[text]
    other = np.ones(len(hashes), np.bool_)
    other[places_in(table, hashes)[0]] = False
    return natures_of(owner[other], hashes[other], np.arange(len(texts)))


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
RARE_BELOW = 64
"""Rows of different nature up to which a gram counts for its holders at all."""
AT_ONCE = 1 << 21
SUSPECTS = 3
"""Suspects that are listed for one test item."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Pairs to compare, with the discounted share of the part in the row; by gram whether it is of a template."""

    row: I64
    part: I64
    share: npt.NDArray[np.float64]
    template: Bools


def template_grams(scan: Scan, hits: tuple[I64, I64], nature: U32, source: RowSource) -> Bools:
    """Return for each gram whether it is in more than 10% of the train rows and in at least 20, of different natures,
    and in more than 10% of the test items and in at least 2: one leak copied into many rows is no template.

    Where a long instruction is most of each row, rows have one nature for it alone: those are ranked by the rest.
    """
    common = (scan.count >= LEAST) & (scan.count > SHARE * scan.rows)
    likely = common & (np.diff(scan.index.held_from) > max(1, SHARE * len(scan.index.grams)))
    sure: Bools = likely & _is_varied(_spread(nature, *hits, likely), scan)
    if (open_ := likely & ~sure).any():
        sure |= open_ & _is_varied(rest_spread(scan, likely, open_, hits, source), scan)
    return sure


def _is_varied(spread: Floats, scan: Scan) -> Bools:
    """Return for each gram whether its holders have many natures, not mostly the same few."""
    return (spread >= LEAST) & (spread * 2 >= np.minimum(scan.count, NOTED))


def pairs_to_look_at(scan: Scan, source: RowSource) -> Looked:
    """All pairs whose containment, discounted or not, reaches a share from which a leak or a span is possible."""
    index = scan.index
    rows, numbers = scan.take_hits()
    nature = np.concatenate(scan.nature, axis=1)
    common = template_grams(scan, (rows, numbers), nature, source)
    _tell_apart(nature, rows, index.table[common], source, scan.compiled)
    spread = _spread(nature, rows, numbers, ~common)
    counts_for = _per_part(index, ~common)
    size = np.where(counts_for > 0, counts_for, index.distinct)
    live = (spread < RARE_BELOW) & ~common
    heavy = _per_part(index, live) < 0.4 * counts_for
    known = np.where(heavy, size, np.maximum(_per_part(index, live), 1))
    wanted = np.where(index.is_answer, ANSWER_SHARE, QUESTION_SHARE)
    weights = 1.0 / np.maximum(spread, 1)
    parts = [(rows[:0], rows[:0], np.zeros(0))]
    for begin, end in _chunks(rows, numbers, index):
        row, part, weight, found = _sums(index, rows[begin:end], numbers[begin:end], weights, common, live, heavy)
        share, whole = weight / size[part], found / known[part]
        chosen = (share >= wanted[part]) | (whole >= RAW_SHARE) | (weight >= SPAN)
        chosen &= (whole >= 1 - SLACK) | (index.words[part] >= LABEL_WORDS)
        parts.append((row[chosen], part[chosen], share[chosen]))
    row, part, share = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Looked(row, part, share, common)


def _tell_apart(nature: U32, rows: I64, template: U64, source: RowSource, compiled: bool) -> None:
    """Give rows whose nature is of the template that of their other grams instead."""
    found = [places_in(np.sort(ranks), nature[k])[0] for k, ranks in enumerate(in_orders(template))]
    alike = distinct(np.concatenate(found))
    if len(alike):
        nature[:, alike] = rests_of(np.unique(rows)[alike], template, source, compiled=compiled)


def _spread(nature: U32, rows: I64, numbers: I64, wanted: Bools) -> Floats:
    """Return for each of the `wanted` grams how many noted rows of different nature hold it, each once, in order."""
    place = np.cumsum(np.diff(rows, prepend=rows[:1]) > 0, dtype=np.int64)
    chosen = wanted[numbers]
    return _natures_held(nature, place[chosen], numbers[chosen], len(wanted))


def _natures_held(nature: U32, place: I64, numbers: I64, grams: int) -> Floats:
    """Return for each gram how many natures its holders have, the mean over all orders. `place` is the holder's."""
    total = np.zeros(grams)
    gram = numbers.astype(np.uint64) << np.uint64(32)
    for natures in nature:
        held = distinct(gram | natures[place]) >> np.uint64(32)
        total += np.bincount(held.astype(np.int64), minlength=grams)
    return total / len(nature)


def _per_part(index: TestIndex, which: Bools) -> I64:
    """Return the number of distinct grams of each part that are in `which`."""
    chosen = np.repeat(which, np.diff(index.held_from))
    return np.bincount(index.holders[chosen], minlength=len(index.item))


def _chunks(rows: I64, numbers: I64, index: TestIndex) -> Iterator[tuple[int, int]]:
    """Cut between rows, a few million (row, part) pairs at once."""
    at = offsets(np.diff(index.held_from)[numbers])
    ends = np.flatnonzero(np.concatenate((rows[1:] != rows[:-1], [True]))) + 1 if len(rows) else rows
    begin = 0
    while begin < len(rows):
        last = int(np.searchsorted(at[ends], at[begin] + AT_ONCE, "right")) - 1
        end = int(ends[max(last, int(np.searchsorted(ends, begin, "right")))])
        yield begin, end
        begin = end


def _sums(
    index: TestIndex, rows: I64, numbers: I64, weights: Floats, common: Bools, live: Bools, heavy: Bools
) -> tuple[I64, I64, Floats, I64]:
    """Return by (row, part) the two, the discounted weight and the number of the part's grams that the row holds.

    A gram that is `live` (rare enough) counts for all its holders, one that is neither that nor `common` only in the
    number, and only for a `heavy` part: one that is made of such grams for the most part.
    """
    from scipy.sparse import csr_matrix

    shape = len(live), len(index.item)
    holds = csr_matrix((np.ones(len(index.holders)), index.holders, index.held_from), shape)
    which, place = np.unique(rows, return_inverse=True)
    total = csr_matrix((len(which), len(index.item)), dtype=np.complex128)
    for chosen, held in ((live[numbers], holds), (~(live | common)[numbers], holds.multiply(heavy).tocsr())):
        some = numbers[chosen]
        both = live[some] * weights[some] + 1j  # the weight, and 1 to be counted, summed in one product
        total += csr_matrix((both, (place[chosen], some)), (len(which), len(live))) @ held
    total.sort_indices()
    row = np.repeat(which, np.diff(total.indptr))
    return row, total.indices.astype(np.int64), total.data.real, np.rint(total.data.imag).astype(np.int64)


@dataclass(frozen=True, slots=True)
class CandidatePairs:
    """Pairs of a train row and a test item, each once, in this order.

    `question` and `answer` are the discounted shares of the parts that are worth a look, -1 for others; `same_words`
    where texts with the same words were met, `differ` where the answers are known to.
    """

    row: I64
    item: I64
    question: Floats
    answer: Floats
    same_words: Bools
    differ: Bools

    def of_rows(self, first: int, last: int) -> CandidatePairs:
        """Return the pairs of the rows from `first` to `last`."""
        at = slice(*np.searchsorted(self.row, [first, last + 1]).tolist())
        shares = self.question[at], self.answer[at]
        return CandidatePairs(self.row[at], self.item[at], *shares, self.same_words[at], self.differ[at])


def candidate_pairs(scan: Scan, looked: Looked, labels: Collection[int]) -> CandidatePairs:
    """Return the pairs that `looked` or the scan names: those of `labels` only where the question may be answered."""
    index, items = scan.index, len(scan.index.grams)
    merely = index.words[looked.part] < LABEL_WORDS
    may_be_answered = index.answers[index.item[looked.part]] != NO_ANSWER
    keep = ~merely | may_be_answered | (earlier(looked.part) < SUSPECTS)
    row, part, share = looked.row[keep], looked.part[keep], looked.share[keep]
    by_words = _with_same_words(scan, labels, items)
    looked_at = row * items + index.item[part]
    known = np.unique(np.concatenate((looked_at, by_words)))
    short, open_ = _short(scan, known, items)
    key = np.unique(np.concatenate((known, short)))
    question, answer = np.full(len(key), -1.0), np.full(len(key), -1.0)
    of_answer, place = index.is_answer[part], np.searchsorted(key, looked_at)
    question[place[~of_answer]] = share[~of_answer]
    answer[place[of_answer]] = share[of_answer]
    same_words, differ = np.zeros(len(key), np.bool_), np.zeros(len(key), np.bool_)
    same_words[np.searchsorted(key, by_words)] = True
    differ[np.searchsorted(key, short)] = ~open_
    return CandidatePairs(key // items, key % items, question, answer, same_words, differ)


def _with_same_words(scan: Scan, labels: Collection[int], items: int) -> I64:
    """Return pairs with texts of the same words. That both have one label is no reason to look at them."""
    judged = np.ones(len(scan.index.item), np.bool_)
    judged[list(labels)] = False
    found = [np.zeros(0, np.int64)]
    for rows, parts in scan.same_words:
        keep = judged[parts]
        found.append(rows[keep] * items + scan.index.item[parts[keep]])
    return np.unique(np.concatenate(found))


def _short(scan: Scan, known: I64, items: int) -> tuple[I64, Bools]:
    """Short near pairs that are not `known`, and which may have the same answer; of the others a few, as suspects."""
    if not scan.short_near:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    row, item, open_ = (np.concatenate(column) for column in zip(*scan.short_near, strict=True))
    fresh = ~np.isin(row * items + item, known)
    row, item, open_ = row[fresh], item[fresh], open_[fresh]
    keep, others = open_.copy(), np.flatnonzero(~open_)
    keep[others[earlier(item[others]) < SUSPECTS]] = True
    return (row * items + item)[keep], open_[keep]
