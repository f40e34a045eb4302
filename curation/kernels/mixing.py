"""Mixing of bits, as `curation.sets.mix` and `curation.minhash.fmix32` have it, and arrays that grow."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]
ONE, HALF = np.uint64(1), np.uint64(32)
_M1, _M2, _R = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)


@njit(inline="always")  # type: ignore[untyped-decorator]
def mix(value: Any) -> Any:
    """MurmurHash3's 64-bit finalizer."""
    value = (value ^ (value >> _R)) * _M1
    value = (value ^ (value >> _R)) * _M2
    return value ^ (value >> _R)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def fmix32(value: Any) -> Any:
    """MurmurHash3's 32-bit finalizer."""
    # numba widens 32-bit products to 64 bits; the casts bring them back.
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def longer(values: Array, more: int) -> Array:
    """Twice as long, and by `more` at least."""
    out = np.empty(len(values) + max(len(values), more), np.int64)
    out[: len(values)] = values
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def doubled(values: Array) -> Array:
    """A copy twice as long."""
    out: Array = longer(values, len(values))
    return out
