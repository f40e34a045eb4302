"""Which short train questions are near a short test question, by characters."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.likeness import SHORT_THRESHOLD as _SHORT_THRESHOLD
from curation.likeness.engine.joins import empty_table, enter, in_table, needed
from curation.likeness.engine.texts import Array, longer
from curation.likeness.sets import I64, SLACK, U32, U64, Sets, offsets

if TYPE_CHECKING:
    from curation.likeness.leaks.index import TestIndex

_MAP_SHIFT = 14
"""The top 18 bits of a gram name its bit in the map of 32 kB."""
_TO_BIT = np.uint64(_MAP_SHIFT)


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
def _may_be_near(mine: Array, size: int, maps: Array, item: int, length: int) -> bool:
    """By their maps and sizes: a bit that only one of them has is a member that only it has. (`maps[item]` would be
    made an array of its own each time, which costs more than all the rest.)
    """
    need = needed(size, length, _SHORT_THRESHOLD)
    if need > min(size, length):
        return False
    one, two, first, second = mine[0], mine[1], maps[item, 0], maps[item, 1]
    if _bits_of(one & ~first) + _bits_of(two & ~second) > size - need:
        return False
    return bool(_bits_of(first & ~one) + _bits_of(second & ~two) <= length - need)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _maps(hashes: Array, starts: Array) -> Array:
    out = np.zeros((len(starts) - 1, 2), np.uint64)
    for text in range(len(starts) - 1):
        _map_into(hashes, starts[text], starts[text + 1], out[text])
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(grams: Array, slots: Array) -> None:
    """A hash table of the ranks of the grams."""
    mask = len(slots) - 1
    for rank in range(len(grams)):
        at = np.int64(grams[rank]) & mask
        while slots[at] >= 0:
            at = (at + 1) & mask
        slots[at] = rank


@njit(inline="always")  # type: ignore[untyped-decorator]
def _rank(value: Any, grams: Array, slots: Array) -> int:
    """The rank of a gram on the test side, -1 where it is not there."""
    mask = len(slots) - 1
    at = np.int64(value) & mask
    while slots[at] >= 0 and grams[slots[at]] != value:
        at = (at + 1) & mask
    return np.int64(slots[at])


@njit(inline="always")  # type: ignore[untyped-decorator]
def _bit(bits: Array, value: Any) -> int:
    """1 where a small map may hold this gram, 0 where it does not."""
    place = np.uint64(value) >> _TO_BIT
    return np.int64(bits[np.int64(place >> np.uint64(6))] >> (place & np.uint64(63)) & np.uint64(1))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _few(hashes: Array, begin: int, end: int, known: Array, rare: Array, out: Array) -> tuple[int, int]:
    """How many of these grams the test side surely does not have; those that may be some item's rare ones into `out`,
    and their number. Without a branch, which would be guessed wrong.
    """
    found = filled = 0
    for place in range(begin, end):
        found += _bit(known, hashes[place])
        out[filled] = hashes[place]
        filled += _bit(rare, hashes[place])
    return end - begin - found, filled


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _rarest(
    hashes: Array, begin: int, end: int, grams: Array, slots: Array, known: Array, rare: Array, few: Array, out: Array
) -> int:
    """Ranks of those of a text's n - ceil(.8 n) + 1 rarest grams that are also among an item's; their number.

    Two near texts share one of the rarest of both. Grams that the test side does not have are the rarest of all.
    """
    many = end - begin
    unseen, count = _few(hashes, begin, end, known, rare, few)
    room = many - np.int64(np.ceil(_SHORT_THRESHOLD * many - SLACK)) + 1 - unseen
    if room <= 0:
        return 0
    filled = 0
    for place in range(count):
        rank = _rank(few[place], grams, slots)
        if rank < 0 or (filled == room and rank > out[filled - 1]):
            continue
        at = min(filled, room - 1)
        filled = at + 1
        while at and out[at - 1] > rank:
            out[at] = out[at - 1]
            at -= 1
        out[at] = rank
    return filled


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _proposed(ranks: Array, count: int, text: int, held_from: Array, items: Array, seen: Array, out: Array) -> int:
    """The items that have one of these among their rarest grams, each once, into `out`; their number."""
    filled = 0
    for k in range(count):
        for at in range(held_from[ranks[k]], held_from[ranks[k] + 1]):
            item = items[at]
            if seen[item] != text:
                seen[item] = text
                out[filled] = item
                filled += 1
    return filled


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _short_near(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    hashes: Array,
    starts: Array,
    asked: Array,
    answers: Array,
    rare: tuple[Array, Array, Array, Array],
    holders: tuple[Array, Array],
    held: Array,
    held_at: Array,
    maps: Array,
    questions: Array,
    wanted: Array,
    odd: Array,
    others: Array,
    most: int,
) -> tuple[Array, Array, Array]:
    """Pairs of a text and an item that share one of their rarest grams and are near: text, item, shared members.

    Of pairs whose answers are known to differ only the first `most` of an item; `others` counts them.
    """  # fmt: skip
    texts, found, shared = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.int64)
    seen, proposed = np.full(len(maps), -1, np.int64), np.empty(len(maps), np.int64)
    longest = 1
    for text in range(len(starts) - 1):
        longest = max(longest, starts[text + 1] - starts[text])
    table, stamps = empty_table(longest)
    few, ranks = np.empty(longest, np.uint32), np.empty(longest, np.int64)
    mine = np.zeros(2, np.uint64)
    filled = 0
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        count = _rarest(hashes, begin, end, rare[0], rare[1], rare[2], rare[3], few, ranks)
        count = _proposed(ranks, count, text, holders[0], holders[1], seen, proposed)
        if not count:
            continue
        if filled + count > len(texts):
            texts, found, shared = longer(texts, count), longer(found, count), longer(shared, count)
        entered = mapped = False
        for k in range(count):
            item = proposed[k]
            may_be = odd[item] or answers[text] == wanted[item]
            if asked[text] == questions[item] or (not may_be and others[item] >= most):
                continue
            if not mapped:
                _map_into(hashes, begin, end, mine)
                mapped = True
            size = held_at[item + 1] - held_at[item]
            if not _may_be_near(mine, end - begin, maps, item, size):
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


def _small_map(grams: U32) -> U64:
    """A map of 32 kB that tells most other grams apart."""
    places = grams >> np.uint32(_MAP_SHIFT)
    bits = np.zeros(1 << (32 - _MAP_SHIFT - 6), np.uint64)
    np.bitwise_or.at(bits, places >> np.uint32(6), np.uint64(1) << (places & np.uint32(63)).astype(np.uint64))
    return bits


class ShortProbe:
    """The short questions of the test side: their grams from the rarest on, the items that have each among their
    rarest, a map of each item's.
    """

    def __init__(self, index: TestIndex) -> None:
        self.index = index
        values, count = np.unique(index.grams.hashes, return_counts=True)
        order = np.lexsort((values, count))
        grams, rank = values[order], np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        slots = np.full(1 << max(4, (2 * len(grams)).bit_length()), -1, np.int32)
        _fill(grams, slots)
        self.rare = grams, slots, _small_map(grams), _small_map(index.rare[0].astype(np.uint32))
        mine = rank[np.searchsorted(values, index.rare[0].astype(np.uint32))]
        self.holders = offsets(np.bincount(mine, minlength=len(grams))), index.rare[1][np.argsort(mine, kind="stable")]
        self.maps = _maps(index.grams.hashes, index.grams.starts)

    def near(
        self, grams: Sets, asked: U64, answers: U64, others: I64, most: int
    ) -> tuple[I64, I64, npt.NDArray[np.float64]]:
        """Near pairs of a text (its grams, the keys of it and of its answer) and an item that has not the same words,
        with their similarity.
        """
        index, held = self.index, self.index.grams
        one, other, shared = _short_near(
            grams.hashes, grams.starts, asked, answers, self.rare, self.holders,
            held.hashes, held.starts, self.maps, index.sequence, index.answers, index.odd, others, most,
        )  # fmt: skip
        return one, other, shared / np.maximum(grams.sizes[one] + held.sizes[other] - shared, 1)
