"""The bulk hashes against the plain definitions."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tries import tries

from curation.likeness.hashing import BLOCK_CHARS, hash_texts, words_of
from curation.likeness.sets import Sets
from curation.likeness.words import exact, grams, shingles, words

ALPHABET = "ab C1_ .,\n\té\u0301\u0301ßIİKſไทย\u0e31日本カ\u3099ー_٣न\u093f\u200d\U0001f600\U00020000"
text = st.one_of(
    st.text(alphabet=ALPHABET, max_size=30),
    st.text(max_size=20),
    st.lists(st.sampled_from(["a", "b", "cc", "dog", "Dog", "x1", "left", "é"]), max_size=40).map(" ".join),
)
paths = pytest.mark.parametrize("compiled", [False, True], ids=["plain", "numba"])


def sets(found: Sets) -> list[frozenset[int]]:
    return [frozenset(found.hashes[a:b].tolist()) for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)]


def same_partition(hashed: list[frozenset[int]], plain: list[frozenset[str]]) -> None:
    """Each hashed set has the size of the plain one, and any two share as many members."""
    for i, (h, p) in enumerate(zip(hashed, plain, strict=True)):
        assert len(h) == len(p)
        for h2, p2 in zip(hashed[i + 1 :], plain[i + 1 :], strict=True):
            assert len(h & h2) == len(p & p2)


@paths
@tries(400)
@example(texts=["one two three four five"])
@given(texts=st.lists(text, max_size=8))
def test_hashes_are_the_sets_of_the_definition(compiled: bool, texts: list[str]) -> None:
    found = hash_texts(texts, compiled=compiled)
    cut = words_of(texts, compiled=compiled)
    assert cut.sizes.tolist() == [len(words(t)) for t in texts]
    np.testing.assert_array_equal(cut.hashes, words_of(texts, compiled=not compiled).hashes)
    same_partition(sets(found.shingles), [shingles(t) for t in texts])
    same_partition(sets(found.grams), [grams(t) for t in texts])
    for i, one in enumerate(texts):
        for j, other in enumerate(texts):
            assert (found.exact[i] == found.exact[j]) == exact(one, other)


def test_a_line_longer_than_a_block_takes_memory_of_its_own_size() -> None:
    rng = np.random.default_rng(8)
    words = np.array([f"w{k}" for k in range(50_000)], object)
    line = " ".join(words[rng.integers(0, 50_000, 200_000)].tolist())
    tracemalloc.start()
    one = hash_texts([line, "another one"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(line) > BLOCK_CHARS
    assert peak < 40 * len(line)
    two = hash_texts([line, "another one"], compiled=True)
    np.testing.assert_array_equal(np.sort(one.shingles.hashes), np.sort(two.shingles.hashes))
    assert len({*one.exact.tolist()}) == len({*two.exact.tolist()}) == 2
