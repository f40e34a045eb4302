"""Which train rows hold which grams of the test side."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.codes import Encoded, classes_table
from curation.kernels.joining import empty_table, enter, in_table, needed
from curation.kernels.mixing import Array, mix
from curation.kernels.reading import WORD, read_words
from curation.leakage.index import TestIndex
from curation.sets import I64, U64, Sets
from curation.shingling import SHINGLE_BASE
from curation.similarity import SHORT_THRESHOLD

_SHINGLE, _SHORT_THRESHOLD = np.uint64(SHINGLE_BASE), SHORT_THRESHOLD
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
    out: Array = _longer(values, len(values))
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _longer(values: Array, more: int) -> Array:
    """Twice as long, and by `more` at least."""
    out = np.empty(len(values) + max(len(values), more), np.int64)
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


@njit(inline="always")  # type: ignore[untyped-decorator]
def _bits_of(value: Any) -> Any:
    """How many bits are set."""
    value = value - ((value >> np.uint64(1)) & np.uint64(0x5555555555555555))
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((value * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _map_into(hashes: Array, begin: int, end: int, out: Array) -> None:
    """A map of 128 bits: a hash sets the bit of its remainder."""
    out[0] = out[1] = np.uint64(0)
    for place in range(begin, end):
        bit = np.uint64(hashes[place]) & np.uint64(127)
        out[np.int64(bit >> np.uint64(6))] |= np.uint64(1) << (bit & np.uint64(63))


@njit(inline="always")  # type: ignore[untyped-decorator]
def _may_be_near(one: Array, size: int, other: Array, length: int) -> bool:
    """By their maps and sizes: a bit that only one of them has is a member that only it has."""
    need = needed(size, length, _SHORT_THRESHOLD)
    if need > min(size, length):
        return False
    mine = _bits_of(one[0] & ~other[0]) + _bits_of(one[1] & ~other[1])
    return bool(mine <= size - need and _bits_of(other[0] & ~one[0]) + _bits_of(other[1] & ~one[1]) <= length - need)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _maps(hashes: Array, starts: Array) -> Array:
    out = np.zeros((len(starts) - 1, 2), np.uint64)
    for text in range(len(starts) - 1):
        _map_into(hashes, starts[text], starts[text + 1], out[text])
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_first(table: Array, slots: Array, first: Array) -> None:
    """Where in the ascending `table` each value first stands."""
    mask = len(slots) - 1
    for place in range(len(table)):
        if place and table[place] == table[place - 1]:
            continue
        at = np.int64(table[place]) & mask
        while first[at] >= 0:
            at = (at + 1) & mask
        slots[at], first[at] = table[place], place


@njit(inline="always")  # type: ignore[untyped-decorator]
def _first_at(value: Any, slots: Array, first: Array) -> int:
    """Where the value first stands, -1 where it does not."""
    mask = len(slots) - 1
    at = np.int64(value) & mask
    while first[at] >= 0 and slots[at] != value:
        at = (at + 1) & mask
    return np.int64(first[at])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _proposed(
    hashes: Array,
    begin: int,
    end: int,
    text: int,
    rare: Array,
    items: Array,
    slots: Array,
    first: Array,
    seen: Array,
    out: Array,
) -> int:
    """The items that hold one of these grams among their rare ones, each once, into `out`; their number."""
    filled = 0
    for place in range(begin, end):
        at = _first_at(hashes[place], slots, first)
        while 0 <= at < len(rare) and rare[at] == hashes[place]:
            item = items[at]
            at += 1
            if seen[item] != text:
                seen[item] = text
                out[filled] = item
                filled += 1
    return filled


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _short_near(
    hashes: Array,
    starts: Array,
    answers: Array,
    rare: Array,
    items: Array,
    slots: Array,
    first: Array,
    held: Array,
    held_at: Array,
    maps: Array,
    wanted: Array,
    odd: Array,
    others: Array,
    most: int,
) -> tuple[Array, Array, Array]:
    """Pairs of a text and an item that share a rare gram and are near: text, item, shared members.

    Of pairs whose answers are known to differ only the first `most` of an item; `others` counts them.
    """  # fmt: skip
    texts, found, shared = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.int64)
    seen, proposed = np.full(len(maps), -1, np.int64), np.empty(len(maps), np.int64)
    longest = 1
    for text in range(len(starts) - 1):
        longest = max(longest, starts[text + 1] - starts[text])
    table, stamps = empty_table(longest)
    mine = np.zeros(2, np.uint64)
    filled = 0
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        count = _proposed(hashes, begin, end, text, rare, items, slots, first, seen, proposed)
        if filled + count > len(texts):
            texts, found, shared = _longer(texts, count), _longer(found, count), _longer(shared, count)
        entered = False
        _map_into(hashes, begin, end, mine)
        for k in range(count):
            item = proposed[k]
            may_be = odd[item] or answers[text] == wanted[item]
            size = held_at[item + 1] - held_at[item]
            if (not may_be and others[item] >= most) or not _may_be_near(mine, end - begin, maps[item], size):
                continue
            if not entered:
                enter(hashes, begin, end, table, stamps, text)
                entered = True
            need = needed(end - begin, size, _SHORT_THRESHOLD)
            common = in_table(held, held_at[item], held_at[item + 1], table, stamps, text, need)
            if common >= need:
                others[item] += not may_be
                texts[filled], found[filled], shared[filled] = text, item, common
                filled += 1
    return texts[:filled], found[:filled], shared[:filled]


class ShortProbe:
    """The short questions of the test side: a table of their rare grams, a map of each."""

    def __init__(self, index: TestIndex) -> None:
        self.index = index
        self.rare = index.rare[0].astype(np.uint32)
        length = 1 << max(4, (4 * len(self.rare)).bit_length())
        self.slots, self.first = np.zeros(length, np.uint32), np.full(length, -1, np.int32)
        _fill_first(self.rare, self.slots, self.first)
        self.maps = _maps(index.grams.hashes, index.grams.starts)

    def near(self, grams: Sets, answers: U64, others: I64, most: int) -> tuple[I64, I64, npt.NDArray[np.float64]]:
        """Near pairs of a text (its grams, the key of its answer) and an item, with their similarity."""
        index, held = self.index, self.index.grams
        one, other, shared = _short_near(
            grams.hashes, grams.starts, answers, self.rare, index.rare[1], self.slots, self.first, held.hashes,
            held.starts, self.maps, index.answers, index.odd, others, most,
        )  # fmt: skip
        return one, other, shared / np.maximum(grams.sizes[one] + held.sizes[other] - shared, 1)


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
