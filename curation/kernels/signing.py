"""MinHash signatures and band keys."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

import numpy as np
from numba import njit

from curation.kernels.mixing import HALF, Array, fmix32, mix
from curation.sets import I64, U32, Sets

_FOLD = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sign(hashes: Array, begin: int, end: int, a: Array, b: Array, minima: Array) -> None:
    minima[:] = np.uint32(0xFFFFFFFF)
    for place in range(begin, end):
        value = fmix32(hashes[place])
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
                key = mix(key ^ (np.uint64(minima[band * rows + row]) + _FOLD))
            out[place, band] = np.uint32(key >> HALF)
    return out


def band_keys_of(sets: Sets, nodes: I64, a: U32, b: U32, bands: int, rows: int) -> U32:
    """As `curation.minhash.band_keys`."""
    found: U32 = _band_all(sets.hashes, sets.starts, nodes, a, b, bands, rows)
    return found
