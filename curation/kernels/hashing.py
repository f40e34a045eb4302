"""Words, shingles and grams of a block of texts."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from curation.kernels.mixing import HALF, ONE, Array, mix
from curation.shingling import GRAM_BASE, I64, SHINGLE_BASE, U64, WORD_BASE, Hashed, Sets, offsets
from curation.similarity.words import GRAM, SHINGLE, SHORT

_WORD, _SHINGLE, _GRAM = np.uint64(WORD_BASE), np.uint64(SHINGLE_BASE), np.uint64(GRAM_BASE)
_SPACE = np.uint64(33)
_LONG, _FOUR, _SHORT = SHINGLE, GRAM, SHORT


@njit(inline="always")  # type: ignore[untyped-decorator]
def _is_space(code: Any) -> bool:
    return bool(code == 32 or (9 <= code <= 13) or (28 <= code <= 31))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _split(codes: Array, begin: int, end: int, classes: Array, out: Array) -> tuple[int, Any]:
    """Word hashes of one text into `out`; returns their number and the key of the text.

    The key is a polynomial over words, white space (a run is one) and other characters, 0 where there is none.
    Classes: 0 gap, 1 letter, 2 a word of its own, 3 mark.
    """
    words = 0
    hashed = whole = np.uint64(0)
    inside = alone = gap = some = False
    for place in range(begin, end):
        code = codes[place]
        kind = classes[code]
        if kind == 1 and inside and not alone:
            hashed = hashed * _WORD + (np.uint64(code) + ONE)
            continue
        if inside and kind == 3:
            hashed = hashed * _WORD + (np.uint64(code) + ONE)
            continue
        if inside:
            out[words] = mix(hashed)
            whole = whole * _WORD + out[words]
            words += 1
            inside = alone = False
        if kind == 0 and _is_space(code):
            gap = some
            continue
        if gap:
            whole = whole * _WORD + _SPACE
            gap = False
        some = True
        if kind == 1 or kind == 2:
            inside, alone = True, kind == 2
            hashed = np.uint64(code) + ONE
        else:
            whole = whole * _WORD + (np.uint64(code) + ONE)
    if inside:
        out[words] = mix(hashed)
        whole = whole * _WORD + out[words]
        words += 1
    return words, mix(whole) if some else np.uint64(0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _joined(codes: Array, begin: int, end: int, classes: Array, line: Array) -> int:
    """The text's words joined by one space into `line`; returns the number of characters."""
    chars = 0
    inside = alone = False
    for place in range(begin, end):
        code = codes[place]
        kind = classes[code]
        if kind == 0 or (kind == 3 and not inside):
            inside = False
            continue
        if kind != 3 and (not inside or kind == 2 or alone):
            if chars:
                line[chars] = 32
                chars += 1
            inside, alone = True, kind == 2
        line[chars] = code
        chars += 1
    return chars


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _insert(slots: Array, stamps: Array, stamp: int, value: Any) -> bool:
    """Put a 32-bit hash into a small table that counts as empty where its stamp differs; False if it was there."""
    mask = len(slots) - 1
    at = np.int64(value) & mask
    while stamps[at] == stamp:
        if slots[at] == value:
            return False
        at = (at + 1) & mask
    slots[at] = value
    stamps[at] = stamp
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _hash_all(
    codes: Array, starts: Array, classes: Array, want_grams: bool
) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """Shingle hashes, their number and key by text, gram hashes and their number, line keys, numbers of words."""
    texts = len(starts) - 1
    longest = 1
    for text in range(texts):
        longest = max(longest, starts[text + 1] - starts[text])
    size = 64
    while size < 4 * longest:
        size *= 2
    slots, stamps = np.zeros(size, np.uint32), np.full(size, -1, np.int64)
    words = np.empty(longest, np.uint64)
    line = np.empty(2 * longest, np.uint32)
    shingles, grams = np.empty(len(codes), np.uint32), np.empty(2 * len(codes) if want_grams else 0, np.uint32)
    counts, gram_counts = np.zeros(texts, np.int64), np.zeros(texts, np.int64)
    keys, sizes, set_keys = np.zeros(texts, np.uint64), np.zeros(texts, np.int32), np.zeros(texts, np.uint64)
    filled = gram_filled = 0
    small = np.int64(64)
    for text in range(texts):
        begin, end = starts[text], starts[text + 1] - 1
        sizes[text], keys[text] = _split(codes, begin, end, classes, words)
        count = np.int64(sizes[text])
        small = 64
        while small < 4 * count:
            small *= 2
        before = filled
        length = min(count, _LONG)
        for first in range(count - length + 1 if count else 0):
            total = words[first]
            for step in range(1, length):
                total = total * _SHINGLE + words[first + step]
            value = np.uint32(mix(total) >> HALF)
            if _insert(slots[:small], stamps[:small], 2 * text, value):
                shingles[filled] = value
                filled += 1
                set_keys[text] += mix(np.uint64(value) + ONE)
        counts[text] = filled - before
        set_keys[text] = mix(set_keys[text] + np.uint64(counts[text]))
        if want_grams and 0 < count < _SHORT:
            before = gram_filled
            chars = _joined(codes, begin, end, classes, line)
            small = 64
            while small < 2 * chars:
                small *= 2
            length = min(chars, _FOUR)
            for first in range(chars - length + 1):
                total = np.uint64(line[first]) + ONE
                for step in range(1, length):
                    total = total * _GRAM + (np.uint64(line[first + step]) + ONE)
                value = np.uint32(mix(total) >> HALF)
                if _insert(slots[:small], stamps[:small], 2 * text + 1, value):
                    grams[gram_filled] = value
                    gram_filled += 1
            gram_counts[text] = gram_filled - before
    return shingles[:filled], counts, set_keys, grams[:gram_filled], gram_counts, keys, sizes


def hash_codes(codes: Array, starts: I64, classes: Array, grams: bool) -> Hashed:
    """As `curation.shingling._hash_with_numpy`; the order within a set is that of the text."""
    found = _hash_all(codes, starts, classes, grams)
    shingles, counts, set_keys, gram_hashes, gram_counts, keys, sizes = found
    grams_of = Sets(gram_hashes.copy(), offsets(gram_counts))
    return Hashed(Sets(shingles.copy(), offsets(counts)), grams_of, set_keys, keys, sizes)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _all_words(codes: Array, starts: Array, classes: Array) -> tuple[Array, Array]:
    texts = len(starts) - 1
    out = np.empty(len(codes), np.uint64)
    at = np.zeros(texts + 1, np.int64)
    for text in range(texts):
        found = _split(codes, starts[text], starts[text + 1] - 1, classes, out[at[text] :])
        at[text + 1] = at[text] + found[0]
    return out[: at[texts]], at


def words_of_codes(codes: Array, starts: I64, classes: Array) -> tuple[U64, I64]:
    """As `curation.shingling._words_of_codes`."""
    found, at = _all_words(codes, starts, classes)
    return found.copy(), at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sequences(hashes: Array, starts: Array) -> Array:
    out = np.zeros(len(starts) - 1, np.uint64)
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        total = np.uint64(0)
        for place in range(begin, end):
            total += mix(hashes[place] + mix(np.uint64(place - begin) + ONE))
        if end > begin:
            out[text] = mix(total + np.uint64(end - begin))
    return out


def sequence_keys_of(hashes: U64, starts: I64) -> U64:
    """As `curation.leakage.grams.Words.sequence_keys`."""
    found: U64 = _sequences(hashes, starts)
    return found
