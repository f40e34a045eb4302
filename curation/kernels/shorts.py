"""Which short train questions are near a short test question, by characters."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.join import SLACK
from curation.kernels.joining import empty_table, enter, in_table, needed
from curation.kernels.mixing import Array, longer
from curation.leakage.index import TestIndex, flags_of
from curation.sets import I64, U64, Sets
from curation.similarity import SHORT_THRESHOLD as _SHORT_THRESHOLD


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
def _enough(hashes: Array, begin: int, end: int, flags: Array) -> bool:
    """Whether so many of these grams stand on the test side at all that some question may be near."""
    found = 0
    for place in range(begin, end):
        found += np.int64(flags[np.int64(hashes[place]) & 0xFFFFF])
    return bool(found >= _SHORT_THRESHOLD * (end - begin) - SLACK)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _short_near(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    hashes: Array,
    starts: Array,
    answers: Array,
    rare: Array,
    items: Array,
    slots: Array,
    first: Array,
    flags: Array,
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
        if not _enough(hashes, begin, end, flags):
            continue
        count = _proposed(hashes, begin, end, text, rare, items, slots, first, seen, proposed)
        if filled + count > len(texts):
            texts, found, shared = longer(texts, count), longer(found, count), longer(shared, count)
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
        self.flags = flags_of(index.grams.hashes, 20)
        self.maps = _maps(index.grams.hashes, index.grams.starts)

    def near(self, grams: Sets, answers: U64, others: I64, most: int) -> tuple[I64, I64, npt.NDArray[np.float64]]:
        """Near pairs of a text (its grams, the key of its answer) and an item, with their similarity."""
        index, held = self.index, self.index.grams
        one, other, shared = _short_near(
            grams.hashes, grams.starts, answers, self.rare, index.rare[1], self.slots, self.first, self.flags,
            held.hashes, held.starts, self.maps, index.answers, index.odd, others, most,
        )  # fmt: skip
        return one, other, shared / np.maximum(grams.sizes[one] + held.sizes[other] - shared, 1)
