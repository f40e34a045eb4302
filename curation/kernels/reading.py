"""Words of a text that stands in UTF-8, for the other loops: no text is decoded as a whole."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from curation.codes import WORD_BASE, WORD_INVERSE
from curation.kernels.mixing import ONE, Array, mix

WORD = np.uint64(WORD_BASE)
LOWER = np.array([code + 33 if 65 <= code <= 90 else code + 1 for code in range(128)], np.uint64)
"""For each ASCII code point that of its small letter, plus 1: the value that is hashed."""


LETTERS = np.zeros(256, np.uint64)
"""The same for letters, digits and the underscore, 0 for any other byte."""
for _code in range(128):
    if chr(_code).isalnum() or chr(_code) == "_":
        LETTERS[_code] = LOWER[_code]


@njit(inline="always")  # type: ignore[untyped-decorator]
def decoded(data: Array, place: int) -> tuple[int, int]:
    """The code point that starts at `place`, outside ASCII, and its bytes. The data is known to be sound UTF-8."""
    first = np.int64(data[place])
    code, size = first & 31, 2
    if first >= 0xF0:
        code, size = first & 7, 4
    elif first >= 0xE0:
        code, size = first & 15, 3
    for step in range(1, size):
        code = (code << 6) | (np.int64(data[place + step]) & 63)
    return code, size


@njit(inline="always")  # type: ignore[untyped-decorator]
def read(data: Array, place: int, classes: Array) -> tuple[Any, Any, int]:
    """Class of the code point at `place`, its value (code point of the small letter + 1), and its bytes."""
    byte = data[place]
    if byte < 128:
        return classes[byte], LOWER[byte], 1
    code, size = decoded(data, place)
    return classes[code], np.uint64(code) + ONE, size


@njit(inline="always")  # type: ignore[untyped-decorator]
def goes_on(kind: Any, alone: bool) -> bool:
    """Whether, inside a word, a code point of this class belongs to it: a mark always, a letter but after a sign of
    its own.
    """
    return bool(kind == 3 or (kind == 1 and not alone))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def end_of_word(data: Array, place: int, end: int, classes: Array, alone: bool, hashed: Any) -> tuple[int, Any]:
    """Read on inside a word that began with `hashed`; where it ends, and its hash before mixing."""
    while place < end:
        value = LETTERS[data[place]]
        if value and not alone:
            hashed = hashed * WORD + value
            place += 1
            continue
        if data[place] < 128:
            return place, hashed
        kind, value, size = read(data, place, classes)
        if not goes_on(kind, alone):
            return place, hashed
        hashed = hashed * WORD + value
        place += size
    return place, hashed


PIECE = 1 << 11
"""Bytes of a text in ASCII that are looked at at once: the tables of powers and the notes stay in the nearest cache."""


def _powers(base: int) -> Array:
    steps = np.full(PIECE + 1, base, np.uint64)
    steps[0] = 1
    return np.cumprod(steps)


UP, DOWN = _powers(WORD_BASE), _powers(WORD_INVERSE)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def notes() -> tuple[Array, Array]:
    """Room for `read_words`: running sums and places at the edges of words."""
    return np.empty(PIECE + 2, np.uint64), np.empty(PIECE + 2, np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _plain_words(data: Array, begin: int, end: int, room: tuple[Array, Array], out: Array) -> int:
    """As `read_words`, of an ASCII text without words of thousands of letters; -1 where it is none.

    A word's hash is the difference of a running sum at its two edges, as in `curation.codes.polynomials`: no step
    waits for the one before it, and no branch has to be guessed.
    """
    sums, places = room
    words = 0
    seen = np.uint8(0)
    while begin < end:
        stop = min(begin + PIECE, end)
        while begin < stop < end and LETTERS[data[stop]] and LETTERS[data[stop - 1]]:
            stop -= 1
        if stop == begin:
            return -1
        edges, inside, total = 0, False, np.uint64(0)
        for place in range(stop - begin):
            byte = data[begin + place]
            seen |= byte
            value = LETTERS[byte]
            sums[edges], places[edges] = total, place
            edges += np.int64((value != 0) != inside)
            inside = value != 0
            total += value * DOWN[place]
        if seen >= 128:
            return -1
        sums[edges], places[edges] = total, stop - begin
        for word in range((edges + 1) // 2):
            last = places[2 * word + 1] - 1
            out[words] = mix((sums[2 * word + 1] - sums[2 * word]) * UP[last])
            words += 1
        begin = stop
    return words


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def read_words(data: Array, begin: int, end: int, classes: Array, room: tuple[Array, Array], out: Array) -> int:
    """Hashes of the words of one text into `out`; returns their number."""
    words: int = _plain_words(data, begin, end, room, out)
    if words >= 0:
        return words
    words = 0
    place = begin
    while place < end:
        kind, value, size = read(data, place, classes)
        place += size
        if kind == 1 or kind == 2:
            place, hashed = end_of_word(data, place, end, classes, kind == 2, value)
            out[words] = mix(hashed)
            words += 1
    return words
