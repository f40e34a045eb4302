"""Runs of found grams as the bits of one whole number: place 0 is the lowest bit. Python's numbers of any length are
a quicker kind of array of flags where there are hundreds of short ones, and no slower for one of millions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def bits_of(flags: npt.NDArray[np.bool_]) -> int:
    """The flags as bits."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def runs_of(bits: int, length: int) -> int:
    """The places from which `length` bits in a row are set."""
    have = 1
    while bits and have < length:
        step = min(have, length - have)
        bits &= bits >> step
        have += step
    return bits


def spread(bits: int, length: int) -> int:
    """Each bit, and the `length` - 1 after it."""
    have = 1
    while have < length:
        step = min(have, length - have)
        bits |= bits << step
        have += step
    return bits


def closed(bits: int, gap: int) -> int:
    """With gaps of up to `gap` places between two bits filled."""
    return runs_of(spread(bits, gap + 1), gap + 1)


def longest_run(bits: int) -> tuple[int, int]:
    """First place of the first longest run of bits, and its length; 0, 0 where no bit is set."""
    if not bits:
        return 0, 0
    steps = [bits]
    while longer := steps[-1] & steps[-1] >> (1 << len(steps) - 1):
        steps.append(longer)
    best, length = steps[-1], 1 << len(steps) - 1
    for power in range(len(steps) - 2, -1, -1):
        if longer := best & steps[power] >> length:
            best, length = longer, length + (1 << power)
    return (best & -best).bit_length() - 1, length
