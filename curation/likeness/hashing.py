"""Hashes of many texts at once: their words, shingles and n-grams. The sets are those of `words.py`, hashed.

Few texts are cut into words by the definition itself, many by compiled code over their code points; both give the
same bits, but for the keys of normal forms. All arithmetic is modulo 2^64 and wraps on purpose.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.likeness.sets import (
    GRAM_BASE,
    I32,
    I64,
    U8,
    U64,
    WORD_BASE,
    Sets,
    concat,
    mix,
    offsets,
    set_keys,
    sums_between,
    top,
)
from curation.likeness.words import GAP, GRAM, SHINGLE, SHORT, SPACE, class_of, is_normal_when_lowered, normal, words

BASE = np.uint64(GRAM_BASE)
BLOCK_CHARS = 1 << 20
UNSEEN = 255
"""Class of a code point that was not met yet."""
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Hashes(Sets):
    """Hashes of the words, or of the characters, of each text, in their order and with repeats."""

    hashes: U64  # type: ignore[assignment]

    def sequence_keys(self) -> U64:
        """Return a key of each text's words in their order: equal for the same words, 0 for a text without a word."""
        powers, inverse = _powers(max(18, len(self.hashes).bit_length()))
        sums = sums_between(self.hashes * powers[: len(self.hashes)], self.starts) * inverse[self.starts[:-1]]
        return np.where(self.sizes > 0, mix(sums + self.sizes.astype(np.uint64)), np.uint64(0))

    def grams(self, size: int) -> tuple[I64, U64]:
        """Return all n-grams of `size`: the text of each, and its hash."""
        owner, last = self.owners(), max(0, len(self.hashes) - size + 1)
        sums = self.hashes[:last].copy()
        for step in range(1, size):
            sums *= BASE
            sums += self.hashes[step : last + step]
        whole = owner[: len(sums)] == owner[size - 1 :]
        return owner[: len(sums)][whole], sums[whole]

    def every(self, size: int) -> tuple[I64, U64]:
        """Return all n-grams of each text: one of all its words if it is shorter."""
        owner, values = self.grams(size)
        owners, found = [owner], [values]
        for length in range(1, size):
            short = np.flatnonzero(self.sizes == length)
            sums = self.hashes[self.starts[short]]
            for step in range(1, length):
                sums = sums * BASE + self.hashes[self.starts[short] + step]
            owners.append(short)
            found.append(sums)
        return np.concatenate(owners), np.concatenate(found)

    def sets(self, size: int) -> Sets:
        """Return the different n-grams of each text (`every`); none if it is empty."""
        owner, values = self.every(size)
        return Sets.of(owner, top(mix(values)), len(self))


class GramTable(NamedTuple):
    """Hashes of n-grams of `sizes` words, ascending. By the `bits` upper bits of a hash `first` says where such ones
    begin; a bit of `flags` says for three bits more whether there are some.
    """

    hashes: U64
    first: I32
    flags: U8
    bits: int
    sizes: I64

    @classmethod
    def of(cls, hashes: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> GramTable:
        """Return the table of these ascending hashes."""
        hashes, bits = hashes.astype(np.uint64), max(1, len(hashes).bit_length())
        first = offsets(np.bincount((hashes >> np.uint64(64 - bits)).astype(np.int64), minlength=1 << bits))
        flags = np.zeros(8 << bits, np.bool_)
        flags[hashes >> np.uint64(61 - bits)] = True
        return cls(hashes, first.astype(np.int32), np.packbits(flags, bitorder="little"), bits, sizes.astype(np.int64))


def words_and_grams(texts: Sequence[str], table: GramTable, *, compiled: bool) -> tuple[Hashes, I64, I64]:
    """Return the words of all texts, hashed, and the grams of the table in them: text and number of each."""
    if compiled:
        words, _, held = _compiled(texts, table)
        return words, held >> 32, held & 0xFFFFFFFF
    words = _plain(texts)
    texts_of, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in table.sizes.tolist():
        owner, grams = words.grams(size)
        place, number = places_in(table.hashes, grams)
        texts_of.append(owner[place])
        numbers.append(number)
    return words, np.concatenate(texts_of), np.concatenate(numbers)


def places_in(table: npt.NDArray[Any], keys: npt.NDArray[Any]) -> tuple[I64, I64]:
    """Return places in `keys` whose key is in the ascending `table`, and its first place there."""
    if not len(table):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    at = np.searchsorted(table, keys)
    at[at == len(table)] = 0
    found = np.flatnonzero(table[at] == keys)
    return found, at[found]


@lru_cache(maxsize=1)
def _powers(bits: int) -> tuple[U64, U64]:
    """Powers of BASE and of its inverse, so that sums over a text do not depend on what is before it."""
    inverse = np.uint64(pow(int(BASE), -1, 1 << 64))
    first, second = (np.cumprod(np.full(1 << bits, base), dtype=np.uint64) for base in (BASE, inverse))
    return first * inverse, second * BASE


class HashedTexts(NamedTuple):
    """Hashes of each text of a block: its shingles and their key, its grams (empty unless it is short), the
    key of its normal form.
    """

    shingles: Sets
    grams: Sets
    key: U64
    exact: U64


def hash_texts(texts: Sequence[str], *, compiled: bool = False, grams: bool = True) -> HashedTexts:
    """Hash all texts, by blocks of about a million characters. A text without a word has the key of its bytes."""
    parts = [_hash_block(block, compiled, grams) for block in blocks(texts)]
    shingles, characters, key, exact = zip(*parts, strict=True)
    return HashedTexts(concat(shingles), concat(characters), np.concatenate(key), np.concatenate(exact))


def _hash_block(texts: Sequence[str], compiled: bool, grams: bool) -> HashedTexts:
    if compiled:
        found, exact, _ = _compiled(texts)
        odd = [at for at, text in enumerate(texts) if not text.isascii() and not is_normal_when_lowered(text)]
        exact[odd] = _compiled([normal(texts[place]) for place in odd])[1]
    else:
        found, exact = _plain(texts), np.array([bytes_key(normal(text)) for text in texts], np.uint64)
    for place in np.flatnonzero(found.sizes == 0).tolist():
        exact[place] = bytes_key(texts[place])
    shingles = found.sets(SHINGLE)
    return HashedTexts(shingles, _grams(texts, found.sizes, grams), set_keys(shingles), exact)


def words_of(texts: Sequence[str], *, compiled: bool = False) -> Hashes:
    """Return the words of all texts, hashed."""
    parts = [_compiled(block)[0] if compiled else _plain(block) for block in blocks(texts)]
    sizes = np.concatenate([part.sizes for part in parts])
    return Hashes(np.concatenate([part.hashes for part in parts]), offsets(sizes))


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


def _plain(texts: Sequence[str]) -> Hashes:
    """Compute by the definition, with each different word hashed once."""
    hashes, counts = array("Q"), []
    for text in texts:
        before = len(hashes)
        hashes.extend(map(_word_hash, words(text)))
        counts.append(len(hashes) - before)
    return Hashes(np.array(hashes, np.uint64), offsets(np.array(counts, np.int64)))


@lru_cache(maxsize=1 << 18)
def _word_hash(word: str) -> int:
    total = 0
    for char in word:
        total = (total * WORD_BASE + ord(char) + 1) & _MASK
    return int(mix(np.array([total], np.uint64))[0])


def _compiled(texts: Sequence[str], table: GramTable | None = None) -> tuple[Hashes, U64, I64]:
    """Return the same, a key of each text (equal where the normal forms are, if the text folds as it is lowered), and
    which grams of `table` it holds: (text, number of the gram), packed, in order.
    """
    from curation.likeness.loops import split_words

    bytewise = [text if text.isascii() else _bytewise(text.lower()) for text in texts]
    codes = np.frombuffer("".join(bytewise).encode("latin-1"), np.uint8)
    starts = offsets(np.fromiter(map(len, bytewise), np.int64, len(bytewise)))
    found, counts, keys, held = split_words(codes, starts, _classes(), *(table or GramTable.of(codes[:0], codes[:0])))
    return Hashes(found, offsets(counts)), keys, held


def _bytewise(text: str) -> str:
    """Return a character for each byte of the text, whose characters have a class from now on."""
    table = _classes()
    for char in set(text):
        if table[ord(char)] == UNSEEN:
            table[ord(char)] = class_of(char)
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """Return the class of each code point, as far as they were met."""
    table = np.full(0x110000, UNSEEN, np.uint8)
    table[:128] = [class_of(chr(code)) for code in range(128)]
    return table


def _grams(texts: Sequence[str], count: I64, wanted: bool) -> Sets:
    """Return the character grams of the texts with 1 to 19 words."""
    short = np.flatnonzero((count > 0) & (count < SHORT)) if wanted else np.zeros(0, np.int64)
    found = characters_of([texts[place] for place in short.tolist()]).sets(GRAM)
    sizes = np.zeros(len(texts), np.int64)
    sizes[short] = found.sizes
    return Sets(found.hashes, offsets(sizes))


def characters_of(texts: Sequence[str]) -> Hashes:
    """Return the characters of the words of each text, joined by one space."""
    plain = "\n".join(text.replace("\n", " ") if text.isascii() else "" for text in texts).lower().translate(_blanks())
    lines = [" ".join(line.split()) for line in plain.split("\n")] if texts else []
    for place in [at for at, text in enumerate(texts) if not text.isascii()]:
        lines[place] = " ".join(words(texts[place]))
    starts = offsets(np.fromiter(map(len, lines), np.int64, len(lines)))
    codes = np.frombuffer("".join(lines).encode("utf-32-le", "surrogatepass"), np.uint32)
    return Hashes(codes.astype(np.uint64) + np.uint64(1), starts)


@cache
def _blanks() -> dict[int, str]:
    """Return a blank for each ASCII character that is outside words, but the line feed."""
    return {code: " " for code in range(128) if class_of(chr(code)) in (GAP, SPACE) and code != 10}


def bytes_key(text: str) -> int:
    """64 bits of BLAKE2b over the text's UTF-8 bytes."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def with_bytes(keys: U64, texts: Sequence[str]) -> U64:
    """Sequence keys of the texts; of a text without a word the key of its bytes instead."""
    for place in np.flatnonzero(keys == 0).tolist():
        keys[place] = bytes_key(texts[place])
    return keys
