"""Near sets: candidate pairs from a prefix filter (exact) or from MinHash bands, then exact Jaccard.

Compiled code does both for many sets; for few, or where nothing compiles, the same prefix filter and datasketch's LSH
do. The signature of a set of 32-bit hashes is, bit for bit, `datasketch.MinHash(128, seed=1, hashfunc=int)` of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import takewhile
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curation.likeness.sets import I64, SLACK, U32, U64, Sets, concat, offsets, stable_order

PERMUTATIONS = 128
BANDS = 21
ROWS = 6
"""21 bands of 6: a pair at Jaccard .8 is proposed with probability 1 - (1 - .8^6)^21 = .998."""
AT_ONCE = 1 << 16


@cache
def permutations() -> tuple[U32, U32]:
    """Factors and summands of datasketch's scheme affine32 for seed 1."""
    from datasketch import MinHash

    a, b = MinHash(num_perm=PERMUTATIONS, seed=1).permutations
    return np.ascontiguousarray(a, np.uint32), np.ascontiguousarray(b, np.uint32)


Method = Literal["exact", "minhash"]


@dataclass(frozen=True, slots=True)
class NearSets:
    """Pairs of indices, `one < other`, no pair twice, with their similarity."""

    one: I64
    other: I64
    score: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.one)

    def take(self, some: npt.NDArray[Any]) -> NearSets:
        """Return the pairs at these places, or where a mask is true."""
        return NearSets(self.one[some], self.other[some], self.score[some])


def near_sets(
    sets: Sets,
    nodes: I64,
    threshold: float,
    method: Method = "exact",
    *,
    compiled: bool = False,
    alike: U64 | None = None,
) -> NearSets:
    """Return all pairs of the sets `nodes` with Jaccard >= threshold, as places in `nodes`; with `minhash` those that
    the bands propose. Empty sets are near none; equal sets are near too: name one of them where that is not wanted.

    `alike` gives each place a key: of sets with equal keys no more pairs need be returned than it takes to join those
    that are connected.
    """
    alike = np.arange(len(nodes), dtype=np.uint64) if alike is None else alike
    return _near(sets, nodes, threshold, partial(_near_compiled if compiled else _near_plain, method), alike)


def near_across(left: Sets, right: Sets, threshold: float, *, compiled: bool) -> NearSets:
    """Return all pairs of a set on the left (`one`) and a set on the right (`other`) with Jaccard >= threshold."""
    side = np.repeat(np.arange(2, dtype=np.uint64), (len(left), len(right)))
    find = partial(_near_compiled if compiled else _near_plain, "exact")
    found = _near(concat([left, right]), np.arange(len(side)), threshold, find, side, apart=True)
    return NearSets(found.one, found.other - len(left), found.score)


def _near(
    sets: Sets, nodes: I64, threshold: float, find: Callable[..., I64], alike: U64, *, apart: bool = False
) -> NearSets:
    """`find` the pairs. With `apart` sets with equal keys are taken for connected: no pair of them is returned."""
    sizes = sets.sizes[nodes]
    order = stable_order(sizes)[np.count_nonzero(sizes == 0) :]
    joined: I64 = np.arange(len(order))
    if apart:
        _, first, key = np.unique(alike[order], return_index=True, return_inverse=True)
        joined = first[key]
    found = find(sets, nodes[order], threshold, alike[order], joined)
    one, other, shared = order[found[:, 0]], order[found[:, 1]], found[:, 2]
    one, other = np.minimum(one, other), np.maximum(one, other)
    score = shared / np.maximum(sizes[one] + sizes[other] - shared, 1)
    return NearSets(one, other, score).take(np.argsort((one << 32) | other, kind="stable"))


def _near_compiled(method: Method, sets: Sets, nodes: I64, threshold: float, alike: U64, joined: I64) -> I64:
    """Near pairs of the sets `nodes`, which come by size: rows of (one, other, shared), by place in `nodes`. `joined`
    says of each with which it is connected from the start.
    """
    from curation.likeness.loops import near_pairs

    keys = rarest(sets.take(nodes), threshold, joined) if method == "exact" else bands_of(sets, nodes)
    begins, ends = sets.starts[nodes], sets.starts[nodes + 1]
    return np.concatenate([
        near_pairs(packed, keys.hashes, keys.starts, sets.hashes, begins, ends, joined, alike, threshold)
        for packed in grouped(keys)
    ])  # fmt: skip


def bands_of(sets: Sets, nodes: I64) -> Sets:
    """Return the 21 band keys of each of the sets `nodes`: those that share one are candidates."""
    from curation.likeness.loops import band_keys

    out = np.empty((len(nodes), BANDS), np.uint32)
    begins, ends = sets.starts[nodes], sets.starts[nodes + 1]
    for begin in range(0, len(nodes), AT_ONCE):
        some = slice(begin, begin + AT_ONCE)
        out[some] = band_keys(sets.hashes, begins[some], ends[some], *permutations(), BANDS, ROWS)
    return Sets(out.ravel(), np.arange(len(nodes) + 1) * BANDS)


def rarest(sets: Sets, threshold: float, joined: I64) -> Sets:
    """For each set the ranks of its n - ceil(t n) + 1 rarest members, ascending: two near sets share one of them.
    Those that no set holds but such as are `joined` are the rarest, and left out.
    """
    owners, sizes, order = sets.owners(), sets.sizes, stable_order(sets.hashes)
    fresh = np.diff(sets.hashes[order], prepend=~sets.hashes[order[:1]]) != 0
    value, starts, holders = np.cumsum(fresh) - 1, np.flatnonzero(fresh), joined[owners[order]]
    count = np.bincount(value)
    if len(count):
        count[np.minimum.reduceat(holders, starts) == np.maximum.reduceat(holders, starts)] = 1
    rank = np.empty(len(count), np.int64)
    rank[stable_order(count)] = np.arange(len(count))
    packed = np.empty(len(order), np.int64)
    packed[order] = rank[value]
    packed |= owners << 32
    packed.sort()
    prefix = sizes - np.ceil(threshold * sizes - SLACK).astype(np.int64) + 1
    place = np.arange(len(packed)) - np.repeat(sets.starts[:-1], sizes)
    ranks = packed & 0xFFFFFFFF
    kept = (place < prefix[owners]) & (ranks >= np.count_nonzero(count == 1))
    return Sets(ranks[kept].astype(np.uint32), offsets(np.bincount(owners[kept], minlength=len(sets))))


def grouped(keys: Sets) -> Iterator[U64]:
    """(Key, set) packed and sorted, some millions at once, no key in two parts."""
    largest = int(keys.hashes.max(initial=0))
    span = largest // (1 + (len(keys.hashes) >> 22)) + 1
    owners = np.repeat(np.arange(len(keys), dtype=np.uint32), keys.sizes)
    for low in range(0, largest + 1, span):
        some = (keys.hashes >= low) & (keys.hashes <= min(low + span - 1, largest))
        packed = (keys.hashes[some].astype(np.uint64) << np.uint64(32)) | owners[some]
        packed.sort()
        yield packed


def _near_plain(method: Method, sets: Sets, nodes: I64, threshold: float, alike: U64, joined: I64) -> I64:
    """Return the same by datasketch's LSH, or by the same rarest members, and Python's own sets."""
    some = sets.take(nodes)
    sizes, keys, parent, found = some.sizes.tolist(), alike.tolist(), joined.tolist(), []

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    @cache
    def members(place: int) -> frozenset[int]:
        return frozenset(some.hashes[some.starts[place] : some.starts[place + 1]].tolist())

    for one, other in _by_bands(some) if method == "minhash" else _by_rarest(some, threshold, joined):
        if keys[one] == keys[other] and root(one) == root(other):
            continue
        shared = len(members(one) & members(other))
        if shared >= threshold * (sizes[one] + sizes[other] - shared) - SLACK:
            found.append((one, other, shared))
            if keys[one] == keys[other]:
                parent[root(one)] = root(other)
    return np.array(found, np.int64).reshape(-1, 3)


def _by_rarest(sets: Sets, threshold: float, joined: I64) -> Iterator[tuple[int, int]]:
    """Yield pairs that share a rarest member and are of similar size, each once."""
    keys, sizes, holders = rarest(sets, threshold, joined), sets.sizes.tolist(), defaultdict[int, list[int]](list)
    starts, ranks = keys.starts.tolist(), keys.hashes.tolist()
    for one, size in enumerate(sizes):
        proposed: set[int] = set()
        for key in ranks[starts[one] : starts[one + 1]]:
            mine = holders[key]
            proposed.update(takewhile(lambda other: sizes[other] >= threshold * size - SLACK, reversed(mine)))  # noqa: B023
            mine.append(one)
        yield from ((other, one) for other in sorted(proposed))


def _by_bands(sets: Sets) -> Iterator[tuple[int, int]]:
    """Yield pairs that datasketch's LSH proposes, with the bands that compiled code has."""
    from datasketch import MinHash, MinHashLSH

    table = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    for one in range(len(sets)):
        signed = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)
        signed.update_batch(sets.hashes[sets.starts[one] : sets.starts[one + 1]].tolist())
        yield from ((other, one) for other in sorted(table.query(signed)))
        table.insert(one, signed)


PAIRS_AT_ONCE = 1 << 23
"""Members that are compared at once."""


def jaccard_of(left: Sets, right: Sets, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return jaccard of `left[one[k]]` and `right[other[k]]` for each k; 0 if a set is empty.

    Both sets' hashes are sorted by pair, and neighbours that are equal are counted.
    """
    shared = np.zeros(len(one), np.int64)
    at = offsets(left.sizes[one] + right.sizes[other])
    begin = 0
    while begin < len(one):
        stop = max(begin + 1, int(np.searchsorted(at, at[begin] + PAIRS_AT_ONCE, "right")) - 1)
        a, b = left.take(one[begin:stop]), right.take(other[begin:stop])
        keys = np.concatenate(((a.owners() << 32) | a.hashes, (b.owners() << 32) | b.hashes))
        keys.sort()
        twice = keys[:-1][keys[1:] == keys[:-1]] >> 32
        shared[begin:stop] = np.bincount(twice, minlength=stop - begin)
        begin = stop
    union = left.sizes[one] + right.sizes[other] - shared
    return np.where(shared > 0, shared / np.maximum(union, 1), 0.0)


def components(count: int, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> I64:
    """Return for each of `count` nodes the smallest node it is connected to (itself included)."""
    smallest = np.arange(count, dtype=np.int64)
    if not len(one):
        return smallest
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    smallest[:] = count
    np.minimum.at(smallest, labels, np.arange(count))
    found: I64 = smallest[labels]
    return found
