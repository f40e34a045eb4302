"""The paired interval and p-values against enumerated truths and against scipy and numpy, to the last digit.

Where items share a cluster, all figures speak of the mean over items, however unequal the clusters are.
"""

import math
import random

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.verdict.compare import MANY_FLIPS, compare, items_to_settle, minimum_detectable, p_value, power_of
from evaluation.verdict.intervals import (
    TOLERANCE,
    Retraining,
    estimate,
    is_binary,
    retraining_of,
    score_interval,
    wilson,
)


@pytest.mark.parametrize(
    ("win", "lose"), [(0.05, 0.0), (0.1, 0.05), (0.3, 0.25), (0.5, 0.45), (0.02, 0.02), (0.9, 0.0)]
)
def test_enumerated_coverage_and_false_ship_for_small_sets(win, lose):
    n, truth, covered, shipped = 30, win - lose, 0.0, 0.0
    for counts in ((won, lost, n - won - lost) for won in range(n + 1) for lost in range(n + 1 - won)):
        chance = scipy.stats.multinomial.pmf(counts, n, (win, lose, 1 - win - lose))
        low, high = estimate(np.repeat([1.0, -1.0, 0.0], counts).tolist()).interval()
        covered += chance * (low <= truth <= high)
        shipped += chance * (low > truth)
    assert covered >= 0.94
    assert shipped <= 0.03


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=40))
def test_mcnemar_equals_the_binomial_test(differences):
    wins, moved = differences.count(1.0), sum(d != 0 for d in differences)
    expected = scipy.stats.binomtest(wins, moved).pvalue if moved else 1.0
    assert p_value(differences) == pytest.approx(expected)


def test_sign_flip_equals_all_sign_patterns_and_the_drawn_one_is_near():
    differences = [0.3, 0.2, -0.1, 0.45, 0.05, 0.0, -0.2, 0.6]
    for some, off in ((differences, 1e-9), ([*differences * 2, 0.11], 0.012)):
        exact = scipy.stats.permutation_test((some,), np.sum, permutation_type="samples", n_resamples=np.inf)
        assert p_value(some) == pytest.approx(exact.pvalue, abs=off)


def test_drawn_flips_agree_with_the_exact_ones():
    """Those of the same sum are as extreme, and the flips that were seen count as drawn."""
    draw = random.Random(4)
    fewer = [draw.uniform(-0.5, 0.5) for _ in range(MANY_FLIPS - 1)]
    assert 0.1 < p_value(fewer) < 0.9, "where a wrong factor shows"
    assert p_value([*fewer, 1e-6]) == pytest.approx(p_value(fewer), abs=0.012)
    for wins, losses in ((7, 3), (12, 8), (30, 20)):
        wanted = scipy.stats.binomtest(wins, wins + losses).pvalue
        assert p_value([0.5] * wins + [-0.5] * losses) == pytest.approx(wanted, abs=0.012)
    assert p_value([0.5] * 40) == pytest.approx(1 / 20_001), "none as extreme was drawn"


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


@pytest.mark.parametrize(("trainings", "scatter"), [(3, 0.01), (3, 0.04), (5, 0.03)])
def test_the_gain_that_several_trainings_can_show_ships_about_four_times_in_five(trainings, scatter):
    """Drawn anew each time: the items' differences, and each training's own mean around the true gain."""
    n, spread, margin, draw = 300, 0.3, 0.05, np.random.default_rng(7)
    gain = minimum_detectable(n, spread, margin, again=Retraining(trainings, scatter))
    assert gain > minimum_detectable(n, spread, margin) + 0.002
    shipped = 0
    for _ in range(800):
        items = draw.normal(0.0, spread, n)
        every = [list(items + gain + draw.normal(0.0, scatter)) for _ in range(trainings)]
        shipped += pooled(every)[0] > margin
    assert 0.72 <= shipped / 800 <= 0.88


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
    assert minimum_detectable(3, 0.0, margin, discordant=0.3) is None, "no gain can ship on three items"


@pytest.mark.parametrize(
    ("units", "spread", "margin", "discordant"),
    [
        (40, 0.0, 0.05, None),
        (100, 0.25, 0.05, None),
        (300, 0.1, 0.0, None),
        (200, 9.0, 0.05, 0.3),
        (60, 9.0, 0.0, 0.05),
        (1000, 9.0, 0.05, 0.02),
    ],
)
def test_the_gain_that_could_be_seen_stands_where_the_interval_leaves_the_margin(units, spread, margin, discordant):
    """Of counted scores so many items differ as the gain needs at least: the spread is of +1, 0, -1 with that mean."""
    gain = minimum_detectable(units, spread, margin, discordant=discordant)
    assert gain is not None
    spread = spread if discordant is None else math.sqrt(max(discordant, gain) - gain**2)
    unlucky = scipy.stats.norm.ppf(0.8) * math.sqrt(units) * spread / (units + 2)
    assert estimate(around(gain, spread, units)).interval()[0] - unlucky == pytest.approx(margin, abs=1e-6)


def test_differences_no_larger_than_rounding_are_none():
    assert p_value([TOLERANCE] * 9) == 1.0
    assert is_binary([TOLERANCE, 1.0]) and not is_binary([2 * TOLERANCE, 1.0])


def test_the_p_value_flips_whole_clusters_and_their_sums_stay_those_of_the_items():
    """Three clusters won 3 items, one lost 2: of 16 sign patterns 4 come to 7 or more."""
    found = compare([0.0] * 9 + [1.0] * 2, [1.0] * 9 + [0.0] * 2, [*"aaabbbcccdd"])
    assert found.p_value == 4 / 16
    assert compare([0.0] * 50, [1.0] * 50, ["a"] * 50).p_value == 1.0


def test_an_arms_own_interval_holds_its_score_and_none_above_one():
    scores, names = [0.0] * 150 + [1.0] * 20 + [0.5] * 10, ["big"] * 140 + [str(n) for n in range(40)]
    low, high = score_interval(scores, clusters=names)
    assert 0 <= low <= sum(scores) / len(scores) <= high and high - low > 0.3
    assert score_interval([1.0] * 40, clusters=[str(n // 2) for n in range(40)])[1] == 1.0
    single = [str(n) for n in range(30)]
    for values in ([0.0, 1.0, 1.0] * 10, [0.25, 0.5, 1.0] * 10):
        assert score_interval(values, clusters=single) == score_interval(values)
    reference = scipy.stats.binomtest(257, 300).proportion_ci(method="wilson")
    assert wilson(257, 300) == pytest.approx((reference.low, reference.high))
    assert wilson(0, 5)[0] == 0.0 and wilson(5, 5)[1] == 1.0


def test_the_power_before_a_run_goes_by_the_weight_of_the_groups():
    equal = power_of(120, 0.05, groups=[str(n // 4) for n in range(120)])
    unequal = power_of(120, 0.05, groups=["big"] * 30 + [str(n // 2) for n in range(90)])
    one_big = power_of(120, 0.05, groups=["big"] * 60 + [str(n) for n in range(60)])
    assert (equal.groups, equal.effective) == (30, 30) and equal.seen[0].ships == power_of(30, 0.05).seen[0].ships
    assert unequal.groups == 46 and unequal.effective == pytest.approx(120**2 / (900 + 180))
    assert unequal.seen[0].told is None or unequal.seen[0].told > equal.seen[0].told
    alike = power_of(13, 0.05).seen[3]
    assert alike.told and (unequal.seen[3].told is None or unequal.seen[3].told > 1.2 * alike.told)
    assert one_big.few and one_big.seen[0].told is None


@pytest.mark.parametrize("sizes", [[12] * 12, [30, 20, *[6] * 14], [3] * 40])
def test_as_many_clusters_as_there_are_settle_what_is_just_settled(sizes):
    draw = random.Random(len(sizes))
    clusters = [name for name, size in enumerate(sizes) for _ in range(size)]
    gains = [draw.gauss(0.1 + 0.1 * (name % 3), 0.3) for name in clusters]
    found = compare([0.0] * len(gains), gains, clusters)
    assert items_to_settle(found, found.low - 0.002) <= len(sizes) < items_to_settle(found, found.low + 0.002)
