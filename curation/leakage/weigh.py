"""Which (train row, part) pairs deserve a look: containment in which a gram counts 1 / (rows of different nature
that hold it), so that boilerplate counts for next to nothing and copies of one leak count as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.join import SLACK, distinct
from curation.leakage.index import LABEL_WORDS, TestIndex
from curation.leakage.rest import rest_spread, rests_of
from curation.leakage.scan import NOTED, Scan
from curation.prints import Source
from curation.sets import I64, U64, offsets
from curation.similarity.template import LEAST, SHARE

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
ANSWER_SHARE = 0.28
"""Discounted share of an answer's grams, found in one train row, from which it is a leak. Chosen among 36 settings
on Debian package descriptions; held on a second draw of leaks (docs/duplicates-and-leaks.md)."""
QUESTION_SHARE = 0.6
"""The same for a question, which is shorter and closer to its neighbours."""
RAW_SHARE = 0.68
"""Undiscounted share from which a pair is looked at, whatever its grams' weights: near questions and texts of which
.7 of the 5-grams are found have it. Of a question under 8 words all grams must be found."""
SPAN = 6
"""Discounted grams (8 words in a row) from which a pair is looked at as a shared span."""
RARE_BELOW = 64
"""Rows of different nature up to which a gram counts for its holders at all."""
AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class Looked:
    """Pairs to look at, and the discounted share of the part that stands in the row; by gram whether it is part of
    a template.
    """

    row: I64
    part: I64
    share: npt.NDArray[np.float64]
    template: Bools


def template_grams(index: TestIndex, scan: Scan, hits: tuple[I64, I64], spread: I64, source: Source) -> Bools:
    """For each gram whether it stands in more than 10% of the train rows and in at least 20, of different natures,
    and in more than 10% of the test items and in at least 2: one leak copied into many rows is no template.

    Where a long instruction is most of each row, rows have one nature for it alone: those are told apart by the rest.
    """
    common = (scan.count >= LEAST) & (scan.count > SHARE * scan.rows)
    items = max(1, int(index.item.max(initial=0)) + 1)
    likely = common & (np.diff(index.held_from) > max(1, SHARE * items))
    sure: Bools = likely & _is_varied(spread, scan)
    if (open_ := likely & ~sure).any():
        sure |= open_ & _is_varied(rest_spread(index, likely, open_, hits, source, compiled=scan.compiled), scan)
    return sure


def _is_varied(spread: I64, scan: Scan) -> Bools:
    """For each gram whether its holders are of many natures, and not for the most part of the same few."""
    return (spread >= LEAST) & (spread * 2 >= np.minimum(scan.count, NOTED))


def pairs_to_look_at(index: TestIndex, scan: Scan, source: Source, *, compiled: bool = False) -> Looked:
    """All pairs whose containment, discounted or not, reaches a share from which a leak or a span is possible."""
    rows, numbers = scan.take_hits()
    nature = _natures(scan)
    spread = _spread(nature, rows, numbers, len(index.table))
    common = template_grams(index, scan, (rows, numbers), spread, source)
    if _tell_apart(nature, rows, index.table[common], source, compiled):
        spread = _spread(nature, rows, numbers, len(index.table))
    counts_for = _per_part(index, ~common)
    size = np.where(counts_for > 0, counts_for, index.distinct)
    live = (spread < RARE_BELOW) & ~common
    heavy = _per_part(index, live) < 0.4 * counts_for
    known = np.where(heavy, size, np.maximum(_per_part(index, live), 1))
    wanted = np.where(index.is_answer, ANSWER_SHARE, QUESTION_SHARE)
    least = np.minimum(wanted * size, SPAN) - SLACK, RAW_SHARE * known - SLACK
    row, part, weight, found = _sums(index, rows, numbers, spread, _Which(common, live, heavy, least), compiled)
    share, whole = weight / np.maximum(size[part], 1), found / known[part]
    chosen = (share >= wanted[part]) | (whole >= RAW_SHARE) | (weight >= SPAN)
    chosen &= (whole >= 1 - SLACK) | (index.words[part] >= LABEL_WORDS)
    return Looked(row[chosen], part[chosen], share[chosen], common)


def _natures(scan: Scan) -> U64:
    """The nature of each row with a hit, in their order."""
    return np.concatenate([least for _, least in scan.nature]) if scan.nature else np.zeros(0, np.uint64)


def _tell_apart(nature: U64, rows: I64, template: U64, source: Source, compiled: bool) -> bool:
    """Give rows whose least gram is of the template the least of the others instead; whether there were such."""
    if not len(template):
        return False
    alike = np.flatnonzero(template[np.minimum(np.searchsorted(template, nature), len(template) - 1)] == nature)
    if len(alike):
        nature[alike] = rests_of(np.unique(rows)[alike], template, source, compiled=compiled)
    return bool(len(alike))


def _spread(nature: U64, rows: I64, numbers: I64, grams: int) -> I64:
    """For each gram how many rows of different nature hold it (of those that were noted). Rows are in order, and each
    has a gram once: only rows whose nature others share need a look at their grams.
    """
    if not len(rows):
        return np.zeros(grams, np.int64)
    natures = nature >> np.uint64(28)
    hits = np.diff(np.append(np.flatnonzero(np.diff(rows, prepend=-1)), len(rows)))
    _, inverse, count = np.unique(natures, return_inverse=True, return_counts=True)
    alone = np.repeat(count[inverse] == 1, hits)
    shared = ~alone
    of_hit = np.repeat(natures, hits)[shared]
    fresh = distinct((numbers[shared].astype(np.uint64) << np.uint64(36)) | of_hit)
    return np.bincount(numbers[alone], minlength=grams) + np.bincount(
        (fresh >> np.uint64(36)).astype(np.int64), minlength=grams
    )


def _per_part(index: TestIndex, which: Bools) -> I64:
    """How many distinct grams of each part are among `which`."""
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


@dataclass(frozen=True, slots=True)
class _Which:
    """By gram: part of a template; rare enough to count. By part: made of grams that are neither, for the most part,
    so that these count for it too; the weight and the number of grams below which, both, a pair is surely not chosen.
    """

    common: Bools
    live: Bools
    heavy: Bools
    least: tuple[Floats, Floats]


def _sums(
    index: TestIndex, rows: I64, numbers: I64, spread: I64, which: _Which, compiled: bool
) -> tuple[I64, I64, Floats, I64]:
    """By (row, part): the two, the discounted weight and the number of the part's grams that the row holds."""
    weights = 1.0 / np.maximum(spread, 1)
    if compiled:
        from curation.kernels import weigh

        held = (index.held_from, index.holders)
        return weigh(rows, numbers, held, weights, (which.live, which.common), which.heavy, which.least)
    parts = [_sum_some(index, rows[a:b], numbers[a:b], weights, which) for a, b in _chunks(rows, numbers, index)]
    if not parts:
        return rows, rows, np.zeros(0), rows
    return (
        np.concatenate([row for row, _, _, _ in parts]),
        np.concatenate([part for _, part, _, _ in parts]),
        np.concatenate([weight for _, _, weight, _ in parts]),
        np.concatenate([found for _, _, _, found in parts]),
    )


def _sum_some(
    index: TestIndex, rows: I64, numbers: I64, weights: Floats, which: _Which
) -> tuple[I64, I64, Floats, I64]:
    count = np.diff(index.held_from)[numbers]
    inner = np.arange(count.sum()) - np.repeat(offsets(count)[:-1], count)
    part = index.holders[np.repeat(index.held_from[:-1][numbers], count) + inner]
    row, number = np.repeat(rows, count), np.repeat(numbers, count)
    counts = which.live[number] | (which.heavy[part] & ~which.common[number])
    row, part, number = row[counts], part[counts], number[counts]
    pairs, where = np.unique(row * len(index.item) + part, return_inverse=True)
    weight: Floats = np.bincount(where, which.live[number] * weights[number], len(pairs)).astype(np.float64)
    found: I64 = np.bincount(where, minlength=len(pairs))
    return pairs // len(index.item), pairs % len(index.item), weight, found
