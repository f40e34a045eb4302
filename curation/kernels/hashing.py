"""Words, shingles and grams of a block of texts."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from curation.codes import WORD_BASE, Encoded, classes_table
from curation.kernels.lanes import ALL_BITS, LANES, first_bit, letters_at, lower_at, wide_at
from curation.kernels.mixing import HALF, ONE, Array, mix
from curation.kernels.reading import DOWN, LETTERS, LOWER, PIECE, UP, WORD, end_of_word, notes, read, read_words
from curation.sets import I64, U64, Sets, offsets
from curation.shingling import GRAM_BASE, SHINGLE_BASE, Hashed
from curation.similarity.words import GRAM, SHINGLE, SHORT

_SHINGLE, _GRAM = np.uint64(SHINGLE_BASE), np.uint64(GRAM_BASE)
_LANES = np.uint64(LANES)  # unsigned, so that no place has to be looked at for counting from the end
_SPACE = np.uint64(33)
_WORD_TWICE = np.uint64(WORD_BASE * WORD_BASE & 0xFFFFFFFFFFFFFFFF)
_SPACE_WORD = np.uint64(33 * WORD_BASE & 0xFFFFFFFFFFFFFFFF)
_LONG, _FOUR, _SHORT = SHINGLE, GRAM, SHORT
SORTED_FROM = 1 << 18
"""Shingles of one text from which repeats are found by sorting: a table would outgrow every cache, and the memory."""


@njit(inline="always")  # type: ignore[untyped-decorator]
def _is_space(value: Any) -> bool:
    """Of code point + 1."""
    return bool(value == 33 or (10 <= value <= 14) or (29 <= value <= 32))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _split(data: Array, begin: int, end: int, classes: Array, out: Array) -> tuple[int, Any]:
    """Word hashes of one text into `out`; returns their number and the key of the text.

    The key is a polynomial over words, white space (a run is one) and other characters, 0 where there is none.
    """
    words = 0
    whole = np.uint64(0)
    gap = some = False
    place = begin
    while place < end:
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _split_plain(
    data: Array, begin: int, end: int, sums: Array, edges: Array, low: Array, out: Array
) -> tuple[int, Any]:
    """As `_split`, of an ASCII text; -1 words where it is none, or longer than a piece.

    A word's hash is the difference of a running sum at its two edges, as in `curation.codes.polynomials`; the edges are
    found for 64 bytes at once. So no step waits for the one before it, and hardly a branch has to be guessed.
    """
    size = end - begin
    if size > PIECE:
        return -1, np.uint64(0)
    filled, inside, total = 0, ONE - ONE, np.uint64(0)
    for first in range(0, size, LANES):
        here = ALL_BITS if size - first >= LANES else (ONE << np.uint64(size - first)) - ONE
        if wide_at(data, begin + first) & here:
            return -1, np.uint64(0)
        letters = letters_at(data, begin + first) & here
        changes = letters ^ ((letters << ONE) | inside)
        inside = letters >> np.uint64(63)
        while changes:
            edges[filled] = first + first_bit(changes)
            filled += 1
            changes &= changes - ONE
        lower_at(data, begin + first, low)
        at = np.uint64(first)
        for step in range(_LANES):
            sums[at + step] = total
            total += np.uint64(low[step]) * DOWN[at + step]
        sums[at + _LANES] = total
    edges[filled] = size
    found: tuple[int, Any] = _tokens_of(data, begin, size, sums, edges, (filled + 1) // 2, out)
    return found


@njit(inline="always")  # type: ignore[untyped-decorator]
def _tokens_of(
    data: Array, begin: int, size: int, sums: Array, edges: Array, words: int, out: Array
) -> tuple[int, Any]:
    """The words between these edges into `out`; their number and the key of the text."""
    whole, after, some = np.uint64(0), 0, False
    for word in range(words):
        first, last = edges[2 * word], edges[2 * word + 1]
        value = mix((sums[np.uint64(last)] - sums[np.uint64(first)]) * UP[np.uint64(last - 1)])
        out[word] = value
        if after and first - after == 1 and data[begin + after] == 32:
            whole = whole * _WORD_TWICE + (_SPACE_WORD + value)
        else:
            whole, some = _between(data, begin + after, begin + first, whole, some, True)
            whole = whole * WORD + value
        some, after = True, last
    whole, some = _between(data, begin + after, begin + size, whole, some, False)
    return words, mix(whole) if some else np.uint64(0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _between(data: Array, place: int, end: int, whole: Any, some: bool, followed: bool) -> tuple[Any, bool]:
    """Take what stands between two words into the key: white space, if there is something before and behind it, and
    other characters.
    """
    gap = False
    while place < end:
        value = LOWER[data[place]]
        place += 1
        if _is_space(value):
            gap = some
            continue
        if gap:
            whole = whole * WORD + _SPACE
            gap = False
        some = True
        whole = whole * WORD + value
    if gap and followed:
        whole = whole * WORD + _SPACE
    return whole, some


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
        found = _distinct(out, _ngrams(words, count, _LONG, _SHINGLE, out), slots, stamps, stamp)
        return found, _key_of(out, found)
    mask = _mask(runs)
    filled, total = 0, np.uint64(0)
    for first in range(runs):
        value = words[first]
        for step in range(1, _LONG):
            value = value * _SHINGLE + words[first + step]
        hashed = np.uint32(mix(value) >> HALF)
        if _insert(slots, stamps, mask, stamp, hashed):
            out[filled] = hashed
            filled += 1
            total += mix(np.uint64(hashed) + ONE)
    return filled, mix(total + np.uint64(filled))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _hash_all(
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
    (sums, edges), low = notes(), np.empty(LANES, np.uint8)
    shingles, grams = np.empty(len(data), np.uint32), np.empty(2 * len(data) if want_grams else 0, np.uint32)
    counts, gram_counts = np.zeros(texts, np.int64), np.zeros(texts, np.int64)
    keys, sizes, set_keys = np.zeros(texts, np.uint64), np.zeros(texts, np.int32), np.zeros(texts, np.uint64)
    filled = gram_filled = 0
    for text in range(texts):
        count, keys[text] = _split_plain(data, begins[text], ends[text], sums, edges, low, words)
        if count < 0:
            count, keys[text] = _split(data, begins[text], ends[text], classes, words)
        sizes[text] = count
        counts[text], set_keys[text] = _shingles_of(words, count, slots, stamps, 2 * text, shingles[filled:])
        filled += counts[text]
        if want_grams and 0 < count < _SHORT:
            chars = _joined(data, begins[text], ends[text], classes, line)
            runs = _ngrams(line, chars, _FOUR, _GRAM, grams[gram_filled:])
            gram_counts[text] = _distinct(grams[gram_filled:], runs, slots, stamps, 2 * text + 1)
            gram_filled += gram_counts[text]
    return shingles[:filled], counts, set_keys, grams[:gram_filled], gram_counts, keys, sizes


def hash_encoded(code: Encoded, grams: bool) -> Hashed:
    """As `curation.shingling._hash_codes`; the order within a set is that of the text."""
    found = _hash_all(code.data, code.begins, code.ends, classes_table(), grams)
    shingles, counts, set_keys, gram_hashes, gram_counts, keys, sizes = found
    grams_of = Sets(gram_hashes.copy(), offsets(gram_counts))
    return Hashed(Sets(shingles.copy(), offsets(counts)), grams_of, set_keys, keys, sizes)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _all_words(data: Array, begins: Array, ends: Array, classes: Array) -> tuple[Array, Array]:
    out = np.empty(len(data), np.uint64)
    at, room = np.zeros(len(begins) + 1, np.int64), notes()
    for text in range(len(begins)):
        at[text + 1] = at[text] + read_words(data, begins[text], ends[text], classes, room, out[at[text] :])
    return out[: at[-1]], at


def words_of_encoded(code: Encoded) -> tuple[U64, I64]:
    """As `curation.shingling.word_hashes`."""
    found, at = _all_words(code.data, code.begins, code.ends, classes_table())
    return found.copy(), at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _grams_of(data: Array, begins: Array, ends: Array, classes: Array) -> tuple[Array, Array]:
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
    return out[: at[-1]], at


def grams_of_encoded(code: Encoded, places: I64) -> Sets:
    """The grams of the texts at `places`, short ones."""
    found, at = _grams_of(code.data, code.begins[places], code.ends[places], classes_table())
    return Sets(found.copy(), at)
