"""Shingles, grams and Jaccard: what "near" means. The bulk path in `curation.shingling` gives the same sets as hashes.

A text without a word has no shingle; it equals only the same bytes (see `exact`).
"""

from __future__ import annotations

from collections.abc import Sequence

from curation.similarity.words import GRAM, SHINGLE, SHORT, normal, words


def shingles_of(tokens: Sequence[str]) -> frozenset[str]:
    """The set of word 5-grams; one shingle of all words where there are 1 to 4, none where there is no word."""
    if not tokens:
        return frozenset()
    return frozenset(" ".join(tokens[i : i + SHINGLE]) for i in range(max(1, len(tokens) - SHINGLE + 1)))


def shingles(text: str) -> frozenset[str]:
    """`shingles_of` the words of a text."""
    return shingles_of(words(text))


def grams(text: str) -> frozenset[str]:
    """Character 4-grams of the words joined by one space, if the text has 1 to 19 words; else the empty set."""
    tokens = words(text)
    if not 0 < len(tokens) < SHORT:
        return frozenset()
    line = " ".join(tokens)
    return frozenset(line[i : i + GRAM] for i in range(max(1, len(line) - GRAM + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared over all; 0.0 where either set is empty."""
    if not one or not other:
        return 0.0
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def exact(one: str, other: str) -> bool:
    """Equal after NFC, case folding and collapsing white space; byte for byte where a text has no word."""
    if one == other:
        return True
    return normal(one) == normal(other) and bool(words(one)) and bool(words(other))
