"""Which train rows hold which grams of the test side."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.codes import Encoded, classes_table
from curation.join import SLACK
from curation.kernels.joining import enter, in_table, needed
from curation.kernels.mixing import Array, mix
from curation.kernels.reading import WORD, read_words
from curation.sets import I64, U64, Sets
from curation.shingling import SHINGLE_BASE

_SHINGLE = np.uint64(SHINGLE_BASE)
_TO_WORD, _TO_BIT = np.uint64(64 - 15), np.uint64(64 - 21)
"""The top 15 bits of a key name a word of the map, the next 6 a bit of it."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(table: Array, slots: Array, numbers: Array) -> None:
    mask = len(slots) - 1
    for number in range(len(table)):
        at = np.int64(table[number] & np.uint64(mask))
        while numbers[at] >= 0:
            at = (at + 1) & mask
        slots[at] = table[number]
        numbers[at] = number


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mark(table: Array, bits: Array) -> None:
    """Set the bit of each key: a map small enough for the cache tells nearly all others apart."""
    for key in table:
        bits[np.int64(key >> _TO_WORD)] |= np.uint64(1) << (key >> _TO_BIT & np.uint64(63))


@njit(inline="always")  # type: ignore[untyped-decorator]
def _number(key: Any, slots: Array, numbers: Array, mask: int) -> int:
    at = np.int64(key & np.uint64(mask))
    while numbers[at] >= 0:
        if slots[at] == key:
            return np.int64(numbers[at])
        at = (at + 1) & mask
    return np.int64(-1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _key(words: Array, count: int) -> Any:
    """Of the words in their order; 0 where there is none."""
    total = np.uint64(0)
    for k in range(count):
        total = total * WORD + words[k]
    return mix(total + np.uint64(count)) if count else np.uint64(0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _keys(words: Array, count: int, size: int, out: Array) -> int:
    """Keys of all runs of `size` words into `out`; their number."""
    for first in range(count - size + 1):
        key = words[first]
        for step in range(1, size):
            key = key * _SHINGLE + words[first + step]
        out[first] = mix(key)
    return max(0, count - size + 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _three(words: Array, count: int, out: Array) -> Any:
    """As `_keys` for runs of three, and the least of the keys (all ones: there is none)."""
    least = np.uint64(0xFFFFFFFFFFFFFFFF)
    for first in range(count - 2):
        key = mix((words[first] * _SHINGLE + words[first + 1]) * _SHINGLE + words[first + 2])
        out[first] = key
        least = min(least, key)
    return least


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _likely(keys: Array, count: int, bits: Array) -> int:
    """Move the keys that the map has to the front; their number. Without a branch, which would be guessed wrong."""
    filled = 0
    for k in range(count):
        key = keys[k]
        keys[filled] = key
        filled += np.int64((bits[np.int64(key >> _TO_WORD)] >> (key >> _TO_BIT & np.uint64(63))) & np.uint64(1))
    return filled


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scan(
    data: Array,
    begins: Array,
    ends: Array,
    classes: Array,
    owner: Array,
    sizes: Array,
    bits: Array,
    slots: Array,
    numbers: Array,
    last: Array,
    count: Array,
    noted: int,
) -> tuple[Array, Array, Array, Array, Array]:
    """Rows and grams of all hits that are noted; by text the least 3-gram, the key of its words and their number."""
    longest = 1
    for text in range(len(begins)):
        longest = max(longest, ends[text] - begins[text])
    words, keys = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    rows, found = np.empty(4096, np.int64), np.empty(4096, np.int64)
    texts = len(begins)
    least, whole, counts = np.empty(texts, np.uint64), np.empty(texts, np.uint64), np.empty(texts, np.int64)
    filled = 0
    mask = len(slots) - 1
    for text in range(texts):
        row = owner[text]
        size = read_words(data, begins[text], ends[text], classes, words)
        counts[text], whole[text] = size, _key(words, size)
        least[text] = _three(words, size, keys)
        runs = max(0, size - 2)
        for turn in range(len(sizes)):
            if sizes[turn] != 3:
                runs = _keys(words, size, sizes[turn], keys)
            elif turn:
                _three(words, size, keys)
                runs = max(0, size - 2)
            runs = _likely(keys, runs, bits)
            while filled + runs > len(rows):
                rows, found = _doubled(rows), _doubled(found)
            for k in range(runs):
                number = _number(keys[k], slots, numbers, mask)
                if number < 0 or last[number] == row:
                    continue
                last[number] = row
                count[number] += 1
                if count[number] <= noted:
                    rows[filled], found[filled] = row, number
                    filled += 1
    return rows[:filled], found[:filled], least, whole, counts


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
        self.bits = np.zeros(1 << 15, np.uint64)
        _fill(table, self.slots, self.numbers)
        _mark(table, self.bits)

    def scan(self, code: Encoded, owner: I64, count: I64, noted: int) -> tuple[I64, I64, U64, U64, I64]:
        """Hits among these texts (rows and numbers of grams), and by text the least 3-gram, the key of its words (0:
        it has none) and their number; `count` is counted on.
        """
        state = (self.sizes, self.bits, self.slots, self.numbers, self.last)
        found: tuple[I64, I64, U64, U64, I64] = _scan(
            code.data, code.begins, code.ends, classes_table(), owner, *state, count, noted
        )
        return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _short_near(
    hashes: Array,
    starts: Array,
    table: Array,
    items: Array,
    flags: Array,
    others: Array,
    other_at: Array,
    threshold: float,
) -> tuple[Array, Array, Array]:
    """Pairs of a text and an item that share a rare gram and are near: text, item, shared members."""
    texts, found, shared = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.int64)
    filled = 0
    seen = np.full(len(other_at) - 1, -1, np.int64)
    slots, stamps = np.zeros(1024, np.uint32), np.full(1024, -1, np.int64)
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        size = end - begin
        entered = False
        for place in range(begin, end):
            value = hashes[place]
            if not flags[np.int64(value) & 0xFFFFF]:
                continue
            at = np.searchsorted(table, np.uint64(value))
            while at < len(table) and table[at] == np.uint64(value):
                item = items[at]
                at += 1
                other = other_at[item + 1] - other_at[item]
                if seen[item] == text or min(size, other) < threshold * max(size, other) - SLACK:
                    continue
                seen[item] = text
                if not entered:
                    if 4 * size > len(slots):
                        slots, stamps = np.zeros(8 * size, np.uint32), np.full(8 * size, -1, np.int64)
                    enter(hashes, begin, end, slots, stamps, text)
                    entered = True
                need = needed(size, other, threshold)
                common = in_table(others, other_at[item], other_at[item + 1], slots, stamps, text, need)
                if common < 0:
                    continue
                if filled == len(texts):
                    texts, found, shared = _doubled(texts), _doubled(found), _doubled(shared)
                texts[filled], found[filled], shared[filled] = text, item, common
                filled += 1
    return texts[:filled], found[:filled], shared[:filled]


def short_near_of(
    grams: Sets, others: Sets, rare: tuple[U64, I64], flags: Array, threshold: float
) -> tuple[I64, I64, npt.NDArray[np.float64]]:
    """Near pairs of a text's grams and an item's, with their similarity; `rare` grams of the items propose them."""
    one, other, shared = _short_near(
        grams.hashes, grams.starts, rare[0], rare[1], flags, others.hashes, others.starts, threshold
    )
    return one, other, shared / np.maximum(grams.sizes[one] + others.sizes[other] - shared, 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _weigh(
    rows: Array,
    numbers: Array,
    held_from: Array,
    holders: Array,
    weights: Array,
    live: Array,
    dead: Array,
    heavy: Array,
) -> tuple[Array, Array, Array, Array]:
    """By (row, part), rows being in order: weight and number of the part's grams that the row holds.

    A live gram counts for all its holders, one that is neither live nor dead only for a heavy part.
    """
    parts = len(heavy)
    weight, count = np.zeros(parts), np.zeros(parts, np.int64)
    touched = np.empty(parts, np.int64)
    out_row, out_part = np.empty(1024, np.int64), np.empty(1024, np.int64)
    out_weight, out_count = np.empty(1024), np.empty(1024, np.int64)
    filled = begin = 0
    while begin < len(rows):
        end = begin
        many = 0
        while end < len(rows) and rows[end] == rows[begin]:
            number = numbers[end]
            end += 1
            if dead[number]:
                continue
            for at in range(held_from[number], held_from[number + 1]):
                part = holders[at]
                if not (live[number] or heavy[part]):
                    continue
                if not count[part]:
                    touched[many] = part
                    many += 1
                count[part] += 1
                if live[number]:
                    weight[part] += weights[number]
        while filled + many > len(out_row):
            out_row, out_part, out_count = _doubled(out_row), _doubled(out_part), _doubled(out_count)
            longer = np.empty(2 * len(out_weight))
            longer[:filled] = out_weight[:filled]
            out_weight = longer
        for k in range(many):
            part = touched[k]
            out_row[filled], out_part[filled] = rows[begin], part
            out_weight[filled], out_count[filled] = weight[part], count[part]
            weight[part], count[part] = 0.0, 0
            filled += 1
        begin = end
    return out_row[:filled], out_part[:filled], out_weight[:filled], out_count[:filled]


def weigh(
    rows: I64,
    numbers: I64,
    held: tuple[I64, I64],
    weights: npt.NDArray[np.float64],
    grams: tuple[Array, Array],
    heavy: Array,
) -> tuple[I64, I64, npt.NDArray[np.float64], I64]:
    """As `curation.leakage.weigh._sums`."""
    found: tuple[I64, I64, npt.NDArray[np.float64], I64] = _weigh(
        rows, numbers, held[0], held[1], weights, grams[0], grams[1], heavy
    )
    return found
