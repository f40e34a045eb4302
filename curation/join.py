"""Which sets are near: candidate pairs from a prefix filter (exact) or from MinHash bands, then exact Jaccard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curation.sets import I64, U64, Sets, offsets

Method = Literal["exact", "minhash"]
PAIRS_AT_ONCE = 1 << 21
SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Pairs:
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
) -> Pairs:
    """All pairs of the sets `nodes` with Jaccard >= threshold, as places in `nodes`; with `minhash` those that the
    bands propose. Empty sets are near none; equal sets are near too: name one of them where that is not wanted.

    `alike` gives each place a key: of sets with equal keys compiled code may return no more pairs than it takes to
    join those that are connected.
    """
    filled = np.flatnonzero(sets.sizes[nodes])
    if len(filled) < len(nodes):
        some = near_sets(
            sets, nodes[filled], threshold, method, compiled=compiled, alike=None if alike is None else alike[filled]
        )
        return Pairs(filled[some.one], filled[some.other], some.score)
    if compiled:
        alike = np.arange(len(nodes), dtype=np.uint64) if alike is None else alike
        return _near_compiled(sets, nodes, threshold, method, alike)
    some_sets = sets.take(nodes)
    find = _prefix_candidates if method == "exact" else _band_candidates
    ones, others, scores = [], [], []
    maps = _bitmaps(some_sets)
    for one, other in find(some_sets, threshold):
        one, other = _possible(maps, some_sets.sizes, one, other, threshold)
        score = jaccard_of(some_sets, some_sets, one, other)
        near = score >= threshold - SLACK
        ones.append(one[near])
        others.append(other[near])
        scores.append(score[near])
    return _merged(ones, others, scores)


def _near_compiled(sets: Sets, nodes: I64, threshold: float, method: Method, alike: U64) -> Pairs:
    from curation.kernels import band_join, exact_join

    if method == "exact":
        return exact_join(sets, nodes, threshold, alike)
    from curation.minhash import band_keys

    return band_join(sets, nodes, band_keys(sets, nodes, compiled=True), threshold, alike)


BITS = 1024
"""Bits of a set's map: a hash sets the bit of its remainder."""


def _bitmaps(sets: Sets) -> U64:
    """The map of each set, 16 words of 64 bits."""
    out = np.empty((len(sets), BITS // 64), np.uint64)
    for begin in range(0, len(sets), 4096):
        part = sets.take(np.arange(begin, min(begin + 4096, len(sets))))
        flags = np.zeros((len(part), BITS), np.bool_)
        flags[part.owners(), part.hashes % BITS] = True
        out[begin : begin + len(part)] = np.packbits(flags, axis=1).view(np.uint64)
    return out


def _possible(maps: U64, sizes: I64, one: I64, other: I64, threshold: float) -> tuple[I64, I64]:
    """The pairs that may be near: a bit that only one of them has is a member that only it has."""
    keep = np.empty(len(one), np.bool_)
    for begin in range(0, len(one), 1 << 16):
        a, b = one[begin : begin + (1 << 16)], other[begin : begin + (1 << 16)]
        left, right = maps[a], maps[b]
        most = np.minimum(
            sizes[a] - np.bitwise_count(left & ~right).sum(axis=1, dtype=np.int64),
            sizes[b] - np.bitwise_count(right & ~left).sum(axis=1, dtype=np.int64),
        )
        keep[begin : begin + len(a)] = most >= (threshold - SLACK) * (sizes[a] + sizes[b] - most)
    return one[keep], other[keep]


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Ascending values without repeats: quicker than numpy's unique, which hashes."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values


def _merged(ones: list[I64], others: list[I64], scores: list[npt.NDArray[np.float64]]) -> Pairs:
    if not ones:
        none = np.zeros(0, np.int64)
        return Pairs(none, none, np.zeros(0))
    one, other, score = np.concatenate(ones), np.concatenate(others), np.concatenate(scores)
    _, first = np.unique((one << 32) | other, return_index=True)
    return Pairs(one[first], other[first], score[first])


def _prefix_candidates(sets: Sets, threshold: float) -> Iterator[tuple[I64, I64]]:
    """Two sets with Jaccard >= t share one of their n - ceil(t n) + 1 rarest hashes."""
    owners, sizes = sets.owners(), sets.sizes
    _, inverse, count = np.unique(sets.hashes, return_inverse=True, return_counts=True)
    rank = np.empty(len(count), np.int64)
    rank[np.argsort(count, kind="stable")] = np.arange(len(count))
    order = np.argsort((owners << 32) | rank[inverse], kind="stable")
    prefix = sizes - np.ceil(threshold * sizes - SLACK).astype(np.int64) + 1
    place = np.arange(len(order)) - sets.starts[:-1][owners]
    chosen = order[place < prefix[owners]]
    chosen = chosen[count[inverse[chosen]] > 1]
    yield from pairs_within(rank[inverse[chosen]], owners[chosen], sizes, threshold)


def _band_candidates(sets: Sets, threshold: float) -> Iterator[tuple[I64, I64]]:
    from curation.minhash import BANDS, band_keys

    nodes = np.arange(len(sets))
    keys = band_keys(sets, nodes)
    seen = np.zeros(0, np.int64)
    for band in range(BANDS):
        for one, other in pairs_within(keys[:, band], nodes, sets.sizes, threshold):
            packed = (one << 32) | other
            at = np.searchsorted(seen, packed)
            at[at == len(seen)] = 0
            fresh = packed[seen[at] != packed] if len(seen) else packed
            seen = np.sort(np.concatenate((seen, fresh)), kind="stable")
            yield fresh >> 32, fresh & 0xFFFFFFFF


def pairs_within(keys: npt.NDArray[Any], owners: I64, sizes: I64, threshold: float = 0.0) -> Iterator[tuple[I64, I64]]:
    """Pairs of different owners that share a key and whose sizes allow the threshold, in chunks of a few million."""
    ordered = np.sort(keys)
    twice = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
    group = np.searchsorted(twice, keys)
    group[group == len(twice)] = 0
    shared = np.flatnonzero(twice[group] == keys) if len(twice) else group[:0]
    group, owners = group[shared], owners[shared]
    size = sizes[owners]
    order = np.lexsort((size, group))
    group, owners, size = group[order], owners[order], size[order]
    span = np.int64(size.max(initial=0) + 1)
    reach = np.minimum(np.floor(size / max(threshold, SLACK) + SLACK), span - 1).astype(np.int64)
    end = np.searchsorted(group * span + size, group * span + reach, "right")
    count = end - np.arange(len(end)) - 1
    at = offsets(count)
    begin = 0
    while begin < len(count):
        stop = max(begin + 1, int(np.searchsorted(at, at[begin] + PAIRS_AT_ONCE, "right")) - 1)
        one = np.repeat(np.arange(begin, stop), count[begin:stop])
        other = np.arange(len(one)) - np.repeat(at[begin:stop] - at[begin], count[begin:stop]) + one + 1
        a, b = owners[one], owners[other]
        packed = distinct((np.minimum(a, b) << 32) | np.maximum(a, b))
        one, other = packed >> 32, packed & 0xFFFFFFFF
        yield one[one != other], other[one != other]
        begin = stop


def jaccard_of(
    left: Sets, right: Sets, one: npt.NDArray[Any], other: npt.NDArray[Any], *, compiled: bool = False
) -> npt.NDArray[np.float64]:
    """Jaccard of `left[one[k]]` and `right[other[k]]` for each k; 0 where a set is empty."""
    if compiled:
        from curation.kernels import shared_of

        shared = shared_of(left, right, one, other)
    else:
        shared = _shared(left, right, one, other)
    union = left.sizes[one] + right.sizes[other] - shared
    return np.where(shared > 0, shared / np.maximum(union, 1), 0.0)


def _shared(left: Sets, right: Sets, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> I64:
    """Size of the intersections: sort both sets' hashes by pair and count neighbours that are equal."""
    out = np.zeros(len(one), np.int64)
    at = offsets(left.sizes[one] + right.sizes[other])
    begin = 0
    while begin < len(one):
        stop = max(begin + 1, int(np.searchsorted(at, at[begin] + (PAIRS_AT_ONCE << 2), "right")) - 1)
        a, b = left.take(one[begin:stop]), right.take(other[begin:stop])
        keys = np.concatenate(((a.owners() << 32) | a.hashes, (b.owners() << 32) | b.hashes))
        keys.sort()
        twice = keys[:-1][keys[1:] == keys[:-1]] >> 32
        out[begin:stop] = np.bincount(twice, minlength=stop - begin)
        begin = stop
    return out


def components(count: int, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> I64:
    """For each of `count` nodes the smallest node it is connected to (itself included)."""
    if len(one) > 20_000:
        return _big_components(count, one, other)
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while (above := parent.get(node, node)) != node:
            parent[node] = parent.get(above, above)
            node = above
        return node

    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        ra, rb = root(a), root(b)
        if ra != rb:
            parent[max(ra, rb)] = min(ra, rb)
    found = np.arange(count, dtype=np.int64)
    found[list(parent)] = [root(node) for node in list(parent)]
    return found


def _big_components(count: int, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> I64:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    smallest = np.full(count, count, np.int64)
    np.minimum.at(smallest, labels, np.arange(count))
    found: I64 = smallest[labels]
    return found
