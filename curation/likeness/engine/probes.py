"""Grams of the test side in train rows, compiled: which rows hold which, and how much of each part a row holds."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.likeness.codes import WORD_BASE, Encoded, classes_table
from curation.likeness.engine.texts import SHINGLES, WORD, Array, longer, mix, notes, words_of_text
from curation.likeness.sets import I64, U64

_TWO_WORDS = np.uint64(WORD_BASE * WORD_BASE % (1 << 64))
_TO_WORD, _TO_BIT = np.uint64(64 - 15), np.uint64(64 - 21)
"""The top 15 bits of a key name a word of the map, the next 6 a bit of it."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(table: Array, slots: Array) -> None:
    mask = len(slots) - 1
    for number in range(len(table)):
        at = np.int64(table[number] & np.uint64(mask))
        while slots[at] >= 0:
            at = (at + 1) & mask
        slots[at] = number


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mark(table: Array, bits: Array) -> None:
    """Set the bit of each key: a map small enough for the cache tells nearly all others apart."""
    for key in table:
        bits[np.int64(key >> _TO_WORD)] |= np.uint64(1) << (key >> _TO_BIT & np.uint64(63))


@njit(inline="always")  # type: ignore[untyped-decorator]
def _number(key: Any, table: Array, slots: Array, mask: int) -> int:
    at = np.int64(key & np.uint64(mask))
    while slots[at] >= 0 and table[slots[at]] != key:
        at = (at + 1) & mask
    return np.int64(slots[at])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _key(words: Array, count: int) -> Any:
    """Of the words in their order; 0 where there is none. Two words at once: each step waits for the one before."""
    total = words[0] if count & 1 else np.uint64(0)
    for k in range(count & 1, count, 2):
        total = total * _TWO_WORDS + (words[k] * WORD + words[k + 1])
    return mix(total + np.uint64(count)) if count else np.uint64(0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _keys(words: Array, count: int, size: int, out: Array) -> int:
    """Keys of all runs of `size` words into `out`; their number."""
    for first in range(count - size + 1):
        key = words[first]
        for step in range(1, size):
            key = key * SHINGLES + words[first + step]
        out[first] = mix(key)
    return max(0, count - size + 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _three(words: Array, count: int, out: Array) -> Any:
    """As `_keys` for runs of three, and the least of the keys (all ones: there is none)."""
    least = np.uint64(0xFFFFFFFFFFFFFFFF)
    for first in range(count - 2):
        key = mix((words[first] * SHINGLES + words[first + 1]) * SHINGLES + words[first + 2])
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
def _scan(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    data: Array,
    begins: Array,
    ends: Array,
    classes: Array,
    owner: Array,
    sizes: Array,
    bits: Array,
    table: Array,
    slots: Array,
    last: Array,
    count: Array,
    noted: int,
) -> tuple[Array, Array, Array, Array, Array]:
    """Rows and grams of all hits that are noted; by text the least 3-gram, the key of its words and their number."""
    longest = 1
    for text in range(len(begins)):
        longest = max(longest, ends[text] - begins[text])
    words, keys, room = np.empty(longest, np.uint64), np.empty(longest, np.uint64), notes()
    rows, found = np.empty(4096, np.int64), np.empty(4096, np.int64)
    texts = len(begins)
    least, whole, counts = np.empty(texts, np.uint64), np.empty(texts, np.uint64), np.empty(texts, np.int64)
    filled = 0
    mask = len(slots) - 1
    for text in range(texts):
        row = owner[text]
        size = words_of_text(data, begins[text], ends[text], classes, room, words)
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
                rows, found = longer(rows, 0), longer(found, 0)
            for k in range(runs):
                number = _number(keys[k], table, slots, mask)
                if number < 0 or last[number] == row:
                    continue
                last[number] = row
                count[number] += 1
                if count[number] <= noted:
                    rows[filled], found[filled] = row, number
                    filled += 1
    return rows[:filled], found[:filled], least, whole, counts


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _numbers(keys: Array, table: Array, slots: Array) -> Array:
    out = np.empty(len(keys), np.int64)
    for k in range(len(keys)):
        out[k] = _number(keys[k], table, slots, len(slots) - 1)
    return out


class Probe:
    """A hash table of the test side's grams (`slots` holds their numbers, small enough for the cache), and for each
    gram the last row that held it.
    """

    def __init__(self, table: U64, sizes: tuple[int, ...]) -> None:
        self.table = table
        self.slots = np.full(1 << max(4, (2 * len(table)).bit_length()), -1, np.int32)
        self.last = np.full(len(table), -1, np.int64)
        self.sizes = np.array(sizes or (3,), np.int64)
        self.bits = np.zeros(1 << 15, np.uint64)
        _fill(table, self.slots)
        _mark(table, self.bits)

    def scan(self, code: Encoded, owner: I64, count: I64, noted: int) -> tuple[I64, I64, U64, U64, I64]:
        """Hits among these texts (rows and numbers of grams), and by text the least 3-gram, the key of its words (0:
        it has none) and their number; `count` is counted on.
        """
        state = (self.sizes, self.bits, self.table, self.slots, self.last)
        found: tuple[I64, I64, U64, U64, I64] = _scan(
            code.data, code.begins, code.ends, classes_table(), owner, *state, count, noted
        )
        return found

    def numbers(self, hashes: U64) -> I64:
        """The number of each gram, -1 where the test side does not hold it."""
        found: I64 = _numbers(hashes, self.table, self.slots)
        return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _weigh(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    rows: Array,
    numbers: Array,
    held_from: Array,
    holders: Array,
    weights: Array,
    live: Array,
    dead: Array,
    heavy: Array,
    from_weight: Array,
    from_count: Array,
) -> tuple[Array, Array, Array, Array]:
    """By (row, part), rows being in order: weight and number of the part's grams that the row holds, where one of the
    two reaches what is asked of the part.

    A live gram counts for all its holders, one that is neither live nor dead only for a heavy part.
    """
    parts = len(heavy)
    held = np.zeros(len(live), np.bool_)
    for number in range(len(live)):
        for at in range(held_from[number], held_from[number + 1]):
            held[number] |= heavy[holders[at]]
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
            if dead[number] or not (live[number] or held[number]):
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
            out_row, out_part, out_count = longer(out_row, 0), longer(out_part, 0), longer(out_count, 0)
            grown = np.empty(2 * len(out_weight))
            grown[:filled] = out_weight[:filled]
            out_weight = grown
        for k in range(many):
            part = touched[k]
            if weight[part] >= from_weight[part] or count[part] >= from_count[part]:
                out_row[filled], out_part[filled] = rows[begin], part
                out_weight[filled], out_count[filled] = weight[part], count[part]
                filled += 1
            weight[part], count[part] = 0.0, 0
        begin = end
    return out_row[:filled], out_part[:filled], out_weight[:filled], out_count[:filled]


def weigh(
    rows: I64,
    numbers: I64,
    held: tuple[I64, I64],
    weights: npt.NDArray[np.float64],
    grams: tuple[Array, Array],
    heavy: Array,
    least: tuple[Array, Array],
) -> tuple[I64, I64, npt.NDArray[np.float64], I64]:
    """As `curation.likeness.leaks.weigh._sums`, of pairs that reach the `least` weight or number of their part."""
    found: tuple[I64, I64, npt.NDArray[np.float64], I64] = _weigh(
        rows, numbers, held[0], held[1], weights, grams[0], grams[1], heavy, least[0], least[1]
    )
    return found
