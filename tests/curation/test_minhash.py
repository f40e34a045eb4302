"""Signatures against datasketch's own; joins against all pairs."""

from __future__ import annotations

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tries import tries

from curation.likeness.join import BANDS, ROWS, bands_of, components, jaccard_of, near_sets
from curation.likeness.sets import Sets, offsets

paths = pytest.mark.parametrize("compiled", [False, True], ids=["plain", "numba"])
some_sets = st.lists(st.frozensets(st.integers(0, 40), max_size=14), max_size=14)


def to_sets(members: list[frozenset[int]]) -> Sets:
    hashes = [h for m in members for h in sorted(m)]
    return Sets(np.array(hashes, np.uint32), offsets(np.array([len(m) for m in members], np.int64)))


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def signed(member: frozenset[int]) -> datasketch.MinHash:
    theirs = datasketch.MinHash(num_perm=128, seed=1, hashfunc=int)
    theirs.update_batch(member)
    return theirs


def test_bands_are_those_of_datasketchs_signatures() -> None:
    rng = np.random.default_rng(2)
    base = [rng.integers(0, 1 << 32, 60) for _ in range(20)]
    members = [frozenset(each[: 60 - cut].tolist()) for each in base for cut in (0, 3, 9, 20)]
    nodes = rng.permutation(len(members))[:60]
    keys = bands_of(to_sets(members), nodes).hashes.reshape(-1, BANDS)
    bands = np.array([signed(members[node]).hashvalues[: BANDS * ROWS].reshape(BANDS, ROWS) for node in nodes])
    same = (bands[:, None] == bands[None]).all(axis=3)
    shared = [[len({*one} & {*other}) for other in keys.tolist()] for one in keys.tolist()]
    np.testing.assert_array_equal(shared, same.sum(axis=2))
    assert same.sum() > len(nodes) * BANDS and (np.diff(keys.astype(np.int64)) >= 0).all()


@paths
@tries(300)
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


@given(members=some_sets)
@settings(max_examples=100, deadline=None)
def test_jaccard_of_pairs(members: list[frozenset[int]]) -> None:
    sets = to_sets(members)
    one, other = np.meshgrid(np.arange(len(members)), np.arange(len(members)))
    found = jaccard_of(sets, sets, one.ravel(), other.ravel())
    expected = [jaccard(members[a], members[b]) for a, b in zip(one.ravel(), other.ravel(), strict=True)]
    assert found.tolist() == pytest.approx(expected)


def test_components_name_their_smallest_node() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.integers(0, 3_000, (2, 1_000))
    found = components(3_000, one, other)
    assert (found[one] == found[other]).all() and (found[found] == found).all() and (found <= np.arange(3_000)).all()
    steps = dict.fromkeys(range(3_000), ()) | {n: [*other[one == n], *one[other == n]] for n in {*one, *other}}
    for node in range(0, 3_000, 50):
        seen, layer = {node}, [node]
        while layer:
            layer = [n for m in layer for n in steps[m] if n not in seen and not seen.add(n)]
        assert found[node] == min(seen)
    assert components(4, one[:0], other[:0]).tolist() == [0, 1, 2, 3]
