import math
import random

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, hypergeom
from sklearn.metrics import cohen_kappa_score

from curation.review.agreement import cohen_kappa, krippendorff_alpha, lower_bound, measure
from curation.review.progress import at_most, most_faulty, pass_chance
from curation.review.queue import draw
from curation.review.ruling import settle as outcome_of
from curation.store.records import Vote

LABELS = ("approve", "edit", "reject")


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=2, max_size=60))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]):
    expected = cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs])
    found = cohen_kappa(pairs)
    assert found == pytest.approx(expected) if found is not None else math.isnan(expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_alpha_is_that_of_the_krippendorff_package(seed: int):
    rng = random.Random(seed)
    table = [[rng.choice([1, 2, 3, 4, None]) for _ in range(12)] for _ in range(4)]
    units = [
        {str(rater): str(row[item]) for rater, row in enumerate(table) if row[item] is not None} for item in range(12)
    ]
    values = np.array([[np.nan if v is None else v for v in row] for row in table], dtype=float)
    found = krippendorff_alpha(units)
    if found is not None:
        assert found == pytest.approx(krippendorff.alpha(reliability_data=values, level_of_measurement="nominal"))


def test_undefined_is_none_and_few_rows_carry_no_interval():
    same = [{"a": "approve", "b": "approve"}] * 50
    found = measure(same)
    assert (found.value, found.low, found.raw) == (None, None, 1.0) and found.raw_low == pytest.approx(0.05 ** (1 / 50))
    few = measure([{"a": "approve", "b": "reject"}, {"a": "reject", "b": "reject"}] * 10)
    assert few.value is not None and few.low is None
    assert few.raw == 0.5 and (few.raw_low, few.rejects_low) == (None, None), "under 40 there is no bound of any kind"
    many = measure(
        [{"a": "approve", "b": "approve"}] * 30
        + [{"a": "reject", "b": "reject"}] * 15
        + [{"a": "edit", "b": "reject"}] * 5
    )
    assert many.low is not None and many.high is not None and many.low < many.value < many.high  # type: ignore[operator]
    assert measure([]).units == 0 and lower_bound(0, 0) is None and lower_bound(0, 9) == 0.0
    assert lower_bound(724, 800) == pytest.approx(binomtest(724, 800).proportion_ci(0.9, "exact").low)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 400), st.data())
def test_the_bound_is_that_of_scipy(population: int, data):
    size = data.draw(st.integers(1, population))
    faulty = data.draw(st.integers(0, population))
    found = data.draw(st.integers(0, size))
    assert at_most(population, faulty, size, found) == pytest.approx(
        hypergeom.cdf(found, population, faulty, size), abs=1e-9
    )
    most = most_faulty(population, size, found)
    assert hypergeom.cdf(found, population, most, size) > 0.05 - 1e-9 or most == found
    if most < population - (size - found):
        assert hypergeom.cdf(found, population, most + 1, size) <= 0.05 + 1e-9


@pytest.mark.parametrize("population", range(10, 200, 10))
def test_a_share_that_makes_whole_rows_is_not_rounded_up(population: int):
    """0.1 * 30 is a little over 3 in binary."""
    assert pass_chance(population, 5, 0, 0.1) == at_most(population, population // 10, 5, 0)
    assert pass_chance(population + 1, 5, 0, 0.1) == at_most(population + 1, population // 10 + 1, 5, 0)


def test_a_sample_does_not_depend_on_the_order_of_rows():
    keys = [f"row {n}" for n in range(100)]
    shuffled = random.Random(1).sample(keys, 100)
    assert {keys[i] for i in draw(7, keys, 10)} == {shuffled[i] for i in draw(7, shuffled, 10)}
    assert draw(7, keys, 10) != draw(8, keys, 10)


@pytest.mark.parametrize(
    ("votes", "needed", "state", "flagged"),
    [
        ([], 1, "pending", False),
        (["skip"], 1, "skipped", False),
        (["unsure"], 1, "unsure", False),
        (["unsure", "reject"], 1, "rejected", False),
        (["approve"], 2, "pending", False),
        (["approve", "approve"], 2, "approved", False),
        (["approve", "reject"], 2, "unsure", True),
        (["approve", "reject", "reject"], 2, "rejected", False),
        (["edit", "edit"], 2, "edited", False),
        (["unsure", "approve"], 2, "approved", False),
        (["approve", "skip"], 2, "skipped", False),
        (["approve", "reject", "unsure"], 2, "unsure", True),
        (["approve", "reject", "unsure", "approve"], 2, "approved", False),
        (["approve", "reject", "unsure", "unsure"], 3, "unsure", True),
        (["approve", "unsure"], 2, "approved", False),
    ],
)
def test_what_votes_come_to(votes: list[str], needed: int, state: str, flagged: bool):
    cast = [Vote(n, n, verdict, "new" if verdict == "edit" else None) for n, verdict in enumerate(votes, 1)]
    found = outcome_of(cast, "old", needed, accept_automatic=False)
    assert (found.state, found.flagged) == (state, flagged)
