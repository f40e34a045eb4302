"""Sets of 32-bit hashes, many at once, and the small arithmetic on them. It is modulo 2^64 and wraps on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
SLACK = 1e-9
"""Similarities that differ by less count as equal."""
WORD_BASE = 0x9E3779B97F4A7C15
"""The hash of a word is a polynomial in it, over code points + 1."""
GRAM_BASE = 0xD6E8FEB86659FD93
"""Base of the polynomial over words, or over characters, that is the hash of an n-gram."""


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

    def owners(self) -> I64:
        """Return for each hash the index of its set."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @classmethod
    def of(cls, owners: I64, hashes: U32, texts: int) -> Sets:
        """Return the sets of `texts` texts, ascending and without repeats, from hashes that have an owner each."""
        keys = distinct((owners.astype(np.uint64) << np.uint64(32)) | hashes)
        sizes = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=texts)
        return cls(keys.astype(np.uint32), offsets(sizes))

    def take(self, indices: npt.NDArray[Any]) -> Self:
        """Return those at `indices`, in that order."""
        sizes = self.sizes[indices]
        return type(self)(self.hashes[ranges(self.starts[:-1][indices], sizes)], offsets(sizes))


def offsets(sizes: npt.NDArray[Any]) -> I64:
    """0 and the running sums: where each of consecutive pieces starts, and the end."""
    out = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=out[1:])
    return out


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Ascending values without repeats: quicker than numpy's unique, which hashes."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values


def ranges(begins: I64, sizes: I64) -> I64:
    """Return the numbers from each of `begins` on, as many as its size, one range after the other."""
    starts = offsets(sizes)
    return np.repeat(begins - starts[:-1], sizes) + np.arange(starts[-1])


def stable_order(values: npt.NDArray[Any]) -> I64:
    """As a stable argsort of numbers from 0 to 2^32, in a third of its time."""
    packed = (values.astype(np.uint64) << np.uint64(32)) | np.arange(len(values), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)


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


def sums_between(values: U64, starts: I64) -> U64:
    """Return the sums of `values[starts[i]:starts[i + 1]]`."""
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values, out=sums[1:])
    return sums[starts[1:]] - sums[starts[:-1]]


def set_keys(sets: Sets) -> U64:
    """Return a 64-bit key of each set: equal sets have equal keys, the empty set has 0."""
    total = sums_between(mix(sets.hashes.astype(np.uint64) + np.uint64(1)), sets.starts)
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
        """Return all sets, and release the memory of this object."""
        starts = offsets(np.concatenate(self._sizes) if self._sizes else np.zeros(0, np.int64))
        self._hashes.resize(self._filled, refcheck=False)
        return Sets(self._hashes, starts)


def top(values: U64) -> U32:
    """Return the upper 32 bits."""
    return (values >> np.uint64(32)).astype(np.uint32)
