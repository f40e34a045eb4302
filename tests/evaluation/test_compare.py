"""The paired interval and p-values against enumerated truths and against scipy and numpy, to the last digit."""

import math
import random
from itertools import product

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.verdict.compare import MANY_FLIPS, compare, items_to_settle, minimum_detectable, p_value
from evaluation.verdict.intervals import TOLERANCE, estimate, is_binary, retraining_of


def trinomial(n, win, lose):
    """Every (wins, losses) of n items with its probability."""
    for w in range(n + 1):
        for lost in range(n + 1 - w):
            same = n - w - lost
            ways = math.comb(n, w) * math.comb(n - w, lost)
            yield w, lost, ways * win**w * lose**lost * (1 - win - lose) ** same


@pytest.mark.parametrize(
    ("win", "lose"), [(0.05, 0.0), (0.1, 0.05), (0.3, 0.25), (0.5, 0.45), (0.02, 0.02), (0.9, 0.0)]
)
def test_enumerated_coverage_and_false_ship_for_small_sets(win, lose):
    n, truth, covered, shipped = 30, win - lose, 0.0, 0.0
    for w, lost, chance in trinomial(n, win, lose):
        low, high = estimate([1.0] * w + [-1.0] * lost + [0.0] * (n - w - lost)).interval()
        covered += chance * (low <= truth <= high)
        shipped += chance * (low > truth)
    assert covered >= 0.94
    assert shipped <= 0.03


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=40))
def test_mcnemar_equals_the_binomial_test(differences):
    from scipy.stats import binomtest

    wins, moved = differences.count(1.0), sum(d != 0 for d in differences)
    expected = binomtest(wins, moved).pvalue if moved else 1.0
    assert p_value(differences) == pytest.approx(expected)


def test_sign_flip_equals_all_sign_patterns_and_the_drawn_one_is_near():
    differences = [0.3, 0.2, -0.1, 0.45, 0.05, 0.0, -0.2, 0.6]
    moved = [d for d in differences if d]
    seen = abs(sum(moved))
    sums = [abs(sum(s * d for s, d in zip(signs, moved, strict=True))) for signs in product((1, -1), repeat=7)]
    exact = sum(total >= seen - 1e-9 for total in sums) / 2**7
    assert p_value(differences) == pytest.approx(exact)
    longer = moved * 2 + [0.11]
    sums = [abs(sum(s * d for s, d in zip(signs, longer, strict=True))) for signs in product((1, -1), repeat=15)]
    exact = sum(total >= abs(sum(longer)) - 1e-9 for total in sums) / 2**15
    assert p_value(longer) == pytest.approx(exact, abs=0.012)


def test_many_differences_agree_with_drawn_flips():
    draw = random.Random(4)
    fewer = [draw.uniform(-0.5, 0.5) for _ in range(MANY_FLIPS - 1)]
    assert 0.1 < p_value(fewer) < 0.9, "where a wrong factor shows"
    assert p_value([*fewer, 1e-6]) == pytest.approx(p_value(fewer), abs=0.012)


def test_no_gain_can_ship_on_three_items():
    assert minimum_detectable(3, 0.0, 0.05, discordant=0.3) is None


def pooled(every):
    """The interval over items and trainings: `every[k][i]` is the difference of training k on item i."""
    return estimate([sum(each) / len(every) for each in zip(*every, strict=True)]).interval(again=retraining_of(every))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(2, 20), st.integers(0, 1000))
def test_items_and_trainings_are_added_as_satterthwaite_says(trainings, items, seed):
    drawn = np.random.default_rng(seed).choice([-1.0, 0.0, 0.5, 1.0], (trainings, items))
    padded = np.append(drawn.mean(axis=0), [1.0, -1.0])
    a, b = padded.var(ddof=1) / len(padded), drawn.mean(axis=1).var(ddof=1) / trainings
    degrees = (a + b) ** 2 / (a**2 / (len(padded) - 1) + b**2 / (trainings - 1))
    half = scipy.stats.t.ppf(0.975, degrees) * math.sqrt(a + b)
    wanted = max(-1.0, padded.mean() - half), min(1.0, padded.mean() + half)
    assert pooled([list(row) for row in drawn]) == pytest.approx(wanted, abs=1e-9)


def around(mean, spread, count):
    """An even number of differences with exactly this mean and deviation."""
    return [mean + spread, mean - spread] * (count // 2)


@pytest.mark.parametrize(("mean", "spread"), [(0.12, 0.4), (-0.05, 0.3), (0.2, 0.0), (0.03, 0.1)])
def test_the_number_that_settles_is_the_smallest(mean, spread):
    margin = 0.05
    found = compare([0.0] * 20, around(mean, spread, 20))
    count = items_to_settle(found, margin)
    assert count is not None

    def settled(units):
        low, high = estimate(around(mean, spread, units)).interval()
        return low > margin or high < margin

    assert settled(count + count % 2) and not settled((count - 1) // 2 * 2)
    assert items_to_settle(compare([0.0] * 20, [margin] * 20), margin) is None


@pytest.mark.parametrize(("units", "spread", "margin"), [(40, 0.0, 0.05), (100, 0.25, 0.05), (300, 0.1, 0.0)])
def test_the_gain_that_could_be_seen_stands_where_the_interval_leaves_the_margin(units, spread, margin):
    gain = minimum_detectable(units, spread, margin)
    assert gain is not None
    unlucky = scipy.stats.norm.ppf(0.8) * math.sqrt(units) * spread / (units + 2)
    assert estimate(around(gain, spread, units)).interval()[0] - unlucky == pytest.approx(margin, abs=1e-6)


@pytest.mark.parametrize(("units", "discordant", "margin"), [(200, 0.3, 0.05), (60, 0.05, 0.0), (1000, 0.02, 0.05)])
def test_of_counted_scores_the_spread_follows_the_gain(units, discordant, margin):
    """So many items differ as the gain needs at least: the spread is that of +1, 0 and -1 with that mean."""
    gain = minimum_detectable(units, 9.0, margin, discordant=discordant)
    assert gain is not None
    differ = max(discordant, gain)
    each = {1.0: (differ + gain) / 2, -1.0: (differ - gain) / 2, 0.0: 1 - differ}
    spread = math.sqrt(sum(share * (value - gain) ** 2 for value, share in each.items()))
    unlucky = scipy.stats.norm.ppf(0.8) * math.sqrt(units) * spread / (units + 2)
    assert estimate(around(gain, spread, units)).interval()[0] - unlucky == pytest.approx(margin, abs=1e-6)


def test_drawn_flips_of_which_none_is_as_extreme_count_the_one_that_was_seen():
    assert p_value([0.5] * 40) == pytest.approx(1 / 20_001)


def test_differences_no_larger_than_rounding_are_none():
    assert p_value([TOLERANCE] * 9) == 1.0
    assert is_binary([TOLERANCE, 1.0]) and not is_binary([2 * TOLERANCE, 1.0])


@pytest.mark.parametrize(("wins", "losses"), [(7, 3), (12, 8), (30, 20)])
def test_flips_that_come_to_the_same_sum_count_as_extreme(wins, losses):
    wanted = scipy.stats.binomtest(wins, wins + losses).pvalue
    assert p_value([0.5] * wins + [-0.5] * losses) == pytest.approx(wanted, abs=0.012)
