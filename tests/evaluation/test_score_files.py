"""`rung verdict --scores` on many shapes of files, held against a second reading of the contract, written apart."""

import json
import math
import random

import numpy as np
import pytest
from scipy import stats

from evaluation.verdict.paired_scores import read_scores
from evaluation.verdict.rule import ShipRule, VerdictEvidence, rule


def clipped(value):
    return min(1.0, max(0.0, value))


SHAPES = {
    "binary": lambda c, gain: (float(c.random() < 0.5), float(c.random() < 0.5 + gain)),
    "one way": lambda c, gain: (0.0, float(c.random() < abs(gain))),
    "ties": lambda c, gain: (1.0, 1.0),
    "all right": lambda c, gain: (float(c.random() < 0.3), 1.0),
    "graded": lambda c, gain: (0.5, clipped(0.5 + gain + c.gauss(0, 0.1))),
    "rare losses": lambda c, gain: (0.9, 0.0 if c.random() < 0.02 else clipped(0.9 + abs(gain))),
    "thirds": lambda c, gain: (c.choice([0, 1 / 3, 2 / 3, 1]), c.choice([0, 1 / 3, 2 / 3, 1])),
    "ints": lambda c, gain: (c.randint(0, 1), c.randint(0, 1)),
}
"""From dice and a true gain to the scores of one arm and of the tuned model on an item."""


def drawn(shape, n, chance):
    gain = chance.choice([-0.1, 0.0, 0.05, 0.1, 0.25])
    return [SHAPES[shape](chance, gain) for _ in range(n)]


def a_file(shape, n, arms, clusters, chance):
    """A score file as somebody else's program may write it: other keys, ids of any kind, in any order."""
    pairs = {arm: drawn(shape, n, chance) for arm in arms}
    tuned = [t for _, t in pairs[arms[0]]]
    lines = []
    for i in range(n):
        scores = {arm: pairs[arm][i][0] for arm in arms}
        row = {"note": "kept out", "tuned": tuned[i], "id": chance.choice([i, f"item-{i}"])}
        row["baseline"] = scores if len(arms) > 1 else scores[arms[0]]
        if clusters:
            row["cluster"] = f"c{int(clusters * chance.random() ** 2)}"
        lines.append(row)
    return lines


def over_clusters(each, named):
    """The mean over items with its interval, by matrices: the jackknife over clusters and two of the effective mean
    size, Student's t with Bell and McCaffrey's degrees of freedom at the correlation that the items show.
    """
    each, names = np.asarray(each), list(dict.fromkeys(named))
    member = np.array([[name == other for other in named] for name in names], dtype=float)
    sums, sizes, n = member @ each, member.sum(axis=1), len(each)
    effective = n**2 / (sizes**2).sum()
    all_sums = np.append(sums, [n / effective, -n / effective])
    all_sizes = np.append(sizes, [n / effective] * 2)
    count, weight = len(all_sizes), all_sizes.sum()
    centre = all_sums.sum() / weight
    without = (weight * centre - all_sums) / (weight - all_sizes)
    variance = (count - 1) / count * ((without - centre) ** 2).sum()
    alike = 1.0
    if 1 < len(names) < n:
        between = (sizes * (sums / sizes - each.mean()) ** 2).sum() / (len(names) - 1)
        within = max(0.0, ((each - (sums / sizes) @ member) ** 2).sum() / (n - len(names)))
        usual = (n - (sizes**2).sum() / n) / (len(names) - 1)
        if between + (usual - 1) * within > 1e-18:
            alike = np.clip((between - within) / (between + (usual - 1) * within), 0.0, 1.0)
    shares = all_sizes / weight
    away = np.diag(1 / (1 - shares)) @ (np.eye(count) - np.outer(shares, np.ones(count)))
    moments = away @ np.diag(all_sizes * (1 + (all_sizes - 1) * alike)) @ away.T
    half = stats.t.ppf(0.975, np.trace(moments) ** 2 / (moments**2).sum()) * math.sqrt(variance)
    return float(each.mean()), max(-1.0, centre - half), min(1.0, centre + half), min(len(names), effective)


def expected(lines, chosen, margin):
    """The contract's words: the interval over items, or clusters of them, then the four rulings in their order."""
    first = lines[0]["baseline"]
    arms = list(first) if isinstance(first, dict) else ["baseline"]
    found = {}
    for arm in arms:
        each = [r["tuned"] - (r["baseline"][arm] if isinstance(first, dict) else r["baseline"]) for r in lines]
        found[arm] = over_clusters(each, [r.get("cluster", n) for n, r in enumerate(lines)])
    difference, low, high, units = found[chosen]
    if "cluster" in lines[0] and units < 10 - 1e-9:
        ruling = "need_more_data"
    elif all(f[1] > margin + 1e-9 for f in found.values()):
        ruling = "ship"
    elif high < margin - 1e-9:
        ruling = "keep_prompt"
    elif difference >= margin - 1e-9 and low > 1e-9:
        ruling = "judgement"
    else:
        ruling = "need_more_data"
    return ruling, difference, low, high


def test_every_shape_of_file_is_ruled_on_as_the_contract_says():
    chance, seen = random.Random(2611), set()
    for number in range(120):
        shape, n = chance.choice(list(SHAPES)), chance.choice([1, 2, 3, 7, 20, 40, 80, 150])
        arms = chance.choice([["baseline"], ["prompt", "rag"], ["prompt", "few_shot", "classical"]])
        lines = a_file(shape, n, arms, chance.choice([0, 0, 4, 25]), chance)
        margin = chance.choice([0.05, 0.05, 0.0, 0.1])
        given = read_scores("scores.jsonl", "\n".join(map(json.dumps, lines)).encode())
        result = rule(given, VerdictEvidence(chosen=arms[-1], rule=ShipRule(margin=margin)))
        ruling, difference, low, high = expected(lines, arms[-1], margin)
        assert result.verdict == ruling, (number, shape, n, arms)
        assert (result.difference, result.low, result.high) == pytest.approx((difference, low, high), abs=1e-9)
        assert 0 <= result.p_value <= 1 and result.n == n
        assert result.low - 1e-12 <= result.difference <= result.high + 1e-12
        assert result.difference == pytest.approx(result.tuned - result.baseline, abs=1e-12)
        assert result.better + result.worse + result.same == n
        if abs(difference - margin) < 0.01 - 1e-9 and "cluster" not in lines[0]:
            assert result.items_to_settle is None
        seen.add(ruling)
    assert seen == {"ship", "keep_prompt", "judgement", "need_more_data"}


def test_an_item_without_a_cluster_stands_for_itself():
    rows = [{"id": n, "baseline": 0, "tuned": 1, **({"cluster": "x"} if n < 6 else {})} for n in range(16)]
    assert rule(read_scores("s.jsonl", "\n".join(map(json.dumps, rows)).encode())).clusters == 11


def test_a_cluster_is_one_however_a_program_writes_its_number():
    rows = [
        {"id": n, "baseline": 0, "tuned": 1, "cluster": (n // 3, str(n // 3), n // 3 * 1.0)[n % 3]} for n in range(36)
    ]
    assert rule(read_scores("s.jsonl", "\n".join(map(json.dumps, rows)).encode())).clusters == 12
