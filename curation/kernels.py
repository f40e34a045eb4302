"""The inner loops, compiled by numba where it is installed. Same bits as the numpy code that they replace.

Imported inside functions only: numba costs half a second and 100 MB. Compiled code is kept on disk between runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.join import SLACK, Pairs
from curation.shingling import GRAM_BASE, I64, SHINGLE_BASE, U32, U64, WORD_BASE, Hashed, Sets, offsets
from curation.similarity.words import SHORT

Array = npt.NDArray[Any]
_WORD = np.uint64(WORD_BASE)
_SHINGLE = np.uint64(SHINGLE_BASE)
_GRAM = np.uint64(GRAM_BASE)
_ONE = np.uint64(1)
_HALF = np.uint64(32)
_M1, _M2, _R = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)
_FOLD = np.uint64(0x9E3779B97F4A7C15)
_LONG = 5
_FOUR = 4
_SHORT = SHORT


@njit(inline="always")  # type: ignore[untyped-decorator]
def _mix(value: Any) -> Any:
    value = (value ^ (value >> _R)) * _M1
    value = (value ^ (value >> _R)) * _M2
    return value ^ (value >> _R)


@njit(inline="always")  # type: ignore[untyped-decorator]
def _is_space(code: Any) -> bool:
    return bool(code == 32 or (9 <= code <= 13) or (28 <= code <= 31))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _split(codes: Array, begin: int, end: int, classes: Array, out: Array, line: Array) -> tuple[int, int, Any]:
    """Word hashes of one text into `out`; its words joined by one space into `line`, as far as that has room.

    Returns the number of words and of characters, and the key of the text with white space collapsed (0 where there
    is nothing else). Classes: 0 gap, 1 letter, 2 a word of its own, 3 mark.
    """
    words = chars = 0
    room = len(line)
    hashed = whole = np.uint64(0)
    inside = alone = gap = some = False
    for place in range(begin, end):
        code = codes[place]
        kind = classes[code]
        if kind == 0 and _is_space(code):
            gap = some
        else:
            if gap:
                whole = whole * _WORD + np.uint64(33)
            whole = whole * _WORD + (np.uint64(code) + _ONE)
            gap, some = False, True
        if kind == 0:
            if inside:
                out[words] = _mix(hashed)
                words += 1
            inside = alone = False
            continue
        if kind == 3:
            if not inside:
                continue
        elif inside and (kind == 2 or alone):
            out[words] = _mix(hashed)
            words += 1
            inside = False
        if not inside:
            inside, alone = True, kind == 2
            hashed = np.uint64(0)
            if words and chars < room:
                line[chars] = 32
                chars += 1
        hashed = hashed * _WORD + (np.uint64(code) + _ONE)
        if chars < room:
            line[chars] = code
            chars += 1
    if inside:
        out[words] = _mix(hashed)
        words += 1
    return words, chars, _mix(whole) if some else np.uint64(0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _insert(slots: Array, stamps: Array, stamp: int, value: Any) -> bool:
    """Put a 32-bit hash into a small table that counts as empty where its stamp differs; False if it was there."""
    mask = len(slots) - 1
    at = np.int64(value) & mask
    while stamps[at] == stamp:
        if slots[at] == value:
            return False
        at = (at + 1) & mask
    slots[at] = value
    stamps[at] = stamp
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _hash_all(
    codes: Array, starts: Array, classes: Array, want_grams: bool
) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """Shingle hashes, their number and key by text, gram hashes and their number, line keys, numbers of words."""
    texts = len(starts) - 1
    longest = 1
    for text in range(texts):
        longest = max(longest, starts[text + 1] - starts[text])
    size = 64
    while size < 4 * longest:
        size *= 2
    slots, stamps = np.zeros(size, np.uint32), np.full(size, -1, np.int64)
    words = np.empty(longest, np.uint64)
    line = np.empty(2 * longest, np.uint32)
    shingles, grams = np.empty(len(codes), np.uint32), np.empty(2 * len(codes) if want_grams else 0, np.uint32)
    counts, gram_counts = np.zeros(texts, np.int64), np.zeros(texts, np.int64)
    keys, sizes, set_keys = np.zeros(texts, np.uint64), np.zeros(texts, np.int32), np.zeros(texts, np.uint64)
    filled = gram_filled = 0
    small = np.int64(64)
    for text in range(texts):
        begin, end = starts[text], starts[text + 1] - 1
        room = line if want_grams else line[:0]
        sizes[text], chars, keys[text] = _split(codes, begin, end, classes, words, room)
        count = np.int64(sizes[text])
        small = 64
        while small < 4 * count:
            small *= 2
        before = filled
        length = min(count, _LONG)
        for first in range(count - length + 1 if count else 0):
            total = words[first]
            for step in range(1, length):
                total = total * _SHINGLE + words[first + step]
            value = np.uint32(_mix(total) >> _HALF)
            if _insert(slots[:small], stamps[:small], 2 * text, value):
                shingles[filled] = value
                filled += 1
                set_keys[text] += _mix(np.uint64(value) + _ONE)
        counts[text] = filled - before
        set_keys[text] = _mix(set_keys[text] + np.uint64(counts[text]))
        if want_grams and 0 < count < _SHORT:
            before = gram_filled
            small = 64
            while small < 2 * chars:
                small *= 2
            length = min(chars, _FOUR)
            for first in range(chars - length + 1):
                total = np.uint64(line[first]) + _ONE
                for step in range(1, length):
                    total = total * _GRAM + (np.uint64(line[first + step]) + _ONE)
                value = np.uint32(_mix(total) >> _HALF)
                if _insert(slots[:small], stamps[:small], 2 * text + 1, value):
                    grams[gram_filled] = value
                    gram_filled += 1
            gram_counts[text] = gram_filled - before
    return shingles[:filled], counts, set_keys, grams[:gram_filled], gram_counts, keys, sizes


def hash_codes(codes: Array, starts: I64, classes: Array, grams: bool) -> Hashed:
    """As `curation.shingling._hash_with_numpy`; the order within a set is that of the text."""
    found = _hash_all(codes, starts, classes, grams)
    shingles, counts, set_keys, gram_hashes, gram_counts, keys, sizes = found
    grams_of = Sets(gram_hashes.copy(), offsets(gram_counts))
    return Hashed(Sets(shingles.copy(), offsets(counts)), grams_of, set_keys, keys, sizes)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _all_words(codes: Array, starts: Array, classes: Array) -> tuple[Array, Array]:
    texts = len(starts) - 1
    out = np.empty(len(codes), np.uint64)
    at = np.zeros(texts + 1, np.int64)
    line = np.empty(0, np.uint32)
    for text in range(texts):
        found = _split(codes, starts[text], starts[text + 1] - 1, classes, out[at[text] :], line)
        at[text + 1] = at[text] + found[0]
    return out[: at[texts]], at


def words_of_codes(codes: Array, starts: I64, classes: Array) -> tuple[U64, I64]:
    """As `curation.shingling._words_of_codes`."""
    found, at = _all_words(codes, starts, classes)
    return found.copy(), at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fmix32(value: Any) -> Any:
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
def _sign_all(hashes: Array, starts: Array, a: Array, b: Array) -> Array:
    out = np.empty((len(starts) - 1, len(a)), np.uint32)
    for text in range(len(starts) - 1):
        _sign(hashes, starts[text], starts[text + 1], a, b, out[text])
    return out


def signatures_of(sets: Sets, a: U32, b: U32) -> U32:
    """As `curation.minhash.signatures`."""
    found: U32 = _sign_all(sets.hashes, sets.starts, a, b)
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _band_all(hashes: Array, starts: Array, nodes: Array, a: Array, b: Array, bands: int, rows: int) -> Array:
    out = np.empty((len(nodes), bands), np.uint32)
    minima = np.empty(len(a), np.uint32)
    for place in range(len(nodes)):
        text = nodes[place]
        _sign(hashes, starts[text], starts[text + 1], a, b, minima)
        for band in range(bands):
            key = np.uint64(minima[band * rows])
            for row in range(1, rows):
                key = _mix(key ^ (np.uint64(minima[band * rows + row]) + _FOLD))
            out[place, band] = np.uint32(key >> _HALF)
    return out


def band_keys_of(sets: Sets, nodes: I64, a: U32, b: U32, bands: int, rows: int) -> U32:
    """As `curation.minhash.band_keys`."""
    found: U32 = _band_all(sets.hashes, sets.starts, nodes, a, b, bands, rows)
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _ascending(values: Array, begin: int, end: int) -> None:
    """Sort a slice in place: by shell sort, which needs no recursion and is quick for sets of tens."""
    size = end - begin
    gap = 1
    while gap < size // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for place in range(begin + gap, end):
            value = values[place]
            at = place
            while at - gap >= begin and values[at - gap] > value:
                values[at] = values[at - gap]
                at -= gap
            values[at] = value
        gap //= 3


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _common(left: Array, i: int, i_end: int, right: Array, j: int, j_end: int, need: int) -> int:
    """Size of the intersection of two ascending slices; -1 as soon as `need` is out of reach."""
    found = 0
    while i < i_end and j < j_end:
        one, other = left[i], right[j]
        if one == other:
            found += 1
            i += 1
            j += 1
        elif one < other:
            i += 1
            if found + i_end - i < need:
                return -1
        else:
            j += 1
            if found + j_end - j < need:
                return -1
    return found if found >= need else -1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _shared(left: Array, left_at: Array, right: Array, right_at: Array, one: Array, other: Array) -> Array:
    out = np.empty(len(one), np.int64)
    for k in range(len(one)):
        a, b = one[k], other[k]
        out[k] = _common(left, left_at[a], left_at[a + 1], right, right_at[b], right_at[b + 1], 0)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sort_sets(hashes: Array, starts: Array) -> None:
    for text in range(len(starts) - 1):
        _ascending(hashes, starts[text], starts[text + 1])


def shared_of(left: Sets, right: Sets, one: Array, other: Array) -> I64:
    """Size of the intersections of `left[one[k]]` and `right[other[k]]`."""
    first, where = np.unique(one, return_inverse=True)
    second, there = np.unique(other, return_inverse=True)
    a, b = left.take(first), right.take(second)
    _sort_sets(a.hashes, a.starts)
    _sort_sets(b.hashes, b.starts)
    found: I64 = _shared(a.hashes, a.starts, b.hashes, b.starts, where, there)
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _root(parent: Array, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _need(one: int, other: int, threshold: float) -> int:
    """Shared members that two sets of these sizes need for the threshold."""
    return int(np.ceil(threshold / (1.0 + threshold) * (one + other) - SLACK))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _grown(values: Array) -> Array:
    out = np.empty((2 * len(values), 3), np.int64)
    out[: len(values)] = values
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _band_pairs(
    packed: Array,
    band: int,
    keys: Array,
    hashes: Array,
    starts: Array,
    ends: Array,
    ready: Array,
    parent: Array,
    alike: Array,
    threshold: float,
) -> Array:
    """Verified pairs of one band, from (key, set) packed and sorted: rows of (one, other, shared).

    A pair is left out where an earlier band proposed it, and where it is alike and joined already.
    """
    out = np.empty((1024, 3), np.int64)
    filled = begin = 0
    low = np.uint64(0xFFFFFFFF)
    while begin < len(packed):
        end = begin + 1
        while end < len(packed) and packed[end] >> _HALF == packed[begin] >> _HALF:
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
                if not ready[a]:
                    _ascending(hashes, starts[a], ends[a])
                    ready[a] = True
                if not ready[b]:
                    _ascending(hashes, starts[b], ends[b])
                    ready[b] = True
                need = _need(size_a, size_b, threshold)
                shared = _common(hashes, starts[a], ends[a], hashes, starts[b], ends[b], need)
                if shared >= 0:
                    if filled == len(out):
                        out = _grown(out)
                    out[filled] = a, b, shared
                    filled += 1
                    if alike[a] == alike[b]:
                        parent[max(_root(parent, a), _root(parent, b))] = min(_root(parent, a), _root(parent, b))
        begin = end
    return out[:filled]


def band_join(sets: Sets, nodes: I64, keys: U32, threshold: float, alike: U64) -> Pairs:
    """Near pairs among the sets `nodes` that share a band key; of alike sets only as many as join them.

    `keys` and `alike` are by place in `nodes`. The members of the sets are put into ascending order on the way.
    """
    starts, ends = sets.starts[nodes], sets.starts[nodes + 1]
    places = np.arange(len(nodes), dtype=np.uint64)
    ready, parent = np.zeros(len(nodes), np.bool_), np.arange(len(nodes))
    parts = []
    for band in range(keys.shape[1]):
        packed = (keys[:, band].astype(np.uint64) << _HALF) | places
        packed.sort()
        parts.append(_band_pairs(packed, band, keys, sets.hashes, starts, ends, ready, parent, alike, threshold))
    return _as_pairs(np.concatenate(parts), sets, nodes)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _prefix_join(ranks: Array, starts: Array, tokens: int, parent: Array, alike: Array, threshold: float) -> Array:
    """All near pairs of sets of ascending ranks, the sets by ascending size: rows of (one, other, shared).

    Two near sets share one of their rarest members. Lists of the sets that hold a member are linked, newest first.
    """
    sets = len(starts) - 1
    head = np.full(tokens, -1, np.int64)
    after, holder = np.empty(starts[sets], np.int64), np.empty(starts[sets], np.int32)
    last = np.full(sets, -1, np.int32)
    out = np.empty((1024, 3), np.int64)
    filled = links = 0
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
                        need = _need(size, other, threshold)
                        shared = _common(ranks, begin, end, ranks, starts[y], starts[y + 1], need)
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


def exact_join(sets: Sets, nodes: I64, threshold: float, alike: U64) -> Pairs:
    """All near pairs among the sets `nodes`; of alike sets (by place in `nodes`) only as many as join them."""
    order = np.argsort(sets.sizes[nodes], kind="stable")
    some = sets.take(nodes[order])
    ranks, tokens = _ranks(some.hashes)
    _sort_sets(ranks, some.starts)
    found = _prefix_join(ranks, some.starts, tokens, np.arange(len(some)), alike[order], threshold)
    found[:, :2] = order[found[:, :2]]
    return _as_pairs(found, sets, nodes)


def _ranks(hashes: U32) -> tuple[U32, int]:
    """Replace each hash by its rank, the rarest first; hashes are sorted once, packed with their places."""
    packed = (hashes.astype(np.uint64) << _HALF) | np.arange(len(hashes), dtype=np.uint64)
    packed.sort()
    fresh = np.ones(len(packed), np.bool_)
    fresh[1:] = (packed[1:] >> _HALF) != (packed[:-1] >> _HALF)
    number = np.cumsum(fresh) - 1
    count = np.bincount(number)
    rank = np.empty(len(count), np.uint32)
    rank[np.argsort(count, kind="stable")] = np.arange(len(count), dtype=np.uint32)
    out = np.empty(len(hashes), np.uint32)
    out[(packed & np.uint64(0xFFFFFFFF)).astype(np.int64)] = rank[number]
    return out, len(count)


def _as_pairs(found: I64, sets: Sets, nodes: I64) -> Pairs:
    """Rows of (one, other, shared), by place in `nodes`, as pairs of such places in ascending order."""
    one, other = np.minimum(found[:, 0], found[:, 1]), np.maximum(found[:, 0], found[:, 1])
    sizes = sets.sizes[nodes]
    score = found[:, 2] / np.maximum(sizes[one] + sizes[other] - found[:, 2], 1)
    order = np.argsort((one << 32) | other, kind="stable")
    return Pairs(one[order], other[order], score[order])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sequences(hashes: Array, starts: Array) -> Array:
    out = np.zeros(len(starts) - 1, np.uint64)
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        total = np.uint64(0)
        for place in range(begin, end):
            total += _mix(hashes[place] + _mix(np.uint64(place - begin) + _ONE))
        if end > begin:
            out[text] = _mix(total + np.uint64(end - begin))
    return out


def sequence_keys_of(hashes: U64, starts: I64) -> U64:
    """As `curation.leakage.grams.Words.sequence_keys`."""
    found: U64 = _sequences(hashes, starts)
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(table: Array, slots: Array, numbers: Array) -> None:
    mask = len(slots) - 1
    for number in range(len(table)):
        at = np.int64(table[number] & np.uint64(mask))
        while numbers[at] >= 0:
            at = (at + 1) & mask
        slots[at] = table[number]
        numbers[at] = number


@njit(inline="always")  # type: ignore[untyped-decorator]
def _number(key: Any, slots: Array, numbers: Array, mask: int) -> int:
    at = np.int64(key & np.uint64(mask))
    while numbers[at] >= 0:
        if slots[at] == key:
            return np.int64(numbers[at])
        at = (at + 1) & mask
    return np.int64(-1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _probe(
    hashes: Array,
    starts: Array,
    owner: Array,
    sizes: Array,
    slots: Array,
    numbers: Array,
    last: Array,
    count: Array,
    noted: int,
) -> tuple[Array, Array, Array]:
    """Rows and grams of all hits that are noted, and by text the least 3-gram hash (all ones: it has none)."""
    rows, found = np.empty(1024, np.int64), np.empty(1024, np.int64)
    nature = np.full(len(starts) - 1, np.uint64(0xFFFFFFFFFFFFFFFF))
    filled = 0
    mask = len(slots) - 1
    for text in range(len(starts) - 1):
        row = owner[text]
        for size in sizes:
            for first in range(starts[text], starts[text + 1] - size + 1):
                key = hashes[first]
                for step in range(1, size):
                    key = key * _SHINGLE + hashes[first + step]
                key = _mix(key)
                if size == 3 and key < nature[text]:
                    nature[text] = key
                number = _number(key, slots, numbers, mask)
                if number < 0 or last[number] == row:
                    continue
                last[number] = row
                count[number] += 1
                if count[number] > noted:
                    continue
                if filled == len(rows):
                    rows, found = _doubled(rows), _doubled(found)
                rows[filled], found[filled] = row, number
                filled += 1
    return rows[:filled], found[:filled], nature


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _doubled(values: Array) -> Array:
    out = np.empty(2 * len(values), np.int64)
    out[: len(values)] = values
    return out


class Probe:
    """A hash table of the test side's grams, and for each gram the last row that held it."""

    def __init__(self, table: U64, sizes: tuple[int, ...]) -> None:
        length = 1 << max(4, (4 * len(table)).bit_length())
        self.slots = np.zeros(length, np.uint64)
        self.numbers = np.full(length, -1, np.int32)
        self.last = np.full(len(table), -1, np.int64)
        self.sizes = np.array(sizes or (3,), np.int64)
        _fill(table, self.slots, self.numbers)

    def hits(self, hashes: U64, starts: I64, owner: I64, count: I64, noted: int) -> tuple[I64, I64, U64]:
        """Hits among these texts; `count` is counted on."""
        found: tuple[I64, I64, U64] = _probe(
            hashes, starts, owner, self.sizes, self.slots, self.numbers, self.last, count, noted
        )
        return found
