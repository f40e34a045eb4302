"""Shingles of many texts at once, as sorted 32-bit hashes. The sets are those of `curation.similarity`, hashed.

A text is hashed over its code points, so that the compiled and the numpy path give the same bits. All arithmetic is
modulo 2^64 and wraps on purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from curation.codes import (
    BLOCK_CHARS,
    SPACES,
    WORD_BASE,
    Codes,
    Encoded,
    codes_of,
    encoded,
    pieces_of,
    polynomials,
    span_hashes,
    word_spans,
)
from curation.lineform import Scanned
from curation.sets import I32, I64, U64, Sets, concat, mix, offsets, set_keys, top, unique
from curation.similarity.words import GRAM, SHINGLE, SHORT, is_normal_when_lowered, normal

SHINGLE_BASE = 0xD6E8FEB86659FD93
GRAM_BASE = 0xA0761D6478BD642F
LONG_CHARS = 2 * BLOCK_CHARS
"""Characters from which numpy hashes a text piece by piece: its memory is many times that of what it hashes at once."""


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


def hash_texts(texts: Sequence[str], *, compiled: bool = False, grams: bool = True) -> Hashed:
    """Hash all texts, by blocks of about a million characters; with `compiled` in numba's code.

    A text without a word has no shingle; its exact key is that of its bytes.
    """
    hash_block = _hash_compiled if compiled else _hash_block
    return join_hashed([hash_block(block, grams) for block in blocks(texts)])


def join_hashed(parts: Sequence[Hashed]) -> Hashed:
    """Blocks one after the other."""
    return Hashed(
        concat([part.shingles for part in parts]),
        concat([part.grams for part in parts]),
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.exact for part in parts]),
        np.concatenate([part.words for part in parts]),
    )


def word_hashes(texts: Sequence[str]) -> tuple[U64, I64]:
    """The hash of each word of each text, in order, and where each text's words start (and the end)."""
    if len(texts) == 1 and len(texts[0]) > LONG_CHARS:
        parts = [_word_hashes([piece])[0] for piece in pieces_of(texts[0].lower())]
        return np.concatenate(parts), offsets(np.array([sum(map(len, parts))]))
    return _word_hashes(texts)


def _word_hashes(texts: Sequence[str]) -> tuple[U64, I64]:
    codes, starts = codes_of([text.lower() for text in texts])
    begins, ends = word_spans(codes)
    count = np.bincount(np.searchsorted(starts, begins, "right") - 1, minlength=len(starts) - 1)
    return mix(span_hashes(codes, begins, ends)), offsets(count)


def blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Consecutive parts of about a million characters each, a long text by itself; one empty part of no texts."""
    begin = size = 0
    for index, length in enumerate(map(len, texts)):
        if length > LONG_CHARS and index > begin:
            yield texts[begin:index]
            begin = index
        size += length
        if size >= BLOCK_CHARS:
            yield texts[begin : index + 1]
            begin, size = index + 1, 0
    if begin < len(texts) or not texts:
        yield texts[begin:]


def _hash_compiled(texts: Sequence[str], grams: bool) -> Hashed:
    from curation.kernels import hash_encoded

    code = encoded(texts)
    out = hash_encoded(code, grams)
    _fold_wide(out, {place: texts[place] for place in code.wide})
    return _with_bytes(out, texts)


def _fold_wide(out: Hashed, wide: Mapping[int, str]) -> None:
    """Texts outside ASCII, by place, get the exact key of their normal form."""
    from curation.kernels import hash_encoded

    odd = {place: normal(text) for place, text in wide.items() if not is_normal_when_lowered(text)}
    if odd:
        out.exact[list(odd)] = hash_encoded(encoded(list(odd.values())), False).exact


def hash_scanned(part: Scanned) -> Hashed:
    """As `hash_texts` of the questions, compiled."""
    from curation.kernels import hash_encoded

    code, held = part.texts.code, part.texts.held
    asked = slice(part.question, None, part.width)
    out = hash_encoded(Encoded(code.data, code.begins[asked], code.ends[asked], []), True)
    wide = {place // part.width: text for place, text in held.items() if place % part.width == part.question}
    _fold_wide(out, wide)
    wordless = np.flatnonzero(out.words == 0)
    texts = part.texts.take((wordless * part.width + part.question).tolist()) if len(wordless) else []
    out.exact[wordless] = [bytes_key(text) for text in texts]
    return out


def _hash_block(texts: Sequence[str], grams: bool) -> Hashed:
    if len(texts) == 1 and len(texts[0]) > LONG_CHARS:
        return _with_bytes(_hash_long(texts[0], grams), texts)
    out = _hash_codes(*codes_of([text.lower() for text in texts]), grams)
    wide = [i for i, text in enumerate(texts) if not text.isascii()]
    if wide:
        out.exact[wide] = _hash_codes(*codes_of([normal(texts[i]) for i in wide]), False).exact
    return _with_bytes(out, texts)


def _with_bytes(out: Hashed, texts: Sequence[str]) -> Hashed:
    """The exact key of a text without a word is that of its bytes."""
    for i in np.flatnonzero(out.words == 0):
        out.exact[i] = bytes_key(texts[int(i)])
    return out


def _hash_long(text: str, grams: bool) -> Hashed:
    """As `_hash_codes` for one long text, in pieces."""
    hashes, first = word_hashes([text])
    if len(hashes) < SHORT:
        return _hash_codes(*codes_of([text.lower()]), grams)
    steps = range(0, len(hashes) - SHINGLE + 1, BLOCK_CHARS)
    parts = [_shingles_of(hashes[at : at + BLOCK_CHARS + SHINGLE - 1]) for at in steps]
    found = np.sort(np.concatenate(parts))
    found = found[np.concatenate(([True], found[1:] != found[:-1]))]
    shingles, none = Sets(found, offsets(np.array([len(found)]))), Sets(found[:0], np.zeros(2, np.int64))
    return Hashed(shingles, none, set_keys(shingles), _long_key(text), np.diff(first).astype(np.int32))


def _shingles_of(words: U64) -> npt.NDArray[np.uint32]:
    """The shingles of words in a row, 5 of them or more, repeats included."""
    count = len(words) - SHINGLE + 1
    return top(mix(_folded([words[step : step + count] for step in range(SHINGLE)])))


def _folded(columns: Sequence[U64]) -> U64:
    return reduce(lambda sums, column: sums * np.uint64(SHINGLE_BASE) + column, columns)


def _long_key(text: str) -> U64:
    """As `_exact_keys` for one long text: the pieces' polynomials, a white space between two of them."""
    total, some, mask = 0, False, (1 << 64) - 1
    for piece in pieces_of(text.lower() if text.isascii() else normal(text)):
        codes, starts = codes_of([piece])
        begins, ends = word_spans(codes)
        values, at = _tokens(codes, starts, begins, ends, mix(span_hashes(codes, begins, ends)))
        if len(values):
            value = int(polynomials(values, at[:-1], at[1:])[0])
            total = ((total * WORD_BASE + 33 * some) * pow(WORD_BASE, len(values), 1 << 64) + value) & mask
            some = True
    return mix(np.array([total], np.uint64))


def bytes_key(text: str) -> int:
    """64 bits of BLAKE2b over the text's UTF-8 bytes."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _hash_codes(codes: Codes, starts: I64, grams: bool) -> Hashed:
    begins, ends = word_spans(codes)
    of_text = np.searchsorted(starts, begins, "right") - 1
    count = np.bincount(of_text, minlength=len(starts) - 1)
    first = offsets(count)
    hashes = mix(span_hashes(codes, begins, ends))
    shingles = _shingles(hashes, count, first)
    short = np.flatnonzero((count > 0) & (count < SHORT)) if grams else np.zeros(0, np.int64)
    grams_of = _grams(codes, begins, ends, first, short)
    exact = _exact_keys(codes, starts, begins, ends, hashes)
    return Hashed(shingles, grams_of, set_keys(shingles), exact, count.astype(np.int32))


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
    return unique(here[whole], top(mix(sums[whole])), texts)


def _grams(codes: Codes, begins: I64, ends: I64, first: I64, short: I64) -> Sets:
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
    return unique(short[here[whole]], top(mix(sums[whole])), texts)


def _joined(codes: Codes, begins: I64, ends: I64, count: I64) -> tuple[Codes, I64]:
    """The spans of each text (`count` each) joined by one space, and where each text's line starts."""
    sizes = ends - begins + 1
    sizes[np.cumsum(count) - 1] -= 1
    at = offsets(sizes)
    line = np.full(at[-1], 32, codes.dtype)
    length = ends - begins
    inner = np.arange(length.sum()) - np.repeat(offsets(length)[:-1], length)
    line[np.repeat(at[:-1], length) + inner] = codes[np.repeat(begins, length) + inner]
    return line, at[offsets(count)]


def _exact_keys(codes: Codes, starts: I64, begins: I64, ends: I64, words: U64) -> U64:
    """Keys of the texts with white space collapsed: polynomials over words, spaces and other characters.

    Equal for texts that are equal but for white space; of lower-case ASCII texts that is their normal form.
    """
    values, at = _tokens(codes, starts, begins, ends, words)
    return np.where(np.diff(at) > 0, mix(polynomials(values, at[:-1], at[1:])), np.uint64(0))


def _tokens(codes: Codes, starts: I64, begins: I64, ends: I64, words: U64) -> tuple[U64, I64]:
    """A number for each word, white space between, and other character; and where those of each text start."""
    inside = np.zeros(len(codes) + 1, np.int8)
    inside[begins] += 1
    inside[ends] -= 1
    free = np.cumsum(inside[:-1]) == 0
    solid = ~np.isin(codes, SPACES)
    last = np.maximum.accumulate(np.where(solid, np.arange(len(codes)), -1))
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    before = np.concatenate(([-1], last[:-1]))
    gap = np.flatnonzero(solid & (before >= starts[owner]) & (before < np.arange(len(codes)) - 1))
    other = np.flatnonzero(free & solid)
    places = np.concatenate((2 * gap, 2 * begins + 1, 2 * other + 1))
    values = np.concatenate((np.full(len(gap), 33, np.uint64), words, codes[other].astype(np.uint64) + np.uint64(1)))
    order = np.argsort(places, kind="stable")
    return values[order], offsets(np.bincount(owner[places[order] // 2], minlength=len(starts) - 1))
