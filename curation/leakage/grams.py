"""Word n-grams of many texts at once, as 64-bit hashes in the order of the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation.shingling import (
    I64,
    SHINGLE_BASE,
    U64,
    blocks,
    bytes_key,
    mix,
    offsets,
    word_hashes,
)

GRAM = 3
"""Words in a gram of the leakage check: short enough to live through edits."""


@dataclass(frozen=True, slots=True)
class Words:
    """Hashes of the words of each text: `hashes[starts[i]:starts[i + 1]]`, in their order."""

    hashes: U64
    starts: I64

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> I64:
        """Words in each text."""
        return np.diff(self.starts)

    def sequence_keys(self, *, compiled: bool = False) -> U64:
        """A key of each text's words in their order: equal for the same words, 0 for a text without a word."""
        if compiled:
            from curation.kernels import sequence_keys_of

            return sequence_keys_of(self.hashes, self.starts)
        count = self.counts
        here = np.repeat(np.arange(len(self)), count)
        place = (np.arange(len(self.hashes)) - self.starts[:-1][here]).astype(np.uint64)
        sums = np.zeros(len(self.hashes) + 1, np.uint64)
        np.cumsum(mix(self.hashes + mix(place + np.uint64(1))), out=sums[1:])
        total = sums[self.starts[1:]] - sums[self.starts[:-1]]
        return np.where(count > 0, mix(total + count.astype(np.uint64)), np.uint64(0))

    def grams(self, size: int) -> tuple[I64, U64]:
        """All n-grams of `size` words: the text each stands in, and its hash."""
        count = len(self.hashes)
        if count < size:
            return np.zeros(0, np.int64), np.zeros(0, np.uint64)
        sums = self.hashes[: count - size + 1].copy()
        for step in range(1, size):
            sums = sums * np.uint64(SHINGLE_BASE) + self.hashes[step : count - size + 1 + step]
        owner = np.repeat(np.arange(len(self)), self.counts)
        whole = owner[: count - size + 1] == owner[size - 1 :]
        return owner[: count - size + 1][whole], mix(sums[whole])


def text_keys(words: Words, texts: Sequence[str], *, compiled: bool = False) -> U64:
    """The sequence key of each text; of a text without a word the key of its bytes."""
    keys = words.sequence_keys(compiled=compiled)
    for place in np.flatnonzero(keys == 0).tolist():
        keys[place] = bytes_key(texts[place])
    return keys


def words_of(texts: Sequence[str], *, compiled: bool = False) -> Words:
    """The words of all texts, hashed."""
    parts = [word_hashes(block, compiled=compiled) for block in blocks(texts)]
    sizes = np.concatenate([np.diff(starts) for _, starts in parts])
    return Words(np.concatenate([hashes for hashes, _ in parts]), offsets(sizes))
