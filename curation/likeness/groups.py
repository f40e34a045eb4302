"""Classes of equal rows, pairs between them (near, exact or short near questions, same or different answers), and the
groups of near rows, whatever their answers, that a split may not separate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.likeness.fingerprints import Fetch, Fingerprints, fingerprints, fold, held, use_compiled
from curation.likeness.hashing import hash_texts
from curation.likeness.join import Method, NearSets, components, jaccard_of, near_sets
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
    """Rows in classes of equal ones, and pairs of classes that are near; `fetch` gives rows to compare answers."""

    prints: Fingerprints
    fetch: Fetch
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
            out[some] = _compare(self.fetch, one[some], other[some], self.threshold)
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
    pairs = [some[np.array(np.triu_indices(len(some), 1))] for some in members if len(some) > 1]
    one, other = np.concatenate([np.zeros((2, 0), np.int64), *pairs], axis=1)
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


def _compare(fetch: Fetch, one: npt.NDArray[Any], other: npt.NDArray[Any], threshold: float) -> Bools:
    rows, where = np.unique(np.concatenate((one, other)), return_inverse=True)
    a, b = where[: len(one)], where[len(one) :]
    parts = (rows[begin : begin + FETCHED].tolist() for begin in range(0, len(rows), FETCHED))
    texts = [example.answer or "" for part in parts for example in fetch(part)]
    compiled = use_compiled(len(rows))
    hashed = hash_texts(texts, compiled=compiled, grams=False)
    near = jaccard_of(hashed.shingles, hashed.shingles, a, b) >= threshold - SLACK
    odd = np.array([not text.isascii() for text in texts], np.bool_) | (hashed.shingles.sizes == 0)
    out = np.zeros(len(one), np.bool_)
    for k in np.flatnonzero(near | odd[a] | odd[b]):
        left, right = texts[a[k]], texts[b[k]]
        out[k] = answer_form(left) == answer_form(right) or bool(near[k] and critical(left) == critical(right))
    return out


Kind = Literal["exact", "near", "short_near", "key", "between"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Row `index` and the pinned row `against` it. `key`: same group key; `between`: pinned rows of two splits."""

    index: int
    against: int
    kind: Kind
    similarity: float


@dataclass(frozen=True, slots=True)
class Near:
    """Near, exact and short near pairs of classes of rows, and the rows' group keys."""

    grouped: Grouped
    pairs: NearSets
    short: NearSets
    keys: Sequence[str | None]

    def groups(self, rows: Sequence[int], pinned: Mapping[int, str]) -> dict[int, int]:
        """Return for each of `rows` the first row of its group, if only these rows existed.

        Two pinned rows do not join each other's groups: they were found not to conflict, or share a key only.
        """
        chosen = np.zeros(len(self.keys), np.bool_)
        chosen[list(rows)] = True
        one, other = map(np.concatenate, zip(self._chains(chosen), self._key_chains(rows, pinned), strict=True))
        fixed = np.zeros(len(self.keys), np.int64)
        for index, split in pinned.items():
            fixed[index] = 1 + ("train", "validation", "test").index(split)
        apart = (fixed[one] > 0) & (fixed[other] > 0) & (fixed[one] != fixed[other])
        label = components(len(self.keys), one[~apart], other[~apart])
        return {index: int(label[index]) for index in rows}

    def _chains(self, chosen: npt.NDArray[np.bool_]) -> tuple[I64, I64]:
        """Return pairs of chosen rows that are near: within a class a chain, between classes each with each."""
        classes = self.grouped.classes
        rows = classes.rows[chosen[classes.rows]]
        alike = classes.of[rows[1:]] == classes.of[rows[:-1]]
        ones, others = [rows[:-1][alike]], [rows[1:][alike]]
        for pairs in (self.pairs, self.short):
            found = classes.expand(pairs, chosen)
            ones.append(found.one)
            others.append(found.other)
        return np.concatenate(ones), np.concatenate(others)

    def _key_chains(self, rows: Sequence[int], pinned: Mapping[int, str]) -> tuple[I64, I64]:
        """Return each row with the first unpinned row that has its key; pinned rows alone need no joining."""
        anchor: dict[str, int] = {}
        for index in rows:
            if (key := self.keys[index]) is not None and index not in pinned:
                anchor.setdefault(key, index)
        pairs = [(anchor[key], i) for i in rows if (key := self.keys[i]) in anchor]
        found = np.array(pairs, np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def against(
        self, fixed: Sequence[int], others: Sequence[int], keyed: Sequence[int]
    ) -> tuple[list[Conflict], list[Conflict]]:
        """Return the `others` that cannot be in another split than `fixed` rows, and the near pairs that can.

        A row conflicts where it is near and has the same answer, asks the same question, or (only `keyed` rows) has
        the same key.
        """
        if not fixed or not others:
            return [], []
        held = {self.keys[i]: i for i in reversed(fixed) if self.keys[i] is not None}
        conflicts = {i: Conflict(i, held[self.keys[i]], "key", 1.0) for i in keyed if self.keys[i] in held}
        apart = []
        for found in self._between(fixed, others):
            conflict, same = found
            if (same or conflict.kind == "exact") and conflict.index not in conflicts:
                conflicts[conflict.index] = conflict
            elif not same:
                apart.append(conflict)
        return list(conflicts.values()), [c for c in apart if c.index not in conflicts]

    def _between(self, fixed: Sequence[int], others: Sequence[int]) -> list[tuple[Conflict, bool]]:
        """Near pairs of an other and a fixed row, with whether their answers are the same; the nearest first."""
        classes, exact = self.grouped.classes, self.grouped.prints.exact
        side = np.zeros(len(exact), np.int64)
        side[list(fixed)], side[list(others)] = 1, 2
        own = np.arange(len(classes))
        alike = NearSets(own, own, np.ones(len(own)))
        found: list[tuple[Conflict, bool]] = []
        for kind, pairs in (("exact", alike), ("near", self.pairs), ("short_near", self.short)):
            rows = classes.expand(pairs, side > 0)
            cross = side[rows.one] + side[rows.other] == 3
            one, other = rows.one[cross], rows.other[cross]
            index, against = np.where(side[one] == 2, one, other), np.where(side[one] == 2, other, one)
            same = self.grouped.same_answers(index, against)
            equal = exact[index] == exact[against]
            columns = zip(index, against, rows.score[cross], same, equal, strict=True)
            found += [
                (Conflict(int(i), int(j), "exact" if e else kind, float(s)), bool(a))  # type: ignore[arg-type]
                for i, j, s, a, e in columns
            ]
        return sorted(found, key=lambda entry: (-entry[0].similarity, entry[0].index, entry[0].against))


def find_near(examples: Sequence[Example], threshold: float, keys: Sequence[str | None]) -> Near:
    """Return all near, exact and short near pairs of rows, by the exact join, so that none is missed."""
    prints = fingerprints(examples)
    grouped = Grouped(prints, held(examples), threshold, "exact", use_compiled(len(prints)))
    return Near(grouped, grouped.pairs(every=True)[0], grouped.short_pairs(), keys)
