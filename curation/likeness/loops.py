"""Three compiled loops, where numba is installed: texts to word hashes, sets to MinHash bands, groups to near pairs.

Imported inside functions only: numba costs a quarter of a second and 100 MB. The machine code is kept on disk.
"""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.likeness.sets import GRAM_BASE, SLACK, WORD_BASE
from curation.likeness.words import LETTER, MARK, SINGLE, SPACE

Array = npt.NDArray[Any]
_WORD, _BASE, _GOLDEN = np.uint64(WORD_BASE), np.uint64(GRAM_BASE), np.uint64(0x9E3779B97F4A7C15)
_M1, _M2, _R = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)
_ONE, _THREE, _SEVEN, _BLANK = np.uint64(1), np.uint64(3), np.uint64(7), np.uint64(33)
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_LETTER, _SINGLE, _MARK, _SPACE = LETTER, SINGLE, MARK, SPACE


@njit(inline="always")  # type: ignore[untyped-decorator]
def _mix(value: Any) -> Any:
    value = (value ^ (value >> _R)) * _M1
    value = (value ^ (value >> _R)) * _M2
    return value ^ (value >> _R)


@njit(inline="always")  # type: ignore[untyped-decorator]
def _character(codes: Array, place: int, classes: Array) -> tuple[Any, Any, int]:
    """Return the class of the UTF-8 character that begins there, its code point in lower case plus 1, and its end."""
    code, end = np.int64(codes[place]), place + 1
    if code >= 128:
        width = 1 if code < 0xE0 else 2 if code < 0xF0 else 3
        code &= 63 >> width
        for _ in range(width):
            code = (code << 6) | (codes[end] & 63)
            end += 1
    return classes[code], np.uint64(code + (33 if 65 <= code <= 90 else 1)), end


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def split_words(  # noqa: C901  (one loop)
    codes: Array, starts: Array, classes: Array, grams: Array, first: Array, flags: Array, bits: int, sizes: Array
) -> tuple[Array, Array, Array, Array]:
    """Word hashes of all texts, the number of words and the key of each text, and which of `grams` it holds where.

    Text i is `codes[starts[i]:starts[i + 1]]`, UTF-8 in lower case but for ASCII. The key is a polynomial over words,
    white space (a run is one) and other characters; leading and trailing white space does not count. The other
    arguments are a `hashing.GramTable`; the last result is (text, number of the gram), packed, in order.
    """
    out = np.empty(len(codes), np.uint64)
    counts, keys = np.zeros(len(starts) - 1, np.int64), np.zeros(len(starts) - 1, np.uint64)
    filled = 0
    for text in range(len(starts) - 1):
        begin, place, end = filled, starts[text], starts[text + 1]
        gap = some = False
        whole = np.uint64(0)
        while place < end:
            kind, value, place = _character(codes, place, classes)
            if kind == _SPACE:
                gap = some
                continue
            if kind in (_LETTER, _SINGLE):
                while place < end:
                    after, more, behind = _character(codes, place, classes)
                    if after != _MARK and (after != _LETTER or kind == _SINGLE):
                        break
                    value, place = value * _WORD + more, behind
                value = _mix(value)
                out[filled] = value
                filled += 1
            if gap:
                whole = whole * _WORD + _BLANK
            gap, some = False, True
            whole = whole * _WORD + value
        counts[text] = filled - begin
        if some:
            keys[text] = _mix(whole)
    to_first, to_flag = np.uint64(64 - bits), np.uint64(61 - bits)
    likely, found = np.empty(filled * len(sizes), np.uint64), np.empty(filled * len(sizes), np.int64)
    begin = flagged = held = 0
    for text in range(len(counts)):
        end = begin + counts[text]
        for size in sizes:
            for at in range(begin, end - size + 1):
                gram = out[at]
                for step in range(1, size):
                    gram = gram * _BASE + out[at + step]
                bit = gram >> to_flag
                likely[flagged], found[flagged] = gram, text << 32
                flagged += np.int64((flags[bit >> _THREE] >> (bit & _SEVEN)) & _ONE)
        begin = end
    for at in range(flagged):
        number, last = first[likely[at] >> to_first], first[(likely[at] >> to_first) + _ONE]
        while number < last and grams[number] < likely[at]:
            number += 1
        found[held] = found[at] | number
        held += number < last and grams[number] == likely[at]
    return out[:filled].copy(), counts, keys, found[:held].copy()


@njit(inline="always")  # type: ignore[untyped-decorator]
def _fmix32(value: Any) -> Any:
    # numba widens 32-bit products to 64 bits; the casts bring them back.
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def band_keys(hashes: Array, begins: Array, ends: Array, a: Array, b: Array, bands: int, rows: int) -> Array:
    """Return for each set the ascending keys of its bands: `rows` values of its MinHash signature, and the band."""
    out = np.empty((len(begins), bands), np.uint32)
    minima = np.empty(len(a), np.uint32)
    for place in range(len(begins)):
        minima[:] = np.uint32(0xFFFFFFFF)
        for at in range(begins[place], ends[place]):
            value = _fmix32(hashes[at])
            for k in range(len(a)):
                minima[k] = min(minima[k], np.uint32(value * a[k] + b[k]))
        for band in range(bands):
            key = np.uint64(band)
            for row in range(rows):
                key = _mix(key ^ (np.uint64(minima[band * rows + row]) + _GOLDEN))
            out[place, band] = np.uint32(key >> _HALF)
        out[place].sort()
    return out


@njit(inline="always")  # type: ignore[untyped-decorator]
def _root(parent: Array, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(inline="always")  # type: ignore[untyped-decorator]
def _is_first(keys: Array, key_at: Array, a: int, b: int, key: Any) -> bool:
    """True if `key` is the smallest that both have; only that group judges the pair."""
    i, j = key_at[a], key_at[b]
    while keys[i] != keys[j]:
        if keys[i] < keys[j]:
            i += 1
        else:
            j += 1
    return bool(keys[i] == key)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def near_pairs(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    packed: Array,
    keys: Array,
    key_at: Array,
    hashes: Array,
    begins: Array,
    ends: Array,
    parent: Array,
    alike: Array,
    threshold: float,
) -> Array:
    """Near pairs among sets that share a key: rows of (one, other, shared).

    Sets are numbered by ascending size. `packed` are (key, set), ascending; a set's own keys, ascending, are
    `keys[key_at[set]:key_at[set + 1]]`. A pair is left out where it is alike and joined already.
    """
    longest = np.int64(1)
    for place in range(len(begins)):
        longest = max(longest, ends[place] - begins[place])
    length = 64
    while length < 4 * longest:
        length *= 2
    slots, stamps, mask = np.zeros(length, np.uint32), np.zeros(length, np.int64), length - 1
    out = np.empty((1024, 3), np.int64)
    filled = begin = stamp = 0
    entered = np.int64(-1)
    while begin < len(packed):
        key = packed[begin] >> _HALF
        end = begin + 1
        while end < len(packed) and packed[end] >> _HALF == key:
            end += 1
        for i in range(begin, end - 1):
            a = np.int64(packed[i] & _LOW)
            size_a = ends[a] - begins[a]
            for j in range(i + 1, end):
                b = np.int64(packed[j] & _LOW)
                size_b = ends[b] - begins[b]
                if size_a < threshold * size_b - SLACK:
                    break
                if alike[a] == alike[b] and _root(parent, a) == _root(parent, b):
                    continue
                if not _is_first(keys, key_at, a, b, key):
                    continue
                if entered != a:
                    stamp += 1
                    entered = a
                    for at in range(begins[a], ends[a]):
                        slot = np.int64(hashes[at]) & mask
                        while stamps[slot] == stamp:
                            slot = (slot + 1) & mask
                        slots[slot], stamps[slot] = hashes[at], stamp
                shared = np.int64(0)
                may_miss = size_b - np.int64(np.ceil(threshold / (1.0 + threshold) * (size_a + size_b) - SLACK))
                for at in range(begins[b], ends[b]):
                    slot = np.int64(hashes[at]) & mask
                    while stamps[slot] == stamp and slots[slot] != hashes[at]:
                        slot = (slot + 1) & mask
                    if stamps[slot] == stamp:
                        shared += 1
                    else:
                        may_miss -= 1
                        if may_miss < 0:
                            break
                if may_miss < 0:
                    continue
                if filled == len(out):
                    longer = np.empty((2 * filled, 3), np.int64)
                    longer[:filled] = out
                    out = longer
                out[filled] = a, b, shared
                filled += 1
                if alike[a] == alike[b]:
                    parent[_root(parent, a)] = _root(parent, b)
        begin = end
    return out[:filled]
