"""Hashes of many texts at once: their words, shingles and n-grams. The sets are those of `words.py`, hashed.

Few texts are cut into words by the definition itself, many by compiled code over their code points; both give the
same bits, but for the keys of normal forms. All arithmetic is modulo 2^64 and wraps on purpose.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from curation.likeness.codes import (
    BLOCK_CHARS,
    GRAM_BASE,
    SHINGLE_BASE,
    WORD_BASE,
    Encoded,
    classes_table,
    encoded,
    polynomials,
)
from curation.likeness.sets import I32, I64, U64, Sets, concat, mix, offsets, set_keys, top, unique
from curation.likeness.words import GRAM, SHINGLE, SHORT, is_normal_when_lowered, normal, word_pattern

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class HashedTexts:
    """What is known of each text of a block: its shingles and their key, its grams (empty unless it is short), the
    key of its normal form, its number of words.
    """

    shingles: Sets
    grams: Sets
    key: U64
    exact: U64
    words: I32


def hash_texts(texts: Sequence[str], *, compiled: bool = False, grams: bool = True) -> HashedTexts:
    """Hash all texts; with `compiled` in numba's code, by blocks of about a million characters.

    A text without a word has no shingle; its exact key is that of its bytes.
    """
    if not compiled:
        return _with_bytes(_hash_plain(texts, grams), texts)
    return join_hashed([_hash_compiled(block, grams) for block in blocks(texts)])


def join_hashed(parts: Sequence[HashedTexts]) -> HashedTexts:
    """Blocks one after the other."""
    return HashedTexts(
        concat([part.shingles for part in parts]),
        concat([part.grams for part in parts]),
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.exact for part in parts]),
        np.concatenate([part.words for part in parts]),
    )


def word_hashes(texts: Sequence[str]) -> tuple[U64, I64]:
    """The hash of each word of each text, in order, and where each text's words start (and the end)."""
    hashes, counts = array("Q"), []
    for text in texts:
        before = len(hashes)
        hashes.extend(map(_word_hash, _words(text.lower())))
        counts.append(len(hashes) - before)
    return np.array(hashes, np.uint64), offsets(np.array(counts, np.int64))


def blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Consecutive parts of about a million characters each; one empty part of no texts."""
    begin = size = 0
    for index, length in enumerate(map(len, texts)):
        size += length
        if size >= BLOCK_CHARS:
            yield texts[begin : index + 1]
            begin, size = index + 1, 0
    if begin < len(texts) or not texts:
        yield texts[begin:]


def _hash_plain(texts: Sequence[str], grams: bool) -> HashedTexts:
    """By the definition: words are those of `curation.likeness`, and each different word is hashed once."""
    words, first = word_hashes(texts)
    count = np.diff(first)
    short = np.flatnonzero((count > 0) & (count < SHORT)).tolist() if grams else []
    found = [set(map(_gram_hash, _grams_of(" ".join(_words(texts[place].lower()))))) for place in short]
    owner = np.repeat(np.array(short, np.int64), [len(each) for each in found])
    grams_of = unique(owner, np.array([h for each in found for h in each], np.uint32), len(texts))
    shingles = _shingles(words, count, first)
    exact = np.array([bytes_key(normal(text)) for text in texts], np.uint64)
    return HashedTexts(shingles, grams_of, set_keys(shingles), exact, count.astype(np.int32))


def _words(lower: str) -> list[str]:
    return word_pattern(lower).findall(lower)


def _grams_of(line: str) -> Iterable[str]:
    return (line[place : place + GRAM] for place in range(max(1, len(line) - GRAM + 1)))


def _polynomial(values: Iterable[int], base: int) -> int:
    total = 0
    for value in values:
        total = (total * base + value) & _MASK
    return total


def _mixed(value: int) -> int:
    """As `curation.likeness.sets.mix` of one number."""
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCD & _MASK
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ (value >> 33)


@lru_cache(maxsize=1 << 18)
def _word_hash(word: str) -> int:
    return _mixed(_polynomial((ord(char) + 1 for char in word), WORD_BASE))


@lru_cache(maxsize=1 << 16)
def _gram_hash(gram: str) -> int:
    return _mixed(_polynomial((ord(char) + 1 for char in gram), GRAM_BASE)) >> 32


def _hash_compiled(texts: Sequence[str], grams: bool) -> HashedTexts:
    code = encoded(texts)
    out = _hash_encoded(code, grams)
    _fold_wide(out, {place: texts[place] for place in code.wide})
    return _with_bytes(out, texts)


def _hash_encoded(code: Encoded, grams: bool) -> HashedTexts:
    """As `_hash_plain`, but for the keys of normal forms; the order within a set is that of the text."""
    from curation.likeness.engine.texts import hash_all

    found = hash_all(code.data, code.begins, code.ends, classes_table(), grams)
    shingles, counts, keys, gram_hashes, gram_counts, exact, words = found
    grams_of = Sets(gram_hashes.copy(), offsets(gram_counts))
    return HashedTexts(Sets(shingles.copy(), offsets(counts)), grams_of, keys, exact, words)


def grams_of_encoded(code: Encoded, places: I64) -> Sets:
    """The character grams of the texts at `places`, short ones; compiled."""
    from curation.likeness.engine.texts import all_grams

    found, at = all_grams(code.data, code.begins[places], code.ends[places], classes_table())
    return Sets(found.copy(), at)


def _fold_wide(out: HashedTexts, wide: Mapping[int, str]) -> None:
    """Texts outside ASCII, by place, get the exact key of their normal form."""
    odd = {place: normal(text) for place, text in wide.items() if not is_normal_when_lowered(text)}
    if odd:
        out.exact[list(odd)] = _hash_encoded(encoded(list(odd.values())), False).exact


def _with_bytes(out: HashedTexts, texts: Sequence[str]) -> HashedTexts:
    """The exact key of a text without a word is that of its bytes."""
    for i in np.flatnonzero(out.words == 0):
        out.exact[i] = bytes_key(texts[int(i)])
    return out


def bytes_key(text: str) -> int:
    """64 bits of BLAKE2b over the text's UTF-8 bytes."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


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


U = np.uint64
GRAM_WORDS = 3
"""Words in a gram of the leakage check: short enough to live through edits."""


@dataclass(frozen=True, slots=True)
class WordHashes:
    """Hashes of the words of each text: `hashes[starts[i]:starts[i + 1]]`, in their order."""

    hashes: U64
    starts: I64

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> I64:
        """Words in each text."""
        return np.diff(self.starts)

    def sequence_keys(self) -> U64:
        """A key of each text's words in their order: equal for the same words, 0 for a text without a word."""
        count = self.counts
        total = polynomials(self.hashes, self.starts[:-1], self.starts[1:]) if len(self.hashes) else count.astype(U)
        return np.where(count > 0, mix(total + count.astype(U)), U(0))

    def grams(self, size: int) -> tuple[I64, U64]:
        """All n-grams of `size` words: the text of each, and its hash."""
        count = len(self.hashes)
        if count < size:
            return np.zeros(0, np.int64), np.zeros(0, np.uint64)
        sums = self.hashes[: count - size + 1].copy()
        for step in range(1, size):
            sums = sums * np.uint64(SHINGLE_BASE) + self.hashes[step : count - size + 1 + step]
        owner = np.repeat(np.arange(len(self)), self.counts)
        whole = owner[: count - size + 1] == owner[size - 1 :]
        return owner[: count - size + 1][whole], mix(sums[whole])


def with_bytes(keys: U64, texts: Sequence[str]) -> U64:
    """Sequence keys of the texts; of a text without a word the key of its bytes instead."""
    for place in np.flatnonzero(keys == 0).tolist():
        keys[place] = bytes_key(texts[place])
    return keys


def words_of(texts: Sequence[str], *, compiled: bool = False) -> WordHashes:
    """The words of all texts, hashed."""
    if compiled:
        from curation.likeness.engine.texts import all_words

        codes = map(encoded, blocks(texts))
        parts = [all_words(code.data, code.begins, code.ends, classes_table()) for code in codes]
    else:
        parts = [word_hashes(block) for block in blocks(texts)]
    sizes = np.concatenate([np.diff(starts) for _, starts in parts])
    return WordHashes(np.concatenate([hashes for hashes, _ in parts]), offsets(sizes))
