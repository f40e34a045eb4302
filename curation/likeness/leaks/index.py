"""The test side: every question and every long answer, as word 3-grams in one table. Train only passes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.likeness import SHORT_THRESHOLD
from curation.likeness.hashing import hash_texts, with_bytes, words_of
from curation.likeness.join import distinct
from curation.likeness.sets import I32, I64, SLACK, U64, Sets, earlier, offsets

LABEL_WORDS = 8
"""An answer of fewer words is a label; a question of fewer words inside a message is a suspect."""
GRAM_WORDS = 3
"""Words in a gram: short enough to live through edits."""
GAP = 8
"""Words between two found ones that count for a stretch as well."""
_TO_FLAG = np.uint64(64 - 22)
NO_ANSWER = 1
"""Key of an answer where there is none."""


@dataclass(frozen=True, slots=True)
class ShortGrams:
    """Character grams of the short questions. Two near sets share one of the rarest of both, n - ceil(.8 n) + 1 of n.

    `values` (ascending) are the grams that are a rarest of some item, with the `rank` of each, the rarest first;
    `ranks` (ascending) and `items` say of which; `bits` are those of each item's set. `known` is a map of all grams by
    their low 20 bits: where it is False, no gram is like that.
    """

    values: npt.NDArray[np.uint32]
    rank: I64
    ranks: I64
    items: I64
    bits: U64
    known: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TestIndex:
    """Parts are the questions of all items, then their answers of 8 words and more.

    By part: `item`, `is_answer`, `words`, `sequence` (key of its words in their order; ascending, with the part of
    each, in `by_key`), `distinct` grams, and
    `ordered[begins[p]:begins[p + 1]]`, the number of each gram in the order of the text. By gram: its hash in
    `table` (ascending; by the top 22 bits of a hash `first` says where such ones begin, `flags` whether there are some;
    there are `steps` at most) and the parts that hold it,
    `holders[held_from[g]:held_from[g + 1]]`. `sizes` are the lengths of grams in use: 3, and 1 or 2 where a question
    has no more words.

    By item: `grams` of its question where it is short (`short`: how they are found in other questions), the key of its
    answer's words in `answers`, and in `odd` whether that key is not enough to tell an answer apart (no word, or not
    ASCII).
    """

    item: I64
    is_answer: npt.NDArray[np.bool_]
    words: I64
    sequence: U64
    by_key: tuple[U64, I64]
    distinct: I64
    ordered: I64
    begins: I64
    table: U64
    first: I32
    flags: npt.NDArray[np.bool_]
    steps: int
    holders: I64
    held_from: I64
    sizes: tuple[int, ...]
    grams: Sets
    short: ShortGrams
    answers: U64
    odd: npt.NDArray[np.bool_]

    def part_grams(self, part: int) -> I64:
        """Return numbers of the part's grams, in the order of its text."""
        return self.ordered[self.begins[part] : self.begins[part + 1]]

    def lookup(self, grams: U64) -> tuple[I64, I64]:
        """Return places of those grams that the test side holds, and the number of each."""
        likely = np.flatnonzero(self.flags[grams >> _TO_FLAG])
        wanted, last = grams[likely], len(self.table) - 1
        number = self.first[wanted >> _TO_FLAG].astype(np.int64)
        for _ in range(self.steps):
            number += self.table[np.minimum(number, last)] < wanted
        found = np.flatnonzero(self.table[np.minimum(number, last)] == wanted) if len(likely) else likely
        return likely[found], number[found]


def places_in(table: npt.NDArray[Any], keys: npt.NDArray[Any]) -> tuple[I64, I64]:
    """Return places in `keys` whose key is in the ascending `table`, and its first place there."""
    if not len(table):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    at = np.searchsorted(table, keys)
    at[at == len(table)] = 0
    found = np.flatnonzero(table[at] == keys)
    return found, at[found]


def build_index(test: Sequence[Example], *, compiled: bool = False) -> TestIndex:
    """Index the test items."""
    questions = [example.question for example in test]
    answers = [example.answer or "" for example in test]
    given = words_of(answers, compiled=compiled)
    said = with_bytes(given.sequence_keys(), answers).tolist()
    long = np.flatnonzero(given.counts >= LABEL_WORDS)
    texts = [*questions, *(answers[int(i)] for i in long)]
    found = words_of(texts, compiled=compiled)
    counts = found.counts
    owners, hashes, sizes = [], [], []
    for size in (1, 2, GRAM_WORDS):
        owner, values = found.grams(size)
        mine = (counts[owner] == size) if size < GRAM_WORDS else np.ones(len(owner), np.bool_)
        if mine.any():
            owners.append(owner[mine])
            hashes.append(values[mine])
            sizes.append(size)
    owner = np.concatenate(owners) if owners else np.zeros(0, np.int64)
    table, number = np.unique(np.concatenate(hashes) if hashes else np.zeros(0, np.uint64), return_inverse=True)
    order = np.argsort(owner, kind="stable")
    pairs = distinct(number.astype(np.int64) * len(texts) + owner)
    short = hash_texts(questions, compiled=compiled).grams
    sequence = with_bytes(found.sequence_keys(), texts)
    by_key = np.argsort(sequence, kind="stable")
    first = offsets(np.bincount((table >> _TO_FLAG).astype(np.int64), minlength=1 << 22)).astype(np.int32)
    return TestIndex(
        item=np.concatenate((np.arange(len(test)), long)),
        is_answer=np.arange(len(texts)) >= len(test),
        words=counts,
        sequence=sequence,
        by_key=(sequence[by_key], by_key),
        distinct=np.bincount(pairs % max(1, len(texts)), minlength=len(texts)),
        ordered=number[order].astype(np.int64),
        begins=offsets(np.bincount(owner, minlength=len(texts))),
        table=table,
        first=first[:-1],
        flags=np.diff(first) > 0,
        steps=int(np.diff(first).max()),
        holders=pairs % max(1, len(texts)),
        held_from=offsets(np.bincount(pairs // max(1, len(texts)), minlength=len(table))),
        sizes=tuple(sizes),
        grams=short,
        short=_short_grams(short),
        answers=np.array([NO_ANSWER if e.answer is None else k for e, k in zip(test, said, strict=True)], np.uint64),
        odd=np.array([not (a.isascii() and n) for a, n in zip(answers, given.counts, strict=True)], np.bool_),
    )


def _short_grams(grams: Sets) -> ShortGrams:
    values, inverse, count = np.unique(grams.hashes, return_inverse=True, return_counts=True)
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(count, kind="stable")] = np.arange(len(values))
    item, ranks = rarest(grams.owners(), rank[inverse], grams.sizes - least_shared(grams.sizes) + 1)
    order = np.argsort(ranks, kind="stable")
    used = np.unique(ranks)
    mine = np.flatnonzero(np.isin(rank, used))
    known = np.zeros(1 << 20, np.bool_)
    known[grams.hashes & 0xFFFFF] = True
    return ShortGrams(values[mine], rank[mine], ranks[order], item[order], grams.bits(), known)


def least_shared(sizes: I64) -> I64:
    """Return members that a set of each size shares at least with one that is short near."""
    least: I64 = np.ceil(SHORT_THRESHOLD * sizes - SLACK).astype(np.int64)
    return least


def rarest(owners: I64, ranks: I64, room: I64) -> tuple[I64, I64]:
    """Return the lowest ranks of each owner, at most `room` of them: owners ascending, and their ranks."""
    packed = (owners << 32) | ranks
    packed.sort()
    owner = packed >> 32
    kept = earlier(owner) < room[owner]
    return owner[kept], packed[kept] & 0xFFFFFFFF
