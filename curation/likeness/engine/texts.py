"""Words, shingles and grams of a block of texts, compiled: no text is decoded as a whole.

Each code point + 1 is a digit of a polynomial modulo 2^64: the hash of a word, and of the text's normal form. The bits
are those of `curation.likeness.hashing`. Loops are written out, as a call less is what compiling is for.
"""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.likeness.codes import GRAM_BASE, SHINGLE_BASE, WORD_BASE, WORD_INVERSE
from curation.likeness.words import GRAM, SHINGLE, SHORT

Array = npt.NDArray[Any]
ONE, HALF = np.uint64(1), np.uint64(32)
WORD, SHINGLES, _GRAM = np.uint64(WORD_BASE), np.uint64(SHINGLE_BASE), np.uint64(GRAM_BASE)
_M1, _M2, _R = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)
_SPACE = np.uint64(33)
_LONG, _FOUR, _SHORT = SHINGLE, GRAM, SHORT
SORTED_FROM = 1 << 18
"""Shingles of one text from which repeats are found by sorting: a table would outgrow every cache, and the memory."""
LOWER = np.array([code + 33 if 65 <= code <= 90 else code + 1 for code in range(128)], np.uint64)
"""For each ASCII code point that of its small letter, plus 1: the value that is hashed."""
LETTERS = np.zeros(256, np.uint64)
"""The same for letters, digits and the underscore, 0 for any other byte."""
for _code in range(128):
    if chr(_code).isalnum() or chr(_code) == "_":
        LETTERS[_code] = LOWER[_code]


@njit(inline="always")  # type: ignore[untyped-decorator]
def mix(value: Any) -> Any:
    """MurmurHash3's 64-bit finalizer."""
    value = (value ^ (value >> _R)) * _M1
    value = (value ^ (value >> _R)) * _M2
    return value ^ (value >> _R)


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


@njit(inline="always")  # type: ignore[untyped-decorator]
def _is_space(value: Any) -> bool:
    """Of code point + 1."""
    return bool(value == 33 or (10 <= value <= 14) or (29 <= value <= 32))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def split(data: Array, begin: int, end: int, classes: Array, out: Array) -> tuple[int, Any]:
    """Word hashes of one text into `out`; returns their number and the key of the text.

    The key is a polynomial over words, white space (a run is one) and other characters, 0 where there is none.
    """
    words = 0
    whole = np.uint64(0)
    gap = some = False
    place = begin
    while place < end:
        value = LETTERS[data[place]]
        kind, size = 1, 1
        if not value:
            kind, value, size = read(data, place, classes)
        place += size
        if kind == 0 and _is_space(value):
            gap = some
            continue
        if gap:
            whole = whole * WORD + _SPACE
            gap = False
        some = True
        if kind == 1 or kind == 2:
            place, hashed = end_of_word(data, place, end, classes, kind == 2, value)
            value = mix(hashed)
            out[words] = value
            words += 1
        whole = whole * WORD + value
    return words, mix(whole) if some else np.uint64(0)


PIECE = 1 << 11
"""Bytes of an ASCII text that are read at once: the tables of powers and the notes stay in the nearest cache."""


def _powers(base: int) -> Array:
    steps = np.full(PIECE + 1, base, np.uint64)
    steps[0] = 1
    return np.cumprod(steps)


UP, DOWN = _powers(WORD_BASE), _powers(WORD_INVERSE)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def notes() -> tuple[Array, Array]:
    """Room for `words_of_text`: running sums and places at the edges of words."""
    return np.empty(PIECE + 2, np.uint64), np.empty(PIECE + 2, np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _plain_words(data: Array, begin: int, end: int, room: tuple[Array, Array], out: Array) -> int:
    """As `words_of_text`, of an ASCII text without words of thousands of letters; -1 where it is none.

    A word's hash is the difference of a running sum at its two edges, as in `codes.polynomials`: no step
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
def words_of_text(data: Array, begin: int, end: int, classes: Array, room: tuple[Array, Array], out: Array) -> int:
    """Hashes of the words of one text into `out`; returns their number. As `split`, without a key, but quicker."""
    words: int = _plain_words(data, begin, end, room, out)
    if words < 0:
        words, _ = split(data, begin, end, classes, out)
    return words


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _joined(data: Array, begin: int, end: int, classes: Array, line: Array) -> int:
    """The text's words joined by one space into `line`, as code points + 1; returns the number of characters."""
    chars = 0
    inside = alone = False
    place = begin
    while place < end and data[place] < 128:
        value = LETTERS[data[place]]
        place += 1
        if not value:
            inside = False
            continue
        if not inside and chars:
            line[chars] = 33
            chars += 1
        line[chars] = value
        chars += 1
        inside = True
    while place < end:
        kind, value, size = read(data, place, classes)
        place += size
        if kind == 0 or (kind == 3 and not inside):
            inside = False
            continue
        if kind != 3 and (not inside or kind == 2 or alone):
            if chars:
                line[chars] = 33
                chars += 1
            inside, alone = True, kind == 2
        line[chars] = value
        chars += 1
    return chars


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _insert(slots: Array, stamps: Array, mask: int, stamp: int, value: Any) -> bool:
    """Put a 32-bit hash into a table that counts as empty where its stamp differs; False if it was there."""
    at = np.int64(value) & mask
    while stamps[at] == stamp:
        if slots[at] == value:
            return False
        at = (at + 1) & mask
    slots[at] = value
    stamps[at] = stamp
    return True


@njit(inline="always")  # type: ignore[untyped-decorator]
def _mask(count: int) -> int:
    """Of a table that is at most a quarter full."""
    size = 64
    while size < 4 * count:
        size *= 2
    return size - 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _ngrams(values: Array, count: int, length: int, base: Any, out: Array) -> int:
    """Hashes of all runs of `length` values (of all there are, where there are fewer) into `out`; their number."""
    length = min(count, length)
    runs = count - length + 1 if count else 0
    for first in range(runs):
        total = values[first]
        for step in range(1, length):
            total = total * base + values[first + step]
        out[first] = np.uint32(mix(total) >> HALF)
    return runs


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _distinct(out: Array, runs: int, slots: Array, stamps: Array, stamp: int) -> int:
    """Move the different ones of `out[:runs]` to the front; their number."""
    if runs > SORTED_FROM:
        ordered = np.sort(out[:runs])
        filled = 0
        for k in range(runs):
            if k == 0 or ordered[k] != ordered[k - 1]:
                out[filled] = ordered[k]
                filled += 1
        return filled
    filled = 0
    mask = _mask(runs)
    for k in range(runs):
        if _insert(slots, stamps, mask, stamp, out[k]):
            out[filled] = out[k]
            filled += 1
    return filled


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _key_of(hashes: Array, count: int) -> Any:
    total = np.uint64(0)
    for k in range(count):
        total += mix(np.uint64(hashes[k]) + ONE)
    return mix(total + np.uint64(count))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _shingles_of(words: Array, count: int, slots: Array, stamps: Array, stamp: int, out: Array) -> tuple[int, Any]:
    """The different shingles of a text into `out`; their number and key."""
    runs = count - _LONG + 1
    if runs < 1 or runs > SORTED_FROM:
        found = _distinct(out, _ngrams(words, count, _LONG, SHINGLES, out), slots, stamps, stamp)
        return found, _key_of(out, found)
    mask = _mask(runs)
    filled, total = 0, np.uint64(0)
    for first in range(runs):
        value = words[first]
        for step in range(1, _LONG):
            value = value * SHINGLES + words[first + step]
        hashed = np.uint32(mix(value) >> HALF)
        if _insert(slots, stamps, mask, stamp, hashed):
            out[filled] = hashed
            filled += 1
            total += mix(np.uint64(hashed) + ONE)
    return filled, mix(total + np.uint64(filled))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def hash_all(
    data: Array, begins: Array, ends: Array, classes: Array, want_grams: bool
) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """Shingle hashes, their number and key by text, gram hashes and their number, line keys, numbers of words."""
    texts = len(begins)
    longest = 1
    for text in range(texts):
        longest = max(longest, ends[text] - begins[text])
    size = _mask(min(longest, SORTED_FROM)) + 1
    slots, stamps = np.zeros(size, np.uint32), np.full(size, -1, np.int64)
    words, line = np.empty(longest, np.uint64), np.empty(2 * longest, np.uint64)
    shingles, grams = np.empty(len(data), np.uint32), np.empty(2 * len(data) if want_grams else 0, np.uint32)
    counts, gram_counts = np.zeros(texts, np.int64), np.zeros(texts, np.int64)
    keys, sizes, set_keys = np.zeros(texts, np.uint64), np.zeros(texts, np.int32), np.zeros(texts, np.uint64)
    filled = gram_filled = 0
    for text in range(texts):
        count, keys[text] = split(data, begins[text], ends[text], classes, words)
        sizes[text] = count
        counts[text], set_keys[text] = _shingles_of(words, count, slots, stamps, 2 * text, shingles[filled:])
        filled += counts[text]
        if want_grams and 0 < count < _SHORT:
            chars = _joined(data, begins[text], ends[text], classes, line)
            runs = _ngrams(line, chars, _FOUR, _GRAM, grams[gram_filled:])
            gram_counts[text] = _distinct(grams[gram_filled:], runs, slots, stamps, 2 * text + 1)
            gram_filled += gram_counts[text]
    return shingles[:filled], counts, set_keys, grams[:gram_filled], gram_counts, keys, sizes


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def all_words(data: Array, begins: Array, ends: Array, classes: Array) -> tuple[Array, Array]:
    """Word hashes of all texts, and where each text's begin (and the end)."""
    out, at = np.empty(len(data), np.uint64), np.zeros(len(begins) + 1, np.int64)
    for text in range(len(begins)):
        count, _ = split(data, begins[text], ends[text], classes, out[at[text] :])
        at[text + 1] = at[text] + count
    return out[: at[-1]].copy(), at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def all_grams(data: Array, begins: Array, ends: Array, classes: Array) -> tuple[Array, Array]:
    """Different grams of all texts, short ones, and where each text's begin (and the end)."""
    longest = 1
    for text in range(len(begins)):
        longest = max(longest, ends[text] - begins[text])
    size = _mask(min(2 * longest, SORTED_FROM)) + 1
    slots, stamps = np.zeros(size, np.uint32), np.full(size, -1, np.int64)
    line = np.empty(2 * longest, np.uint64)
    out, at = np.empty(2 * int((ends - begins).sum()), np.uint32), np.zeros(len(begins) + 1, np.int64)
    for text in range(len(begins)):
        chars = _joined(data, begins[text], ends[text], classes, line)
        runs = _ngrams(line, chars, _FOUR, _GRAM, out[at[text] :])
        at[text + 1] = at[text] + _distinct(out[at[text] :], runs, slots, stamps, text)
    return out[: at[-1]].copy(), at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def longer(values: Array, more: int) -> Array:
    """Twice as long, and by `more` at least."""
    out = np.empty(len(values) + max(len(values), more), np.int64)
    out[: len(values)] = values
    return out
