"""Sets of 32-bit hashes, many at once, and the small arithmetic on them. It is modulo 2^64 and wraps on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
SLACK = 1e-9
"""Similarities that differ by less count as equal."""
WORD_BASE = 0x9E3779B97F4A7C15
"""The hash of a word is a polynomial in it, over code points + 1."""


@dataclass(frozen=True, slots=True)
class Sets:
    """A set of hashes for each text: `hashes[starts[i]:starts[i + 1]]`, without repeats, in any order."""

    hashes: U32
    starts: I64

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> I64:
        """Number of hashes in each set."""
        return np.diff(self.starts)

    def bits(self) -> U64:
        """64 bits for each set: a bit that only one of two sets has is of a member that only it has."""
        bits = np.uint64(1) << (self.hashes & np.uint32(63)).astype(np.uint64)
        found: U64 = np.bitwise_or.reduceat(np.append(bits, np.uint64(0)), self.starts[:-1])
        return found

    def owners(self) -> I64:
        """Return for each hash the index of its set."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def take(self, indices: npt.NDArray[Any]) -> Sets:
        """Return the sets at `indices`, in that order."""
        sizes = self.sizes[indices]
        starts = offsets(sizes)
        where = np.repeat(self.starts[:-1][indices] - starts[:-1], sizes) + np.arange(starts[-1])
        return Sets(self.hashes[where], starts)


def offsets(sizes: npt.NDArray[Any]) -> I64:
    """0 and the running sums: where each of consecutive pieces starts, and the end."""
    out = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=out[1:])
    return out


def stable_order(values: I64) -> I64:
    """Return a stable argsort of numbers from 0 to 2^31, in a third of argsort's time."""
    packed = (values << 32) | np.arange(len(values))
    packed.sort()
    return packed & 0xFFFFFFFF


def bit_counts(values: U64) -> I64:
    """Return the number of bits set in each: summed in pairs, fours and bytes at once (Knuth, TAOCP 7.1.3)."""
    pairs, fours, bytes_, ones = map(
        np.uint64, (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F, 0x0101010101010101)
    )
    values = values - ((values >> np.uint64(1)) & pairs)
    values = (values & fours) + ((values >> np.uint64(2)) & fours)
    values = (values + (values >> np.uint64(4))) & bytes_
    return ((values * ones) >> np.uint64(56)).astype(np.int64)


def earlier(values: I64) -> I64:
    """Return for each value how many equal ones come before it."""
    order = stable_order(values)
    first = np.flatnonzero(np.diff(values[order], prepend=-1))
    out = np.empty(len(values), np.int64)
    out[order] = np.arange(len(values)) - np.repeat(first, np.diff(np.append(first, len(values))))
    return out


def concat(parts: Sequence[Sets]) -> Sets:
    """Return one after the other."""
    if not parts:
        return Sets(np.zeros(0, np.uint32), np.zeros(1, np.int64))
    hashes = np.concatenate([part.hashes for part in parts])
    return Sets(hashes, offsets(np.concatenate([part.sizes for part in parts])))


def mix(values: U64) -> U64:
    """MurmurHash3's 64-bit finalizer."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def set_keys(sets: Sets) -> U64:
    """Return a 64-bit key of each set: equal sets have equal keys, the empty set has 0."""
    sums = np.zeros(len(sets.hashes) + 1, np.uint64)
    np.cumsum(mix(sets.hashes.astype(np.uint64) + np.uint64(1)), out=sums[1:])
    total = sums[sets.starts[1:]] - sums[sets.starts[:-1]]
    return mix(total + sets.sizes.astype(np.uint64))


class Growing:
    """Sets that are added block by block, without a second copy of those that are there."""

    def __init__(self) -> None:
        self._hashes = np.empty(1 << 16, np.uint32)
        self._filled = 0
        self._sizes: list[I32] = []

    def add(self, sets: Sets) -> None:
        """Add these after the others."""
        self._sizes.append(sets.sizes.astype(np.int32))
        end = self._filled + len(sets.hashes)
        while end > len(self._hashes):
            self._hashes.resize(2 * len(self._hashes), refcheck=False)
        self._hashes[self._filled : end] = sets.hashes
        self._filled = end

    def finish(self) -> Sets:
        """Return all sets; this object gives its memory away."""
        starts = offsets(np.concatenate(self._sizes) if self._sizes else np.zeros(0, np.int64))
        self._hashes.resize(self._filled, refcheck=False)
        return Sets(self._hashes, starts)


def top(values: U64) -> U32:
    """Return the upper 32 bits."""
    return (values >> np.uint64(32)).astype(np.uint32)


def unique(owners: I64, hashes: U32, texts: int) -> Sets:
    """Return ascending hashes without repeats, by owner."""
    keys = (owners.astype(np.uint64) << np.uint64(32)) | hashes
    keys.sort()
    if len(keys):
        keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
    sizes = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=texts)
    return Sets(keys.astype(np.uint32), offsets(sizes))
