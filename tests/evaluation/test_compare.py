"""The paired interval and p-values against brute force: enumerated or simulated truths, never a copied figure."""

import math
import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.verdict.compare import compare, items_to_settle, mcnemar, minimum_detectable, p_value
from evaluation.verdict.intervals import estimate


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


def test_graded_scores_with_ties_and_rare_losses_are_covered():
    draw = random.Random(7)
    covered = 0
    for _ in range(2000):
        sample = [0.0 if draw.random() < 0.6 else draw.betavariate(2, 8) - 0.1 * draw.random() for _ in range(40)]
        low, high = estimate(sample).interval()
        covered += low <= 0.4 * (0.2 - 0.05) <= high
    assert covered / 2000 >= 0.935


def test_three_ties_prove_nothing():
    low, high = estimate([0.0, 0.0, 0.0]).interval()
    assert low < -0.5 and high > 0.5


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=40))
def test_mcnemar_equals_the_binomial_test(differences):
    from scipy.stats import binomtest

    wins, moved = differences.count(1.0), sum(d != 0 for d in differences)
    expected = binomtest(wins, moved).pvalue if moved else 1.0
    assert p_value(differences) == pytest.approx(expected)


def test_large_mcnemar_equals_the_exact_sum():
    tail = sum(math.comb(1200, k) for k in range(561))
    assert mcnemar(560, 1200) == pytest.approx(float(2 * tail / 2**1200))


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
    from evaluation.verdict.compare import MANY_FLIPS, _flip_random

    draw = random.Random(4)
    differences = [draw.uniform(-0.5, 0.5) for _ in range(MANY_FLIPS)]
    assert 0.1 < p_value(differences) < 0.9, "where a wrong factor shows"
    assert p_value(differences) == pytest.approx(_flip_random(differences), abs=0.012)


def test_the_minimum_detectable_gain_ships_about_four_times_in_five():
    n, lose, margin = 200, 0.06, 0.05
    gain = minimum_detectable(n, 0.0, margin, discordant=0.3)
    draw, shipped = random.Random(5), 0
    win, lose = (0.3 + gain) / 2, (0.3 - gain) / 2
    for _ in range(2000):
        sample = draw.choices([1.0, -1.0, 0.0], [win, lose, 1 - win - lose], k=n)
        shipped += estimate(sample).interval()[0] > margin
    assert 0.75 <= shipped / 2000 <= 0.86


def test_no_gain_can_ship_on_three_items():
    assert minimum_detectable(3, 0.0, 0.05, discordant=0.3) is None


@pytest.mark.parametrize("pattern", [[1.0] * 20 + [-1.0] * 10 + [0.0] * 70, [0.0] * 20])
def test_that_many_items_would_settle_it(pattern):
    result = compare([0.0] * len(pattern), pattern)
    n = items_to_settle(result, 0.05)
    units = [pattern[i % len(pattern)] for i in range(0, (n // len(pattern) + 1) * len(pattern))]
    low, high = estimate(units).interval()
    assert low > 0.05 or high < 0.05
    assert items_to_settle(compare([0.0] * 20, [0.05] * 20), 0.05) is None
