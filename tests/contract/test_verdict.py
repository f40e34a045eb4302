"""`rung verdict --scores`: the contract's formula, written down a second time, on scores of many shapes."""

from __future__ import annotations

import json
import math
import random

import pytest
from scipy.stats import t as student


def ruling(rows, chosen, margin=0.05):
    """The verdict and the chosen arm's difference, low, high by the contract's words, for independent items."""
    results = {}
    for arm in rows[0]["baseline"]:
        each = [row["tuned"] - row["baseline"][arm] for row in rows]
        padded = [*each, 1, -1]
        centre = sum(padded) / len(padded)
        spread = math.sqrt(sum((x - centre) ** 2 for x in padded) / (len(padded) - 1))
        half = student.ppf(0.975, len(each) + 1) * spread / math.sqrt(len(padded))
        results[arm] = (sum(each) / len(each), max(-1, centre - half), min(1, centre + half))
    difference, low, high = results[chosen]
    if all(found[1] > margin + 1e-9 for found in results.values()):
        return "ship", difference, low, high
    if high < margin - 1e-9:
        return "keep_prompt", difference, low, high
    if difference >= margin - 1e-9 and low > 1e-9:
        return "judgement", difference, low, high
    return "need_more_data", difference, low, high


def invent(seed):
    draw = random.Random(seed)
    count, gain, kind = draw.choice([3, 9, 40, 300]), draw.choice([-0.3, 0, 0.12, 0.4]), draw.choice(["0/1", "grade"])

    def score(mean):
        return float(draw.random() < mean) if kind == "0/1" else min(1.0, max(0.0, draw.gauss(mean, 0.15)))

    rows = []
    for number in range(count):
        baseline = {"a": score(0.5), "b": score(0.45)}
        rows.append({"id": number, "baseline": baseline, "tuned": score(0.5 + gain), "more": [1]})
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_as_the_contract_words_it(rung, seed):
    rows = invent(seed)
    ran = rung(
        "verdict", "--scores", "-", "--chosen", "a", "--json", given="\r\n".join(json.dumps(row) for row in rows)
    )
    word, *figures = ruling(rows, "a")
    assert ran.json["verdict"] == word
    assert [ran.json[key] for key in ("difference", "low", "high")] == pytest.approx(figures, abs=1e-7)
    assert ran.code == (0 if word == "ship" else 1)
    assert len(ran.json["arms"]) == 2


@pytest.mark.parametrize("sizes", [[30] * 2 + [5] * 20, [300] + [1] * 40, [4] * 9])
def test_clusters_of_any_size_speak_of_the_mean_over_items(rung, sizes):
    """The largest cluster loses, the others win; where few carry the weight nothing is said for sure."""
    names = [number for number, size in enumerate(sizes) for _ in range(size)]
    rows = [{"id": n, "cluster": c, "baseline": float(c == 0), "tuned": float(c > 0)} for n, c in enumerate(names)]
    found = rung("verdict", "--scores", "-", "--json", given="\n".join(map(json.dumps, rows))).json
    difference = sum(row["tuned"] - row["baseline"] for row in rows) / len(rows)
    assert found["difference"] == pytest.approx(difference) == pytest.approx(found["tuned"] - found["baseline"])
    assert found["low"] <= difference <= found["high"]
    if len(sizes) < 10 or sum(sizes) ** 2 / sum(size**2 for size in sizes) < 10:
        assert found["verdict"] == "need_more_data"


def test_ties_prove_nothing_and_a_judgement_needs_a_name(rung):
    ties = "\n".join(json.dumps({"id": n, "baseline": 1, "tuned": 1}) for n in range(3))
    ran = rung("verdict", "--scores", "-", "--json", given=ties)
    assert ran.json["verdict"] == "need_more_data"
    assert ran.json["low"] < -0.5 < 0.5 < ran.json["high"]
    near = "\n".join(json.dumps({"id": n, "baseline": 0.4, "tuned": 0.5}) for n in range(30))
    assert rung("verdict", "--scores", "-", "--accept-judgement", given=near).code == 2
    accepted = ("--accept-judgement", "--by", "Ann", "--reason", "cheaper")
    assert rung("verdict", "--scores", "-", "--json", given=near).json["verdict"] == "judgement"
    assert rung("verdict", "--scores", "-", *accepted, given=near).code == 0


def test_all_problems_at_once_with_their_lines(rung):
    given = f"""{{"id":1,"baseline":0.5,"tuned":1.2}}
{{"id":1,"baseline":true,"tuned":0}}
{{"id":2,"tuned":0}}
{{"id":3,"baseline":NaN,"tuned":1{"0" * 400}}}
oops"""
    ran = rung("verdict", "--scores", "-", "--json", given=given)
    assert ran.code == 2
    assert [problem["where"][-1] for problem in ran.error["problems"]] == ["1", "2", "2", "3", "4", "4", "5"]
    assert rung("verdict", "--scores", "-", "--json", given="\n").code == 2
