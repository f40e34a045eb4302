"""MinHash signatures with datasketch's own permutations, and the bands that propose pairs.

The signature of a set of 32-bit hashes is, bit for bit, what `datasketch.MinHash(128, seed=1, hashfunc=int)` gives
for them, so that both can be used together.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.sets import I64, U32, Sets, mapped, mix, temporary_file

PERMUTATIONS = 128
BANDS = 21
ROWS = 6
"""21 bands of 6: a pair at Jaccard .8 is proposed with probability 1 - (1 - .8^6)^21 = .998."""
AT_ONCE = 1024


@cache
def permutations() -> tuple[U32, U32]:
    """Factors and summands of datasketch's scheme affine32 for seed 1."""
    from datasketch import MinHash

    a, b = MinHash(num_perm=PERMUTATIONS, seed=1).permutations
    return np.ascontiguousarray(a, np.uint32), np.ascontiguousarray(b, np.uint32)


def fmix32(values: U32) -> U32:
    """MurmurHash3's 32-bit finalizer, which datasketch applies before its permutations."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def signatures(sets: Sets, *, compiled: bool = False) -> U32:
    """A row of 128 minima for each set; all ones for an empty set."""
    if compiled:
        from curation.kernels import signatures_of

        return signatures_of(sets, *permutations())
    out = np.full((len(sets), PERMUTATIONS), 0xFFFFFFFF, np.uint32)
    order = np.argsort(-sets.sizes, kind="stable")
    mixed = fmix32(sets.hashes)
    for begin in range(0, len(sets), AT_ONCE):
        _running_minima(mixed, sets, order[begin : begin + AT_ONCE], out)
    return out


def _running_minima(mixed: U32, sets: Sets, order: npt.NDArray[Any], out: U32) -> None:
    """The k-th hash of every set at once, for the sets (longest first) that still have one."""
    a, b = permutations()
    starts, sizes = sets.starts[:-1][order], sets.sizes[order]
    minima, room = out[order], np.empty((len(order), PERMUTATIONS), np.uint32)
    for place in range(int(sizes[0]) if len(sizes) else 0):
        live = int(np.searchsorted(-sizes, -place, "left"))
        values = np.multiply(mixed[starts[:live] + place][:, None], a, out=room[:live])
        values += b
        np.minimum(minima[:live], values, out=minima[:live])
    out[order] = minima


def band_keys(sets: Sets, nodes: I64, *, compiled: bool = False) -> U32:
    """A row of 21 keys for each of the sets `nodes`: those that share a key in a band are candidates."""
    if compiled:
        from curation.kernels import band_keys_of

        if not sets.in_file:
            return band_keys_of(sets, nodes, *permutations(), BANDS, ROWS)
    shape = (len(nodes), BANDS)
    out = mapped(temporary_file(), shape) if sets.in_file and len(nodes) else np.empty(shape, np.uint32)
    for begin in range(0, len(nodes), AT_ONCE * 64):
        some = nodes[begin : begin + AT_ONCE * 64]
        if compiled:
            out[begin : begin + len(some)] = band_keys_of(sets, some, *permutations(), BANDS, ROWS)
        else:
            out[begin : begin + len(some)] = _keys(signatures(sets.take(some)))
    return out


def _keys(signature: U32) -> U32:
    """Fold the six minima of each band into one number."""
    bands = signature[:, : BANDS * ROWS].reshape(len(signature), BANDS, ROWS).astype(np.uint64)
    key = bands[:, :, 0]
    for row in range(1, ROWS):
        key = mix(key ^ (bands[:, :, row] + np.uint64(0x9E3779B97F4A7C15)))
    return (key >> np.uint64(32)).astype(np.uint32)
