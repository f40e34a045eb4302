"""Classes of equal rows, and the pairs between them: near, exact or short near questions, same or different answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.likeness.fingerprints import Fingerprints, RowSource, fold, use_compiled
from curation.likeness.hashing import hash_texts
from curation.likeness.join import Method, NearSets, jaccard_of, near_sets
from curation.likeness.sets import I64, SLACK, U64, Bools, Sets, offsets, ranges, set_keys, stable_order
from curation.likeness.words import SHORT_THRESHOLD, answer_form, critical

AT_ONCE = 100_000
FETCHED = 5_000
"""Rows that are held at once for the sake of their answers."""


@dataclass(frozen=True, slots=True)
class Classes:
    """Rows with the same shingles, normal form, answer and context are one class. `of` by row; `first` row and
    `key` of the shingles by class; `rows` sorted by class, cut by `starts`. Classes are numbered by first row.
    """

    of: I64
    first: I64
    key: U64
    rows: I64
    starts: I64

    def __len__(self) -> int:
        return len(self.first)

    def expand(self, pairs: NearSets, keep: Bools) -> NearSets:
        """Return pairs of classes as pairs of the rows that stay, smaller index first."""
        rows = self.rows[keep[self.rows]]
        starts = offsets(np.bincount(self.of[rows], minlength=len(self)))
        left, right = np.diff(starts)[pairs.one], np.diff(starts)[pairs.other]
        count = left * right
        inner = ranges(np.zeros(len(count), np.int64), count)
        width = np.repeat(right, count)
        one = rows[np.repeat(starts[:-1][pairs.one], count) + inner // np.maximum(width, 1)]
        other = rows[np.repeat(starts[:-1][pairs.other], count) + inner % np.maximum(width, 1)]
        return NearSets(np.minimum(one, other), np.maximum(one, other), np.repeat(pairs.score, count))


def number_by_first(keys: U64) -> tuple[I64, I64]:
    """Number the distinct keys by their first place: the number at each place, the first place of each number."""
    order = _by_key(keys)
    ordered = keys[order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(fresh)
    is_first = np.zeros(len(keys), np.bool_)
    is_first[order[starts]] = True
    number = np.cumsum(is_first) - 1
    out = np.empty(len(keys), np.int64)
    out[order] = np.repeat(number[order[starts]], np.diff(np.append(starts, len(keys))))
    return out, np.flatnonzero(is_first)


def _by_key(keys: U64) -> I64:
    """Return the places in ascending order of their keys, or of the keys' upper bits alone, as that is quicker to sort:
    different keys with the same upper bits are rare and sorted whole. Equal keys in ascending order of place.
    """
    bits = np.uint64(max(1, len(keys).bit_length()))
    packed = ((keys >> bits) << bits) | np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order = (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    alike = (packed[1:] >> bits) == (packed[:-1] >> bits)
    if (keys[order[1:][alike]] != keys[order[:-1][alike]]).any():
        return np.argsort(keys, kind="stable")
    return order


@dataclass(frozen=True)
class Grouped:
    """Rows in classes of equal ones, and pairs of classes that are near; `source` is asked for answers to compare."""

    prints: Fingerprints
    source: RowSource
    threshold: float
    method: Method
    compiled: bool

    @cached_property
    def classes(self) -> Classes:
        """The classes."""
        key = np.where(self.prints.shingles.sizes > 0, self.prints.key, self.prints.exact)  # without a word: the bytes
        of, first = number_by_first(fold(key, self.prints.exact, self.prints.answer, self.prints.context))
        rows = stable_order(of)
        return Classes(of, first, key[first], rows, offsets(np.bincount(of, minlength=len(first))))

    def pairs(self, *, every: bool = False) -> tuple[NearSets, Bools]:
        """Return all pairs of classes whose questions are near or exact, and which are exact.

        Pairs with the same answer and context need not all be there, unless `every` one is wanted: enough to join them.
        """
        first_rows = self.classes.first
        of_set, first = number_by_first(self.classes.key)
        alike = None if every else _alike(self.prints, self.classes, of_set, len(first))
        near = self._near(self.prints.shingles, first_rows[first], self.threshold, alike)
        exact = self.prints.exact[first_rows]
        pairs = _distinct([_equal(self.classes.key), _equal(exact), _across(near, of_set, len(first))])
        return pairs, exact[pairs.one] == exact[pairs.other]

    def short_pairs(self) -> NearSets:
        """Pairs of classes with short questions that are near by characters, and neither near nor exact by words."""
        first_rows, shingles, grams = self.classes.first, self.prints.shingles, self.prints.grams
        short = np.flatnonzero(grams.sizes[first_rows])
        keys = set_keys(grams.take(first_rows[short]))
        of_set, first = number_by_first(keys)
        near = self._near(grams, first_rows[short[first]], SHORT_THRESHOLD)
        found = _distinct([_across(near, of_set, len(first)), _equal(keys)])
        pairs = NearSets(short[found.one], short[found.other], found.score)
        rows, mates = first_rows[pairs.one], first_rows[pairs.other]
        is_far = jaccard_of(shingles, shingles, rows, mates) < self.threshold - SLACK
        return pairs.take(is_far & (self.prints.exact[rows] != self.prints.exact[mates]))

    def _near(self, sets: Sets, nodes: I64, threshold: float, alike: U64 | None = None) -> NearSets:
        return near_sets(sets, nodes, threshold, self.method, compiled=self.compiled, alike=alike)

    def same_answers(self, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> Bools:
        """Return for each pair of rows whether their answers are the same. Fetches texts only if the keys differ."""
        left, right = self.prints.answer[one], self.prints.answer[other]
        out: Bools = left == right
        open_pairs = np.flatnonzero(~out & (left != 0) & (right != 0))
        for begin in range(0, len(open_pairs), AT_ONCE):
            some = open_pairs[begin : begin + AT_ONCE]
            out[some] = _compare(self.source, one[some], other[some], self.threshold)
        return out


def _alike(prints: Fingerprints, classes: Classes, of_set: I64, sets: int) -> U64:
    """Return a key for each set: equal where all rows of both sets have the same answer and context."""
    key = fold(prints.answer[classes.first], prints.context[classes.first])
    out = np.zeros(sets, np.uint64)
    out[of_set] = key
    mixed = np.unique(of_set[key != out[of_set]])
    out[mixed] = fold(mixed.astype(np.uint64))
    return out


def _equal(keys: U64) -> NearSets:
    """Return pairs of classes that share a key: similarity 1."""
    of, first = number_by_first(keys)
    members = np.split(stable_order(of), np.cumsum(np.bincount(of, minlength=len(first)))[:-1])
    sides = [np.triu_indices(len(some), 1) for some in members if len(some) > 1]
    rows = [some for some in members if len(some) > 1]
    none = [np.zeros(0, np.int64)]
    one = np.concatenate([some[left] for some, (left, _) in zip(rows, sides, strict=True)] or none)
    other = np.concatenate([some[right] for some, (_, right) in zip(rows, sides, strict=True)] or none)
    return NearSets(one, other, np.ones(len(one)))


def _across(near: NearSets, of_set: I64, sets: int) -> NearSets:
    """Return every class of the one set with every class of the other."""
    rows = stable_order(of_set)
    groups = Classes(of_set, np.arange(sets), np.zeros(0, np.uint64), rows, np.zeros(0, np.int64))
    return groups.expand(near, np.ones(len(of_set), np.bool_))


def _distinct(parts: list[NearSets]) -> NearSets:
    """Return all pairs once, with the highest score."""
    one, other = np.concatenate([p.one for p in parts]), np.concatenate([p.other for p in parts])
    every = NearSets(one, other, np.concatenate([p.score for p in parts]))
    pairs = every.take(np.lexsort((-every.score, every.other, every.one)))
    fresh = np.ones(len(pairs), np.bool_)
    fresh[1:] = (pairs.one[1:] != pairs.one[:-1]) | (pairs.other[1:] != pairs.other[:-1])
    return pairs.take(fresh)


def _compare(source: RowSource, one: npt.NDArray[Any], other: npt.NDArray[Any], threshold: float) -> Bools:
    rows, where = np.unique(np.concatenate((one, other)), return_inverse=True)
    a, b = where[: len(one)], where[len(one) :]
    parts = (rows[begin : begin + FETCHED].tolist() for begin in range(0, len(rows), FETCHED))
    texts = [example.answer or "" for part in parts for example in source.fetch(part)]
    compiled = use_compiled(len(rows))
    hashed = hash_texts(texts, compiled=compiled, grams=False)
    near = jaccard_of(hashed.shingles, hashed.shingles, a, b) >= threshold - SLACK
    odd = np.array([not text.isascii() for text in texts], np.bool_) | (hashed.shingles.sizes == 0)
    out = np.zeros(len(one), np.bool_)
    for k in np.flatnonzero(near | odd[a] | odd[b]):
        left, right = texts[a[k]], texts[b[k]]
        out[k] = answer_form(left) == answer_form(right) or bool(near[k] and critical(left) == critical(right))
    return out
