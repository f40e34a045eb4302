"""Which train rows hold which grams of the test side."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from curation.kernels.mixing import Array, mix
from curation.shingling import I64, SHINGLE_BASE, U64

_SHINGLE = np.uint64(SHINGLE_BASE)


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
                key = mix(key)
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
