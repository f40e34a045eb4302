"""The stated rate of false alarms holds: enumerated where that can be done, by many seeded worlds elsewhere."""

import itertools
import math
import random

import pytest

from training.monitoring.signals import (
    MOST,
    Signal,
    differ,
    halves,
    higher,
    length_signal,
    more_often,
    ranks_higher,
    share_signal,
    spread_differs,
    word_signals,
)

WORLDS = 200


def most_alarms(chance, worlds=WORLDS):
    """The count that a true rate of `chance` passes in under one of ten thousand runs of this test."""
    total = 0.0
    for count in range(worlds + 1):
        total += math.comb(worlds, count) * chance**count * (1 - chance) ** (worlds - count)
        if total > 1 - 1e-4:
            return count
    return worlds


def test_fisher_is_the_hypergeometric_tail():
    total = sum(math.comb(8, k) * math.comb(10, 6 - k) for k in range(4, 7)) / math.comb(18, 6)
    assert more_often(4, 8, 2, 10) == pytest.approx(total, abs=1e-12)
    assert more_often(0, 8, 0, 10) == 1.0


def test_p_values_over_all_relabellings_keep_the_level():
    """Whatever three of the seven values are the requests, p <= alpha is as rare as stated."""
    values = [1.0, 2.0, 2.0, 3.0, 5.0, 5.0, 9.0]
    p = []
    for chosen in itertools.combinations(range(7), 3):
        before = [values[i] for i in range(7) if i not in chosen]
        p.append(higher([values[i] for i in chosen], before, seed=1, rounds=499)[1])
    for alpha in (0.1, 0.2, 0.5):
        assert sum(each <= alpha for each in p) / len(p) <= alpha + 0.03, "0.03: 35 relabellings, 499 rounds"


@pytest.mark.parametrize("name", ["differ", "higher", "ranks", "spread"])
def test_permutation_tests_raise_no_more_false_alarms_than_stated(name):
    rng = random.Random(name)
    alarms = 0
    for world in range(WORLDS):
        now, before = ([rng.choice([0, 1, 1, 2, 3, 8]) for _ in range(n)] for n in (40, 55))
        alarms += p_of(name, now, before, world) <= 0.1
    assert 0 < alarms <= most_alarms(0.1), "none at all would measure nothing"


def p_of(name, now, before, seed):
    if name == "ranks":
        return ranks_higher(now, before, seed, rounds=99)
    test = {"differ": differ, "higher": higher, "spread": spread_differs}[name]
    return test(now, before, seed, rounds=99)[1]


def test_each_of_them_sees_a_real_change():
    before = [random.Random(n).randrange(6) for n in range(60)]
    later = [value + 4 for value in before]
    for name in ("differ", "higher", "ranks", "spread"):
        assert p_of(name, later, before, 1) <= 0.01
    assert higher(before, later, 1)[1] > 0.9 and ranks_higher(before, later, 1) > 0.9


WORDS = [f"w{n}" for n in range(60)]


def question(rng: random.Random, words=WORDS):
    return " ".join(rng.choices(words, [1 / (n + 2) for n in range(len(words))], k=rng.randint(4, 9)))


def false_alarms(worlds):
    """How often each signal of words is raised in worlds where requests and rows come from one source."""
    rng = random.Random(7)
    alarms = {"new_words": 0, "topics": 0}
    for world in range(worlds):
        rows, now = ([question(rng) for _ in range(count)] for count in (80, 40))
        for signal in word_signals(now, rows, "train rows", world):
            assert signal.p is not None and signal.false_alarm == 0.01
            alarms[signal.name] += bool(signal.raised)
    return alarms


@pytest.mark.parametrize("worlds", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_the_signals_of_words_keep_the_rate_that_they_state(worlds):
    alarms = false_alarms(worlds)
    assert all(count <= most_alarms(0.01, worlds) for count in alarms.values()), alarms


def test_the_signals_of_words_see_another_vocabulary_and_other_topics():
    rng = random.Random(3)
    rows = [question(rng) for _ in range(120)]
    strange = [question(rng, [f"n{n}" for n in range(60)]) for _ in range(40)]
    found = {signal.name: signal for signal in word_signals(strange, rows, "train rows", 0)}
    assert found["new_words"].raised
    assert found["new_words"].evidence and "requests" in found["new_words"].evidence[0]
    two = [[f"a{n}" for n in range(12)], [f"b{n}" for n in range(12)]]
    rows = [question(rng, two[n % 2]) for n in range(160)]
    one_sided = [question(rng, two[0]) for _ in range(60)]
    topics = next(signal for signal in word_signals(one_sided, rows, "train rows", 0) if signal.name == "topics")
    assert topics.raised and ": " in topics.evidence[0]


def test_the_halves_share_no_row_and_are_drawn_by_seed():
    rows = [str(n) for n in range(2 * MOST + 500)]
    known, fresh = halves(rows, 4)
    assert len(known) == len(fresh) == MOST and not set(known) & set(fresh)
    assert halves(rows, 4) == (known, fresh) != halves(rows, 5)


def test_too_few_of_either_side_is_said_and_no_alarm():
    signal = Signal(name="x", title="X", against="answers")
    few = share_signal(signal, [True] * 29, [False] * 99)
    assert few.raised is None and {"29", "30"} <= set(few.why.split())
    rare = length_signal(signal, [1] * 50, [9] * 29, 0)
    assert rare.raised is None and {"29", "30"} <= set(rare.why.split())
    assert share_signal(signal, [n < 20 for n in range(100)], [n < 5 for n in range(150)]).raised
    assert share_signal(signal, [n < 5 for n in range(100)], [n < 8 for n in range(150)]).raised is False
