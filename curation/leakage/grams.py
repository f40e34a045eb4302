"""Word n-grams of many texts at once, as 64-bit hashes in the order of the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation.codes import encoded, polynomials
from curation.sets import I64, U64, mix, offsets
from curation.shingling import SHINGLE_BASE, blocks, bytes_key, word_hashes

U = np.uint64
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

    def sequence_keys(self) -> U64:
        """A key of each text's words in their order: equal for the same words, 0 for a text without a word."""
        count = self.counts
        total = polynomials(self.hashes, self.starts[:-1], self.starts[1:]) if len(self.hashes) else count.astype(U)
        return np.where(count > 0, mix(total + count.astype(U)), U(0))

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


def with_bytes(keys: U64, texts: Sequence[str]) -> U64:
    """Sequence keys of the texts; of a text without a word the key of its bytes instead."""
    for place in np.flatnonzero(keys == 0).tolist():
        keys[place] = bytes_key(texts[place])
    return keys


def words_of(texts: Sequence[str], *, compiled: bool = False) -> Words:
    """The words of all texts, hashed."""
    if compiled:
        from curation.kernels import words_of_encoded

        parts = [words_of_encoded(encoded(block)) for block in blocks(texts)]
    else:
        parts = [word_hashes(block) for block in blocks(texts)]
    sizes = np.concatenate([np.diff(starts) for _, starts in parts])
    return Words(np.concatenate([hashes for hashes, _ in parts]), offsets(sizes))
