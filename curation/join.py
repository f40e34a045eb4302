"""Which sets are near: candidate pairs from a prefix filter (exact) or from MinHash bands, then exact Jaccard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curation.shingling import I64, U64, Sets, offsets

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
    sets: Sets, threshold: float, method: Method = "exact", *, compiled: bool = False, alike: U64 | None = None
) -> Pairs:
    """All pairs of non-empty sets with Jaccard >= threshold; with `minhash` those that the bands propose.

    `alike` gives each set a key: of sets with equal keys compiled code may return no more pairs than it takes to
    join those that are connected. Equal sets are near too: give distinct ones where that is not wanted.
    """
    if compiled:
        return _near_compiled(sets, threshold, method, np.arange(len(sets), dtype=np.uint64) if alike is None else alike)
    chunks = _prefix_candidates(sets, threshold) if method == "exact" else _band_candidates(sets, threshold)
    ones, others, scores = [], [], []
    for one, other in chunks:
        score = jaccard_of(sets, sets, one, other)
        near = score >= threshold - SLACK
        ones.append(one[near])
        others.append(other[near])
        scores.append(score[near])
    return _merged(ones, others, scores)


def _near_compiled(sets: Sets, threshold: float, method: Method, alike: U64) -> Pairs:
    from curation.kernels import band_join, exact_join

    if method == "exact":
        return exact_join(sets, threshold, alike)
    from curation.minhash import band_keys

    return band_join(sets, band_keys(sets, compiled=True), threshold, alike)


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

    keys = band_keys(sets)
    filled = np.flatnonzero(sets.sizes)
    for band in range(BANDS):
        yield from pairs_within(keys[filled, band], filled, sets.sizes, threshold)


def pairs_within(keys: npt.NDArray[Any], owners: I64, sizes: I64, threshold: float = 0.0) -> Iterator[tuple[I64, I64]]:
    """Pairs of different owners that share a key and whose sizes allow the threshold, in chunks of a few million."""
    group = np.unique(keys, return_inverse=True)[1].astype(np.int64)
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
        packed = np.unique((np.minimum(a, b) << 32) | np.maximum(a, b))
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
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    if len(one) > 20_000:
        return _big_components(count, one, other)
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        ra, rb = root(a), root(b)
        if ra != rb:
            parent[max(ra, rb)] = min(ra, rb)
    return np.array([root(node) for node in range(count)], np.int64)


def _big_components(count: int, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> I64:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    smallest = np.full(count, count, np.int64)
    np.minimum.at(smallest, labels, np.arange(count))
    found: I64 = smallest[labels]
    return found
