"""The test side: every question and every long answer, as word 3-grams in one table. Train only passes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.likeness import SHORT_THRESHOLD
from curation.likeness.hashing import GRAM_WORDS, hash_texts, with_bytes, words_of
from curation.likeness.join import distinct
from curation.likeness.sets import I64, U64, Sets, offsets

LABEL_WORDS = 8
"""An answer of fewer words is a label; a question of fewer words inside a message is a suspect."""


NO_ANSWER = 1
"""Key of an answer where there is none."""


@dataclass(frozen=True, slots=True)
class TestIndex:
    """Parts are the questions of all items, then their answers of 8 words and more.

    By part: `item`, `is_answer`, `words`, `sequence` (key of its words in their order; ascending, with the part of
    each, in `by_key`, and a map of their low 16 bits in `key_flags`), `distinct` grams, and
    `ordered[begins[p]:begins[p + 1]]`, the number of each gram in the order of the text. By gram: its hash in
    `table` (ascending) and the parts that hold it, `holders[held_from[g]:held_from[g + 1]]`. `sizes` are the lengths
    of grams in use: 3, and 1 or 2 where a question has no more words.

    By item: `grams` of its question where it is short, `rare` ones of them, the key of its answer's words in
    `answers`, and in `odd` whether that key is not enough to tell an answer apart (no word, or not ASCII).
    """

    item: I64
    is_answer: npt.NDArray[np.bool_]
    words: I64
    sequence: U64
    by_key: tuple[U64, I64]
    key_flags: npt.NDArray[np.bool_]
    distinct: I64
    ordered: I64
    begins: I64
    table: U64
    holders: I64
    held_from: I64
    sizes: tuple[int, ...]
    grams: Sets
    rare: tuple[U64, I64]
    flags: npt.NDArray[np.bool_]
    answers: U64
    odd: npt.NDArray[np.bool_]

    def part_grams(self, part: int) -> I64:
        """Numbers of the part's grams, in the order of its text."""
        return self.ordered[self.begins[part] : self.begins[part + 1]]


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
    rare = _rare_grams(short)
    sequence = with_bytes(found.sequence_keys(), texts)
    by_key = np.argsort(sequence, kind="stable")
    return TestIndex(
        item=np.concatenate((np.arange(len(test)), long)),
        is_answer=np.arange(len(texts)) >= len(test),
        words=counts,
        sequence=sequence,
        by_key=(sequence[by_key], by_key),
        key_flags=flags_of(sequence, 16),
        distinct=np.bincount(pairs % max(1, len(texts)), minlength=len(texts)),
        ordered=number[order].astype(np.int64),
        begins=offsets(np.bincount(owner, minlength=len(texts))),
        table=table,
        holders=pairs % max(1, len(texts)),
        held_from=offsets(np.bincount(pairs // max(1, len(texts)), minlength=len(table))),
        sizes=tuple(sizes),
        grams=short,
        rare=rare,
        flags=flags_of(rare[0], 20),
        answers=np.array([NO_ANSWER if e.answer is None else k for e, k in zip(test, said, strict=True)], np.uint64),
        odd=np.array([not (a.isascii() and n) for a, n in zip(answers, given.counts, strict=True)], np.bool_),
    )


def _rare_grams(grams: Sets) -> tuple[U64, I64]:
    """For each short question its n - ceil(.8 n) + 1 rarest character grams: a train question that is short near
    holds one of them. Hashes ascending, with the item of each.
    """
    values, inverse, count = np.unique(grams.hashes, return_inverse=True, return_counts=True)
    owners, sizes = grams.owners(), grams.sizes
    order = np.lexsort((values[inverse], count[inverse], owners))
    prefix = sizes - np.ceil(SHORT_THRESHOLD * sizes - 1e-9).astype(np.int64) + 1
    chosen = order[np.arange(len(order)) - grams.starts[:-1][owners] < prefix[owners]]
    hashes = grams.hashes[chosen].astype(np.uint64)
    by_hash = np.argsort(hashes, kind="stable")
    return hashes[by_hash], owners[chosen][by_hash]


def flags_of(keys: npt.NDArray[Any], bits: int) -> npt.NDArray[np.bool_]:
    """A map by the low bits of a key: where it is False, no key is like that."""
    flags = np.zeros(1 << bits, np.bool_)
    flags[keys & keys.dtype.type((1 << bits) - 1)] = True
    return flags
