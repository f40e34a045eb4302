"""Items that share a cluster: all figures speak of the mean over items, however unequal the clusters are."""

import json
import random

import pytest

from evaluation.verdict.compare import compare, items_to_settle, power_of
from evaluation.verdict.intervals import score_interval
from evaluation.verdict.paired_scores import read_scores
from evaluation.verdict.rule import rule
from rung.text.verdict_text import lines


def rows(*groups):
    """`(clusters, items each, baseline, tuned)`: scores of items that are all alike, as lines of a score file."""
    made = []
    for number, (count, each, baseline, tuned) in enumerate(groups):
        for cluster in range(count):
            for item in range(each):
                name = f"{number}.{cluster}"
                made.append({"id": f"{name}.{item}", "baseline": baseline, "tuned": tuned, "cluster": name})
    return made


def verdict(made):
    return rule(read_scores("s.jsonl", "\n".join(map(json.dumps, made)).encode()))


def test_the_p_value_flips_whole_clusters_and_their_sums_stay_those_of_the_items():
    """Three clusters won 3 items, one lost 2: of 16 sign patterns 4 come to 7 or more."""
    found = compare([0.0] * 9 + [1.0] * 2, [1.0] * 9 + [0.0] * 2, [*"aaabbbcccdd"])
    assert found.p_value == 4 / 16
    assert compare([0.0] * 50, [1.0] * 50, ["a"] * 50).p_value == 1.0


def test_few_clusters_and_unequal_ones_say_why_and_how_many_would_do():
    few, unequal = verdict(rows((9, 10, 0, 1))), verdict(rows((1, 100, 0, 1), (50, 1, 0, 1)))
    assert verdict(rows((10, 30, 0, 1))).verdict == "ship"
    assert few.items_to_settle == 10 and few.minimum_detectable is None
    assert unequal.items_to_settle > 51 and unequal.minimum_detectable is None
    assert unequal.effective_clusters == pytest.approx(150**2 / (100**2 + 50))
    assert (unequal.low, unequal.high, unequal.p_value) == (-1, 1, 1)
    assert "2.2 " in lines(unequal)[1] and "9 clusters" in lines(few)[1]


def test_an_arms_own_interval_holds_its_score_and_none_above_one():
    scores, names = [0.0] * 150 + [1.0] * 20 + [0.5] * 10, ["big"] * 140 + [str(n) for n in range(40)]
    low, high = score_interval(scores, clusters=names)
    assert 0 <= low <= sum(scores) / len(scores) <= high and high - low > 0.3
    assert score_interval([1.0] * 40, clusters=[str(n // 2) for n in range(40)])[1] == 1.0
    single = [str(n) for n in range(30)]
    for values in ([0.0, 1.0, 1.0] * 10, [0.25, 0.5, 1.0] * 10):
        assert score_interval(values, clusters=single) == score_interval(values)


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
