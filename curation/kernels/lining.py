"""Texts out of lines of JSON that are all of one form, without an object for any of them."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

import numpy as np
from numba import njit

from curation.kernels.lanes import LANES, copy_at, first_bit, padded, specials_at
from curation.kernels.mixing import Array
from curation.lineform import TEXT, WORDS
from curation.sets import I64

_QUOTE, _ESCAPE = 34, 92
_MEANT = np.zeros(256, np.uint8)
for _sign, _value in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _MEANT[_sign] = _value
_U = ord("u")
_NAMED = np.frombuffer(b"truefalsenull", np.uint8)
_DIGITS = 15
"""Digits of a number that surely fits; JSON's other numbers are for the reader of formats."""


@njit(inline="always")  # type: ignore[untyped-decorator]
def _string(data: Array, place: int, out: Array, filled: int) -> tuple[int, int, bool]:
    """Copy the string that begins at `place`, unescaped; where it ends (-1: it does not, or is unsound), how far `out`
    is filled, and whether it holds what is read elsewhere: bytes outside ASCII, code points written as numbers.
    """
    wide = False
    while True:
        copy_at(data, place, out, filled)
        step = first_bit(specials_at(data, place))
        place += step
        filled += step
        if step == LANES:
            continue
        byte = data[place]
        if byte == _QUOTE:
            return place, filled, wide
        if byte >= 128:
            wide = True
        elif byte == _ESCAPE:
            place += 1
            out[filled] = _MEANT[data[place]]
            if data[place] == _U:
                wide = True
            elif not out[filled]:
                return -1, filled, wide
        else:
            return -1, filled, wide
        filled += 1
        place += 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _number(data: Array, place: int) -> int:
    """Where the whole or decimal number at `place` ends; -1 where there is none, or a long or odd one."""
    first = place = place + (data[place] == 45)
    while place < len(data) and 48 <= data[place] <= 57:
        place += 1
    if place == first or (data[first] == 48 and place > first + 1):
        return -1
    if place < len(data) and data[place] == 46:
        point = place
        place += 1
        while place < len(data) and 48 <= data[place] <= 57:
            place += 1
        if place == point + 1:
            return -1
    return place if place - first <= _DIGITS else -1


@njit(inline="always")  # type: ignore[untyped-decorator]
def _stands(data: Array, place: int, words: Array, begin: int, end: int) -> bool:
    """Whether `words[begin:end]` stands at `place`."""
    if place + end - begin > len(data):
        return False
    for at in range(begin, end):  # noqa: SIM110  (compiled code has no generators)
        if data[place + at - begin] != words[at]:
            return False
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _other(data: Array, place: int) -> int:
    """Where true, false, null or a number ends; -1 where none stands at `place`."""
    for begin, end in ((0, 4), (4, 9), (9, 13)):
        if _stands(data, place, _NAMED, begin, end):
            return place + end - begin
    ends: int = _number(data, place)
    return ends


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _read(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    data: Array,
    size: int,
    words: Array,
    word_at: Array,
    follows: Array,
    out: Array,
    begins: Array,
    ends: Array,
    odd: Array,
) -> tuple[int, int]:
    """Fill `out` with the texts, `begins` and `ends` with where each stands there, and `odd` with the number (-1: it is
    not wanted) and the first and last place in `data` of strings that are read elsewhere. Returns the number of those,
    -1 where a line is of another form, and how far `out` is filled.
    """
    place = filled = text = odds = 0
    while place < size:
        for piece in range(len(follows)):
            if not _stands(data, place, words, word_at[piece], word_at[piece + 1]):
                return -1, 0
            place += word_at[piece + 1] - word_at[piece]
            if follows[piece] == WORDS:
                continue
            if place >= size:
                return -1, 0
            wanted = follows[piece] == TEXT
            begin = filled
            if wanted or data[place] == 34:
                first = place + (not wanted)
                place, filled, wide = _string(data, first, out, filled)
                if place < 0 or (wanted and place == first):
                    return -1, 0
                if wide:
                    odd[odds, 0], odd[odds, 1], odd[odds, 2] = text if wanted else -1, first, place
                    odds += 1
                place += not wanted
            else:
                place = _other(data, place)
                if place < 0:
                    return -1, 0
            if wanted:
                begins[text], ends[text] = begin, begin if wide else filled
                text += 1
            if not wanted or wide:
                filled = begin
    return odds, filled


def read_lines(data: bytes, words: Array, word_at: I64, follows: I64, lines: int) -> tuple[Array, I64, I64, I64] | None:
    """The texts' bytes, where each begins and ends, and the strings that are read elsewhere, of which the texts are
    empty here; None where not all `lines` of `data`, which ends with a line feed, are of this form.
    """
    texts = lines * int((follows == TEXT).sum())
    begins, ends = np.zeros(texts, np.int64), np.zeros(texts, np.int64)
    odd = np.empty((lines * len(follows), 3), np.int64)
    out = np.empty(len(data) + 2 * LANES, np.uint8)
    odds, filled = _read(padded(data), len(data), words, word_at, follows, out, begins, ends, odd)
    return None if odds < 0 else (out[: filled + LANES], begins, ends, odd[:odds])
