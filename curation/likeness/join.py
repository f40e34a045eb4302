"""Near sets: candidate pairs from a prefix filter (exact) or from MinHash bands, then exact Jaccard.

Compiled code does both for many sets; for few, or where nothing compiles, the same prefix filter and datasketch's LSH
do. The signature of a set of 32-bit hashes is, bit for bit, `datasketch.MinHash(128, seed=1, hashfunc=int)` of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curation.likeness.sets import I64, SLACK, U32, U64, Sets, mapped, offsets, stable_order, temporary_file

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


def band_keys(sets: Sets, nodes: I64) -> U32:
    """A row of 21 keys for each of the sets `nodes`: those that share a key in a band are candidates."""
    from curation.likeness.engine.joins import band_all

    if not sets.in_file:
        found: U32 = band_all(sets.hashes, sets.starts, nodes, *permutations(), BANDS, ROWS)
        return found
    out = mapped(temporary_file(), (len(nodes), BANDS)) if len(nodes) else np.empty((0, BANDS), np.uint32)
    for begin in range(0, len(nodes), AT_ONCE):
        some = nodes[begin : begin + AT_ONCE]
        out[begin : begin + len(some)] = band_all(sets.hashes, sets.starts, some, *permutations(), BANDS, ROWS)
    return out


Method = Literal["exact", "minhash"]
PAIRS_AT_ONCE = 1 << 23


@dataclass(frozen=True, slots=True)
class NearSets:
    """Pairs of indices, `one < other`, no pair twice, with their similarity."""

    one: I64
    other: I64
    score: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.one)


def near_sets(
    sets: Sets,
    nodes: I64,
    threshold: float,
    method: Method = "exact",
    *,
    compiled: bool = False,
    alike: U64 | None = None,
) -> NearSets:
    """All pairs of the sets `nodes` with Jaccard >= threshold, as places in `nodes`; with `minhash` those that the
    bands propose. Empty sets are near none; equal sets are near too: name one of them where that is not wanted.

    `alike` gives each place a key: of sets with equal keys no more pairs need be returned than it takes to join those
    that are connected.
    """
    filled = np.flatnonzero(sets.sizes[nodes])
    alike = np.arange(len(nodes), dtype=np.uint64) if alike is None else alike
    find = _near_compiled if compiled else _near_plain
    found = find(sets, nodes[filled], threshold, method, alike[filled])
    return NearSets(filled[found.one], filled[found.other], found.score)


def _near_compiled(sets: Sets, nodes: I64, threshold: float, method: Method, alike: U64) -> NearSets:
    if method == "exact":
        return _exact_join(sets, nodes, threshold, alike)
    return _band_join(sets, nodes, band_keys(sets, nodes), threshold, alike)


def _band_join(sets: Sets, nodes: I64, keys: U32, threshold: float, alike: U64) -> NearSets:
    """Near pairs among the sets `nodes` that share a band key; of alike sets only as many as join them.

    `keys` and `alike` are by place in `nodes`.
    """
    from curation.likeness.engine.joins import band_pairs, empty_table

    starts, ends = sets.starts[nodes], sets.starts[nodes + 1]
    places = np.arange(len(nodes), dtype=np.uint64)
    parent = np.arange(len(nodes))
    table = empty_table(int((ends - starts).max(initial=1)))
    parts = []
    for band in range(keys.shape[1]):
        packed = (keys[:, band].astype(np.uint64) << np.uint64(32)) | places
        packed.sort()
        parts.append(band_pairs(packed, band, keys, sets.hashes, starts, ends, *table, parent, alike, threshold))
    return _as_pairs(np.concatenate(parts), sets, nodes)


def _exact_join(sets: Sets, nodes: I64, threshold: float, alike: U64) -> NearSets:
    """All near pairs among the sets `nodes`; of alike sets (by place in `nodes`) only as many as join them."""
    from curation.likeness.engine.joins import empty_table, prefix_join, rarest_first

    order = np.argsort(sets.sizes[nodes], kind="stable")
    some = sets.take(nodes[order])
    ranks, tokens = _ranks(some.hashes)
    rarest_first(ranks, some.starts)
    table = empty_table(int(some.sizes.max(initial=1)))
    found = prefix_join(ranks, some.starts, tokens, *table, np.arange(len(some)), alike[order], threshold)
    found[:, :2] = order[found[:, :2]]
    return _as_pairs(found, sets, nodes)


def _ranks(hashes: U32) -> tuple[U32, int]:
    """Replace each hash by its rank, the rarest first; hashes are sorted once, packed with their places."""
    packed = (hashes.astype(np.uint64) << np.uint64(32)) | np.arange(len(hashes), dtype=np.uint64)
    packed.sort()
    fresh = np.ones(len(packed), np.bool_)
    fresh[1:] = (packed[1:] >> np.uint64(32)) != (packed[:-1] >> np.uint64(32))
    number = np.cumsum(fresh) - 1
    count = np.bincount(number)
    rank = np.empty(len(count), np.uint32)
    rank[np.argsort(count, kind="stable")] = np.arange(len(count), dtype=np.uint32)
    out = np.empty(len(hashes), np.uint32)
    out[(packed & np.uint64(0xFFFFFFFF)).astype(np.int64)] = rank[number]
    return out, len(count)


def _as_pairs(found: I64, sets: Sets, nodes: I64) -> NearSets:
    """Rows of (one, other, shared), by place in `nodes`, as pairs of such places in ascending order."""
    one, other = np.minimum(found[:, 0], found[:, 1]), np.maximum(found[:, 0], found[:, 1])
    sizes = sets.sizes[nodes]
    score = found[:, 2] / np.maximum(sizes[one] + sizes[other] - found[:, 2], 1)
    order = np.argsort((one << 32) | other, kind="stable")
    return NearSets(one[order], other[order], score[order])


def _near_plain(sets: Sets, nodes: I64, threshold: float, method: Method, alike: U64) -> NearSets:
    some = sets.take(nodes)
    keys, joined, found = alike.tolist(), _Forest(), []

    @cache
    def members(place: int) -> frozenset[int]:
        return frozenset(some.hashes[some.starts[place] : some.starts[place + 1]].tolist())

    for one, other in _by_prefix(some, threshold) if method == "exact" else _by_bands(some):
        if keys[one] == keys[other] and joined.root(one) == joined.root(other):
            continue
        shared = len(members(one) & members(other))
        score = shared / (len(members(one)) + len(members(other)) - shared)
        if score >= threshold - SLACK:
            found.append((min(one, other), max(one, other), score))
            if keys[one] == keys[other]:
                joined.join(one, other)
    columns = list(zip(*sorted(found), strict=True)) or [(), (), ()]
    return NearSets(np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2], np.float64))


class _Forest:
    """Which nodes are connected."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}

    def root(self, node: int) -> int:
        """The representative of all nodes that are connected to this one."""
        while (above := self.parent.get(node, node)) != node:
            self.parent[node] = self.parent.get(above, above)
            node = above
        return node

    def join(self, one: int, other: int) -> None:
        """Connect the two."""
        self.parent[self.root(one)] = self.root(other)


def _by_prefix(sets: Sets, threshold: float) -> Iterator[tuple[int, int]]:
    """Two sets with Jaccard >= t share one of their n - ceil(t n) + 1 rarest members. The sets come by size."""
    owners, sizes = sets.owners(), sets.sizes
    _, number, count = np.unique(sets.hashes, return_inverse=True, return_counts=True)
    order = np.lexsort((number, count[number], owners))
    prefix = sizes - np.ceil(threshold * sizes - SLACK).astype(np.int64) + 1
    place = np.arange(len(order)) - sets.starts[:-1][owners]
    shared = (place < prefix[owners]) & (count[number[order]] > 1)
    rarest = number[order][shared].tolist()
    begins = offsets(np.bincount(owners[shared], minlength=len(sets))).tolist()
    holders: dict[int, list[int]] = {}
    lengths = sizes.tolist()
    for one in np.argsort(sizes, kind="stable").tolist():
        proposed: set[int] = set()
        for value in rarest[begins[one] : begins[one + 1]]:
            mine = holders.setdefault(value, [])
            if mine and lengths[mine[0]] >= threshold * lengths[one] - SLACK:
                proposed.update(mine)
            else:
                proposed.update(takewhile(lambda o: lengths[o] >= threshold * lengths[one] - SLACK, reversed(mine)))  # noqa: B023
            mine.append(one)
        yield from ((one, other) for other in sorted(proposed))


def _by_bands(sets: Sets) -> Iterator[tuple[int, int]]:
    """Pairs that datasketch's LSH proposes, with the bands that compiled code has."""
    from datasketch import MinHash, MinHashLSH

    table = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    for one in range(len(sets)):
        signed = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)
        signed.update_batch(sets.hashes[sets.starts[one] : sets.starts[one + 1]].tolist())
        yield from ((one, other) for other in sorted(table.query(signed)))
        table.insert(one, signed)


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Ascending values without repeats: quicker than numpy's unique, which hashes."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values


def jaccard_of(
    left: Sets, right: Sets, one: npt.NDArray[Any], other: npt.NDArray[Any], *, compiled: bool = False
) -> npt.NDArray[np.float64]:
    """Jaccard of `left[one[k]]` and `right[other[k]]` for each k; 0 where a set is empty."""
    shared = _shared_compiled(left, right, one, other) if compiled else _shared(left, right, one, other)
    union = left.sizes[one] + right.sizes[other] - shared
    return np.where(shared > 0, shared / np.maximum(union, 1), 0.0)


def _shared_compiled(left: Sets, right: Sets, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> I64:
    """Size of the intersections."""
    from curation.likeness.engine.joins import empty_table, shared_all

    order, found = stable_order(one), np.empty(len(one), np.int64)
    table = empty_table(int(left.sizes[one].max(initial=1)))
    found[order] = shared_all(left.hashes, left.starts, right.hashes, right.starts, one[order], other[order], *table)
    return found


def _shared(left: Sets, right: Sets, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> I64:
    """Size of the intersections: sort both sets' hashes by pair and count neighbours that are equal."""
    out = np.zeros(len(one), np.int64)
    at = offsets(left.sizes[one] + right.sizes[other])
    begin = 0
    while begin < len(one):
        stop = max(begin + 1, int(np.searchsorted(at, at[begin] + PAIRS_AT_ONCE, "right")) - 1)
        a, b = left.take(one[begin:stop]), right.take(other[begin:stop])
        keys = np.concatenate(((a.owners() << 32) | a.hashes, (b.owners() << 32) | b.hashes))
        keys.sort()
        twice = keys[:-1][keys[1:] == keys[:-1]] >> 32
        out[begin:stop] = np.bincount(twice, minlength=stop - begin)
        begin = stop
    return out


def components(count: int, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> I64:
    """For each of `count` nodes the smallest node it is connected to (itself included)."""
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
