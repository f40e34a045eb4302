"""Signatures against datasketch's own; joins against all pairs."""

from __future__ import annotations

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.join import components, jaccard_of, near_sets
from curation.minhash import band_keys, signatures
from curation.sets import Sets, offsets

paths = pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "numba"])
some_sets = st.lists(st.frozensets(st.integers(0, 40), max_size=14), max_size=14)


def to_sets(members: list[frozenset[int]]) -> Sets:
    hashes = [h for m in members for h in sorted(m)]
    return Sets(np.array(hashes, np.uint32), offsets(np.array([len(m) for m in members], np.int64)))


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


@paths
def test_signatures_are_datasketchs_bit_for_bit(compiled: bool) -> None:
    rng = np.random.default_rng(1)
    members = [frozenset(rng.integers(0, 1 << 32, rng.integers(0, 200)).tolist()) for _ in range(60)]
    ours = signatures(to_sets(members), compiled=compiled)
    for row, member in zip(ours, members, strict=True):
        theirs = datasketch.MinHash(num_perm=128, seed=1, hashfunc=int)
        theirs.update_batch(member)
        np.testing.assert_array_equal(row, theirs.hashvalues)


def test_bands_are_the_same_bits_compiled() -> None:
    rng = np.random.default_rng(2)
    sets = to_sets([frozenset(rng.integers(0, 1 << 32, rng.integers(0, 90)).tolist()) for _ in range(200)])
    nodes = rng.permutation(200)[:150]
    np.testing.assert_array_equal(band_keys(sets, nodes), band_keys(sets, nodes, compiled=True))


@paths
@settings(max_examples=300, deadline=None)
@given(members=some_sets, threshold=st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_exact_join_finds_all_pairs_and_no_other(
    compiled: bool, members: list[frozenset[int]], threshold: float
) -> None:
    found = near_sets(to_sets(members), np.arange(len(members)), threshold, "exact", compiled=compiled)
    pairs = {(a, b): s for a, b, s in zip(found.one.tolist(), found.other.tolist(), found.score.tolist(), strict=True)}
    expected = {
        (i, j): jaccard(members[i], members[j])
        for j in range(len(members))
        for i in range(j)
        if jaccard(members[i], members[j]) >= threshold
    }
    assert pairs == pytest.approx(expected)


@paths
def test_minhash_finds_near_pairs_and_verifies_them(compiled: bool) -> None:
    rng = np.random.default_rng(3)
    members = []
    for _ in range(400):
        base = rng.integers(0, 1 << 32, 60)
        members += [frozenset(base.tolist()), frozenset([*base[: rng.integers(30, 60)].tolist(), 7])]
    sets = to_sets(members)
    nodes = np.arange(len(sets))
    exact = near_sets(sets, nodes, 0.8, "exact")
    found = near_sets(sets, nodes, 0.8, "minhash", compiled=compiled)
    assert set(zip(found.one, found.other, strict=True)) <= set(zip(exact.one, exact.other, strict=True))
    assert len(found) >= 0.99 * len(exact) > 100


@paths
@given(members=some_sets)
@settings(max_examples=100, deadline=None)
def test_jaccard_of_pairs(compiled: bool, members: list[frozenset[int]]) -> None:
    sets = to_sets(members)
    one, other = np.meshgrid(np.arange(len(members)), np.arange(len(members)))
    found = jaccard_of(sets, sets, one.ravel(), other.ravel(), compiled=compiled)
    expected = [jaccard(members[a], members[b]) for a, b in zip(one.ravel(), other.ravel(), strict=True)]
    assert found.tolist() == pytest.approx(expected)


def test_components_by_either_way() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.integers(0, 30_000, (2, 25_000))
    big = components(30_000, one, other)
    small = components(30_000, one[:20_000], other[:20_000])
    assert (big[one] == big[other]).all() and (small <= np.arange(30_000)).all()
    again = components(30_000, np.concatenate([big, big]), np.concatenate([np.arange(30_000)] * 2))
    np.testing.assert_array_equal(big, again)
