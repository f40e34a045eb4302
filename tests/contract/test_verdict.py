"""`rung verdict --scores`: the contract's formula, written down a second time, on scores of many shapes."""

from __future__ import annotations

import json
import math
import random

import pytest
from scipy.stats import t as student


def ruling(rows, chosen, margin=0.05):
    """The verdict and the chosen arm's difference, low, high by the contract's words."""
    results = {}
    for arm in rows[0]["baseline"]:
        units = {}
        for place, row in enumerate(rows):
            units.setdefault(row.get("cluster", place), []).append(row["tuned"] - row["baseline"][arm])
        means = [sum(found) / len(found) for found in units.values()]
        padded = [*means, 1, -1]
        centre = sum(padded) / len(padded)
        spread = math.sqrt(sum((x - centre) ** 2 for x in padded) / (len(padded) - 1))
        half = student.ppf(0.975, len(means) + 1) * spread / math.sqrt(len(padded))
        every = [row["tuned"] - row["baseline"][arm] for row in rows]
        results[arm] = (sum(every) / len(every), max(-1, centre - half), min(1, centre + half), len(means))
    difference, low, high, units = results[chosen]
    if any("cluster" in row for row in rows) and units < 10:
        return "need_more_data", difference, low, high
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
    clusters = draw.choice([0, 0, 9, 30])

    def score(mean):
        return float(draw.random() < mean) if kind == "0/1" else min(1.0, max(0.0, draw.gauss(mean, 0.15)))

    rows = []
    for number in range(count):
        row = {"id": number, "baseline": {"a": score(0.5), "b": score(0.45)}, "tuned": score(0.5 + gain), "more": [1]}
        rows.append({**row, "cluster": f"c{draw.randrange(clusters)}"} if clusters else row)
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
