"""Shingles of many texts at once, as sorted 32-bit hashes. The sets are those of `curation.similarity`, hashed.

A text is hashed over its code points, so that the compiled and the numpy path give the same bits. All arithmetic is
modulo 2^64 and wraps on purpose.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.similarity.words import ALONE, GRAM, SHINGLE, SHORT, normal

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]

WORD_BASE = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2^64; the hash of a word is a polynomial in it over code points + 1."""
WORD_INVERSE = pow(WORD_BASE, -1, 1 << 64)
SHINGLE_BASE = 0xD6E8FEB86659FD93
GRAM_BASE = 0xA0761D6478BD642F
GAP, LETTER, SINGLE, MARK, UNSEEN = 0, 1, 2, 3, 255
"""Classes of code points: outside words, in words, a word of its own, a combining mark, not looked up yet."""
BLOCK_CHARS = 1 << 20


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
        """For each hash the index of its set."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def take(self, indices: npt.NDArray[Any]) -> Sets:
        """The sets at `indices`, in that order."""
        sizes = self.sizes[indices]
        starts = offsets(sizes)
        where = np.repeat(self.starts[:-1][indices] - starts[:-1], sizes) + np.arange(starts[-1])
        return Sets(self.hashes[where], starts)


@dataclass(frozen=True, slots=True)
class Hashed:
    """What is known of each text of a block: its shingles and their key, its grams (empty unless it is short), the
    key of its normal form, its number of words.
    """

    shingles: Sets
    grams: Sets
    key: U64
    exact: U64
    words: I32


def offsets(sizes: npt.NDArray[Any]) -> I64:
    """0 and the running sums: where each of consecutive pieces starts, and the end."""
    out = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=out[1:])
    return out


def concat(parts: Sequence[Sets]) -> Sets:
    """One after the other."""
    if not parts:
        return Sets(np.zeros(0, np.uint32), np.zeros(1, np.int64))
    hashes = np.concatenate([part.hashes for part in parts])
    return Sets(hashes, offsets(np.concatenate([part.sizes for part in parts])))


def mix(values: U64) -> U64:
    """MurmurHash3's 64-bit finalizer."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def set_keys(sets: Sets) -> U64:
    """A 64-bit key of each set: equal sets have equal keys, the empty set has 0."""
    sums = np.zeros(len(sets.hashes) + 1, np.uint64)
    np.cumsum(mix(sets.hashes.astype(np.uint64) + np.uint64(1)), out=sums[1:])
    total = sums[sets.starts[1:]] - sums[sets.starts[:-1]]
    return mix(total + sets.sizes.astype(np.uint64))


class Growing:
    """Sets that are added block by block, without a second copy of those that are there."""

    def __init__(self) -> None:
        self._hashes = np.empty(1 << 16, np.uint32)
        self._filled = 0
        self._sizes: list[I64] = []

    def add(self, sets: Sets) -> None:
        """Add these after the others."""
        end = self._filled + len(sets.hashes)
        while end > len(self._hashes):
            self._hashes.resize(2 * len(self._hashes), refcheck=False)
        self._hashes[self._filled : end] = sets.hashes
        self._filled = end
        self._sizes.append(sets.sizes)

    def finish(self) -> Sets:
        """All sets; this object gives its memory away."""
        self._hashes.resize(self._filled, refcheck=False)
        sizes = np.concatenate(self._sizes) if self._sizes else np.zeros(0, np.int64)
        return Sets(self._hashes, offsets(sizes))


def hash_texts(texts: Sequence[str], *, compiled: bool = False, grams: bool = True) -> Hashed:
    """Hash all texts, by blocks of about a million characters; with `compiled` in numba's code.

    A text without a word has no shingle; its exact key is that of its bytes.
    """
    return join_hashed([_hash_block(block, compiled, grams) for block in blocks(texts)])


def join_hashed(parts: Sequence[Hashed]) -> Hashed:
    """Blocks one after the other."""
    return Hashed(
        concat([part.shingles for part in parts]),
        concat([part.grams for part in parts]),
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.exact for part in parts]),
        np.concatenate([part.words for part in parts]),
    )


def word_hashes(texts: Sequence[str], *, compiled: bool = False) -> tuple[U64, I64]:
    """The hash of each word of each text, in order, and where each text's words start (and the end)."""
    return _words_of_codes(*_codes([text.lower() for text in texts]), compiled)


def _words_of_codes(codes: npt.NDArray[Any], starts: I64, compiled: bool) -> tuple[U64, I64]:
    if compiled:
        from curation.kernels import words_of_codes

        return words_of_codes(codes, starts, classes_of(codes))
    begins, ends = _word_spans(codes)
    count = np.bincount(np.searchsorted(starts, begins, "right") - 1, minlength=len(starts) - 1)
    return mix(_span_hashes(codes, begins, ends)), offsets(count)


def blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Consecutive parts of about a million characters each; one empty part of no texts."""
    begin = size = 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= BLOCK_CHARS:
            yield texts[begin : index + 1]
            begin, size = index + 1, 0
    if begin < len(texts) or not texts:
        yield texts[begin:]


def _hash_block(texts: Sequence[str], compiled: bool, grams: bool) -> Hashed:
    out = _hash_codes(*_codes([text.lower() for text in texts]), compiled, grams)
    wide = [i for i, text in enumerate(texts) if not text.isascii()]
    if wide:
        out.exact[wide] = _hash_codes(*_codes([normal(texts[i]) for i in wide]), compiled, False).exact
    for i in np.flatnonzero(out.words == 0):
        out.exact[i] = bytes_key(texts[int(i)])
    return out


def bytes_key(text: str) -> int:
    """64 bits of BLAKE2b over the text's UTF-8 bytes."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _codes(texts: Sequence[str]) -> tuple[npt.NDArray[Any], I64]:
    """All code points, a line feed after each text, and where each text begins; as bytes where all are ASCII."""
    line = "\n".join(texts) + "\n"
    ascii_only = line.isascii()
    data = line.encode("ascii" if ascii_only else "utf-32-le", "surrogatepass" if not ascii_only else "strict")
    codes = np.frombuffer(data, np.uint8 if ascii_only else np.uint32)
    return codes, offsets(np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts)))


def _hash_codes(codes: npt.NDArray[Any], starts: I64, compiled: bool, grams: bool) -> Hashed:
    if compiled:
        from curation.kernels import hash_codes

        return hash_codes(codes, starts, classes_of(codes), grams)
    return _hash_with_numpy(codes, starts, grams)


def classes_of(codes: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A table of classes, indexed by code point, with an entry for each of `codes`."""
    table = _table()
    if codes.dtype != np.uint8:
        for code in np.unique(codes[table[codes] == UNSEEN]):
            table[code] = _class_of(int(code))
    return table


@cache
def _table() -> npt.NDArray[np.uint8]:
    table = np.full(0x110000, UNSEEN, np.uint8)
    table[:128] = [_class_of(code) for code in range(128)]
    return table


def _class_of(code: int) -> int:
    char = chr(code)
    if char == "_" or char.isalnum():
        return SINGLE if any(first <= code <= last for first, last in ALONE) else LETTER
    return MARK if unicodedata.category(char)[0] == "M" else GAP


def _hash_with_numpy(codes: npt.NDArray[Any], starts: I64, grams: bool) -> Hashed:
    begins, ends = _word_spans(codes)
    of_text = np.searchsorted(starts, begins, "right") - 1
    count = np.bincount(of_text, minlength=len(starts) - 1)
    first = offsets(count)
    hashes = mix(_span_hashes(codes, begins, ends))
    shingles = _shingles(hashes, count, first)
    short = np.flatnonzero((count > 0) & (count < SHORT)) if grams else np.zeros(0, np.int64)
    grams_of = _grams(codes, begins, ends, first, short)
    return Hashed(
        shingles, grams_of, set_keys(shingles), _exact_keys(codes, starts, begins, ends, hashes), count.astype(np.int32)
    )


def _word_spans(codes: npt.NDArray[Any]) -> tuple[I64, I64]:
    """First and one-past-last position of every word."""
    kind = classes_of(codes)[codes]
    if codes.dtype != np.uint8:
        base = np.maximum.accumulate(np.where(kind != MARK, np.arange(len(kind)), 0))
        kind_of_base = kind[base]
    else:
        kind_of_base = kind
    inside = (kind_of_base == LETTER) | (kind_of_base == SINGLE)
    before = np.concatenate(([GAP], kind_of_base[:-1])).astype(np.uint8)
    begin = inside & ((before == GAP) | (before == MARK) | (kind == SINGLE) | ((kind == LETTER) & (before == SINGLE)))
    stop = np.concatenate((~inside[1:] | begin[1:], [True])) & inside
    return np.flatnonzero(begin), np.flatnonzero(stop) + 1


def _span_hashes(codes: npt.NDArray[Any], begins: I64, ends: I64) -> U64:
    """Sum of (code + 1) * WORD_BASE^(places from the end) over each span."""
    return _polynomials(codes.astype(np.uint64) + np.uint64(1), begins, ends)


def _polynomials(values: U64, begins: I64, ends: I64) -> U64:
    """Sum of value * WORD_BASE^(places from the end) over each span, by differences of one running sum."""
    up, down = _powers(max(1, len(values)))
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * down[: len(values)], out=sums[1:])
    return (sums[ends] - sums[begins]) * up[np.maximum(ends - 1, 0)]


def _powers(length: int) -> tuple[U64, U64]:
    """WORD_BASE^i and WORD_BASE^-i for i below `length`."""
    up, down = _power_cache(max(BLOCK_CHARS * 2, 1 << max(1, length - 1).bit_length()))
    return up[:length], down[:length]


@cache
def _power_cache(length: int) -> tuple[U64, U64]:
    def run(base: int) -> U64:
        steps = np.full(length, base, np.uint64)
        steps[0] = 1
        return np.cumprod(steps)

    return run(WORD_BASE), run(WORD_INVERSE)


def _shingles(words: U64, count: I64, first: I64) -> Sets:
    """Word 5-grams of each text; one n-gram of all words where there are fewer."""
    texts = len(count)
    base = np.uint64(SHINGLE_BASE)
    padded = np.concatenate((words, np.zeros(SHINGLE, np.uint64)))
    size = len(words)
    sums = padded[:size].copy()
    here = np.repeat(np.arange(texts), count)
    place = np.arange(size) - first[here]
    length = np.minimum(count, SHINGLE)[here]
    for step in range(1, SHINGLE):
        longer = length > step
        sums = np.where(longer, sums * base + padded[step : size + step], sums)
    whole = place <= (count[here] - length)
    return _unique(here[whole], _top(mix(sums[whole])), texts)


def _grams(codes: npt.NDArray[Any], begins: I64, ends: I64, first: I64, short: I64) -> Sets:
    """Character 4-grams of the short texts' words, joined by one space."""
    texts = len(first) - 1
    if not len(short):
        return Sets(np.zeros(0, np.uint32), np.zeros(texts + 1, np.int64))
    count = (first[1:] - first[:-1])[short]
    word = np.repeat(first[short] - offsets(count)[:-1], count) + np.arange(count.sum())
    line, starts = _joined(codes, begins[word], ends[word], count)
    length = np.diff(starts)
    sums = line.astype(np.uint64) + np.uint64(1)
    here = np.repeat(np.arange(len(short)), length)
    padded = np.concatenate((sums, np.zeros(GRAM, np.uint64)))
    for step in range(1, GRAM):
        longer = np.minimum(length, GRAM)[here] > step
        sums = np.where(longer, sums * np.uint64(GRAM_BASE) + padded[step : len(line) + step], sums)
    whole = np.arange(len(line)) - starts[here] <= np.maximum(length - GRAM, 0)[here]
    return _unique(short[here[whole]], _top(mix(sums[whole])), texts)


def _joined(codes: npt.NDArray[Any], begins: I64, ends: I64, count: I64) -> tuple[npt.NDArray[Any], I64]:
    """The spans of each text (`count` each) joined by one space, and where each text's line starts."""
    sizes = ends - begins + 1
    sizes[np.cumsum(count) - 1] -= 1
    at = offsets(sizes)
    line = np.full(at[-1], 32, codes.dtype)
    length = ends - begins
    inner = np.arange(length.sum()) - np.repeat(offsets(length)[:-1], length)
    line[np.repeat(at[:-1], length) + inner] = codes[np.repeat(begins, length) + inner]
    return line, at[offsets(count)]


def _exact_keys(codes: npt.NDArray[Any], starts: I64, begins: I64, ends: I64, words: U64) -> U64:
    """Keys of the texts with white space collapsed: polynomials over words, spaces and other characters.

    Equal for texts that are equal but for white space; of lower-case ASCII texts that is their normal form.
    """
    inside = np.zeros(len(codes) + 1, np.int8)
    np.add.at(inside, begins, 1)
    np.add.at(inside, ends, -1)
    free = np.cumsum(inside[:-1]) == 0
    blank = np.isin(codes, _SPACES)
    solid = ~blank
    last = np.maximum.accumulate(np.where(solid, np.arange(len(codes)), -1))
    owner = np.searchsorted(starts, np.arange(len(codes)), "right") - 1
    before = np.concatenate(([-1], last[:-1]))
    gap = np.flatnonzero(solid & (before >= starts[owner]) & (before < np.arange(len(codes)) - 1))
    other = np.flatnonzero(free & solid)
    places = np.concatenate((2 * gap, 2 * begins + 1, 2 * other + 1))
    values = np.concatenate((np.full(len(gap), 33, np.uint64), words, codes[other].astype(np.uint64) + np.uint64(1)))
    order = np.argsort(places, kind="stable")
    values, of_text = values[order], owner[places[order] // 2]
    at = offsets(np.bincount(of_text, minlength=len(starts) - 1))
    return np.where(np.diff(at) > 0, mix(_polynomials(values, at[:-1], at[1:])), np.uint64(0))


_SPACES = np.array([9, 10, 11, 12, 13, 28, 29, 30, 31, 32])
"""White space within ASCII, as `str.split` has it."""


def _top(values: U64) -> U32:
    return (values >> np.uint64(32)).astype(np.uint32)


def _unique(owners: I64, hashes: U32, texts: int) -> Sets:
    """Ascending hashes without repeats, by owner."""
    keys = (owners.astype(np.uint64) << np.uint64(32)) | hashes
    keys.sort()
    if len(keys):
        keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
    sizes = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=texts)
    return Sets(keys.astype(np.uint32), offsets(sizes))
