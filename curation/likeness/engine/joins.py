"""MinHash bands, and the near pairs of sets that share a band key or one of their rarest members, compiled."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from curation.likeness.engine.texts import HALF, Array, mix
from curation.likeness.sets import SLACK

_FOLD = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fmix32(value: Any) -> Any:
    """MurmurHash3's 32-bit finalizer."""
    # numba widens 32-bit products to 64 bits; the casts bring them back.
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sign(hashes: Array, begin: int, end: int, a: Array, b: Array, minima: Array) -> None:
    minima[:] = np.uint32(0xFFFFFFFF)
    for place in range(begin, end):
        value = _fmix32(hashes[place])
        for k in range(len(a)):
            minima[k] = min(minima[k], np.uint32(value * a[k] + b[k]))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def sign_all(hashes: Array, starts: Array, a: Array, b: Array) -> Array:
    """Signatures of all sets."""
    out = np.empty((len(starts) - 1, len(a)), np.uint32)
    for text in range(len(starts) - 1):
        _sign(hashes, starts[text], starts[text + 1], a, b, out[text])
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def band_all(hashes: Array, starts: Array, nodes: Array, a: Array, b: Array, bands: int, rows: int) -> Array:
    """A row of band keys for each of the sets `nodes`."""
    out = np.empty((len(nodes), bands), np.uint32)
    minima = np.empty(len(a), np.uint32)
    for place in range(len(nodes)):
        text = nodes[place]
        _sign(hashes, starts[text], starts[text + 1], a, b, minima)
        for band in range(bands):
            key = np.uint64(minima[band * rows])
            for row in range(1, rows):
                key = mix(key ^ (np.uint64(minima[band * rows + row]) + _FOLD))
            out[place, band] = np.uint32(key >> HALF)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def enter(values: Array, begin: int, end: int, slots: Array, stamps: Array, stamp: int) -> None:
    """Put a set into a table whose entries count only where their stamp is this one."""
    mask = len(slots) - 1
    for place in range(begin, end):
        at = np.int64(values[place]) & mask
        while stamps[at] == stamp:
            at = (at + 1) & mask
        slots[at] = values[place]
        stamps[at] = stamp


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def in_table(values: Array, begin: int, end: int, slots: Array, stamps: Array, stamp: int, need: int) -> int:
    """How many of a set's members the table holds; -1 as soon as `need` is out of reach."""
    mask = len(slots) - 1
    found = 0
    may_miss = end - begin - need
    for place in range(begin, end):
        value = values[place]
        at = np.int64(value) & mask
        while stamps[at] == stamp and slots[at] != value:
            at = (at + 1) & mask
        if stamps[at] == stamp:
            found += 1
        else:
            may_miss -= 1
            if may_miss < 0:
                return -1
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def empty_table(largest: int) -> tuple[Array, Array]:
    """An empty table that has room for a set of this size, and its stamps."""
    length = 64
    while length < 4 * largest:
        length *= 2
    return np.zeros(length, np.uint32), np.full(length, -1, np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def shared_all(
    left: Array, left_at: Array, right: Array, right_at: Array, one: Array, other: Array, slots: Array, stamps: Array
) -> Array:
    """Size of the intersections of `left[one[k]]` and `right[other[k]]`; equal ones of `one` come together."""
    out = np.empty(len(one), np.int64)
    entered = -1
    for k in range(len(one)):
        a, b = one[k], other[k]
        if a != entered:
            enter(left, left_at[a], left_at[a + 1], slots, stamps, a)
            entered = a
        out[k] = max(0, in_table(right, right_at[b], right_at[b + 1], slots, stamps, a, 0))
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _root(parent: Array, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def needed(one: int, other: int, threshold: float) -> int:
    """Shared members that two sets of these sizes need for the threshold."""
    return int(np.ceil(threshold / (1.0 + threshold) * (one + other) - SLACK))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _grown(values: Array) -> Array:
    out = np.empty((2 * len(values), 3), np.int64)
    out[: len(values)] = values
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def band_pairs(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    packed: Array,
    band: int,
    keys: Array,
    hashes: Array,
    starts: Array,
    ends: Array,
    slots: Array,
    stamps: Array,
    parent: Array,
    alike: Array,
    threshold: float,
) -> Array:
    """Verified pairs of one band, from (key, set) packed and sorted: rows of (one, other, shared).

    A pair is left out where an earlier band proposed it, and where it is alike and joined already.
    """
    out = np.empty((1024, 3), np.int64)
    filled = begin = 0
    entered = np.int64(-1)
    stamp = np.int64(band) * len(starts)
    low = np.uint64(0xFFFFFFFF)
    while begin < len(packed):
        end = begin + 1
        while end < len(packed) and packed[end] >> HALF == packed[begin] >> HALF:
            end += 1
        for i in range(begin, end - 1):
            a = np.int64(packed[i] & low)
            size_a = ends[a] - starts[a]
            for j in range(i + 1, end):
                b = np.int64(packed[j] & low)
                size_b = ends[b] - starts[b]
                if min(size_a, size_b) < threshold * max(size_a, size_b) - SLACK:
                    continue
                if alike[a] == alike[b] and _root(parent, a) == _root(parent, b):
                    continue
                seen = False
                for earlier in range(band):
                    if keys[a, earlier] == keys[b, earlier]:
                        seen = True
                        break
                if seen:
                    continue
                if entered != a:
                    enter(hashes, starts[a], ends[a], slots, stamps, stamp + a)
                    entered = a
                need = needed(size_a, size_b, threshold)
                shared = in_table(hashes, starts[b], ends[b], slots, stamps, stamp + a, need)
                if shared >= 0:
                    if filled == len(out):
                        out = _grown(out)
                    out[filled] = a, b, shared
                    filled += 1
                    if alike[a] == alike[b]:
                        parent[max(_root(parent, a), _root(parent, b))] = min(_root(parent, a), _root(parent, b))
        begin = end
    return out[:filled]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def rarest_first(ranks: Array, starts: Array) -> None:
    """Sort each set in place, by shell sort, which needs no recursion and is quick for sets of tens."""
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        gap = 1
        while gap < (end - begin) // 3:
            gap = 3 * gap + 1
        while gap > 0:
            for place in range(begin + gap, end):
                value = ranks[place]
                at = place
                while at - gap >= begin and ranks[at - gap] > value:
                    ranks[at] = ranks[at - gap]
                    at -= gap
                ranks[at] = value
            gap //= 3


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def prefix_join(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    ranks: Array,
    starts: Array,
    tokens: int,
    slots: Array,
    stamps: Array,
    parent: Array,
    alike: Array,
    threshold: float,
) -> Array:
    """All near pairs of sets of ascending ranks, the sets by ascending size: rows of (one, other, shared).

    Two near sets share one of their rarest members. Lists of the sets that hold a member are linked, newest first.
    """
    sets = len(starts) - 1
    head = np.full(tokens, -1, np.int64)
    after, holder = np.empty(starts[sets], np.int64), np.empty(starts[sets], np.int32)
    last = np.full(sets, -1, np.int32)
    out = np.empty((1024, 3), np.int64)
    filled = links = 0
    entered = -1
    for x in range(sets):
        begin, end = starts[x], starts[x + 1]
        size = end - begin
        prefix = size - int(np.ceil(threshold * size - SLACK)) + 1
        for place in range(begin, begin + min(prefix, size)):
            token = ranks[place]
            entry = head[token]
            while entry >= 0:
                y = np.int64(holder[entry])
                other = starts[y + 1] - starts[y]
                if other < threshold * size - SLACK:
                    break
                if last[y] != x:
                    last[y] = x
                    if alike[x] != alike[y] or _root(parent, x) != _root(parent, y):
                        if entered != x:
                            enter(ranks, begin, end, slots, stamps, x)
                            entered = x
                        need = needed(size, other, threshold)
                        shared = in_table(ranks, starts[y], starts[y + 1], slots, stamps, x, need)
                        if shared >= 0:
                            if filled == len(out):
                                out = _grown(out)
                            out[filled] = x, y, shared
                            filled += 1
                            if alike[x] == alike[y]:
                                parent[_root(parent, x)] = _root(parent, y)
                entry = after[entry]
            holder[links] = x
            after[links] = head[token]
            head[token] = links
            links += 1
    return out[:filled]
