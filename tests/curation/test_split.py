"""Property: nothing near stands on two sides; and the plan keeps its promises on shares, seeds and pins."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tries import tries

from curation.example import Example, chat_row
from curation.likeness.words import exact, find_template, grams, jaccard, same_answer, shingles
from curation.split.manifest import SplitName
from curation.split.split import SplitPlan, plan_split
from workspace.settings import DatasetSettings

WORDS = ["fever", "cough", "left", "right", "type", "1", "2", "mellitus", "with", "without", "é", "日本", "pain"]


def random_rows(seed: int, size: int) -> list[Example]:
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(size):
        if texts and rng.random() < 0.5:
            parts = rng.choice(texts).split(" ")
            parts[rng.randrange(len(parts))] = rng.choice(WORDS)
            texts.append(" ".join(parts))
        else:
            texts.append(" ".join(rng.choice(WORDS) + str(rng.randrange(90)) for _ in range(rng.choice([2, 6, 25]))))
    return [Example(chat_row(t, rng.choice("ab"), doc=rng.randrange(size), n=i)) for i, t in enumerate(texts)]


def plan_of(rows: list[Example], pinned: dict[int, SplitName] | None = None, **chosen: Any) -> SplitPlan:
    shares: dict[SplitName, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
    return plan_split(rows, DatasetSettings(**chosen), shares, pinned or {})


class Nearness:
    def __init__(self, rows: list[Example]) -> None:
        self.rows = rows
        template = find_template([r.question for r in rows])
        self.sets = [(found - template) or found for found in (shingles(r.question) for r in rows)]

    def near(self, i: int, j: int) -> bool:
        one, other = self.rows[i].question, self.rows[j].question
        words = jaccard(self.sets[i], self.sets[j]) >= 0.8
        return words or exact(one, other) or jaccard(grams(one), grams(other)) >= 0.8


def parted(rows: list[Example], plan: SplitPlan) -> list[tuple[int, int]]:
    """Near pairs on two sides, by looking at every pair."""
    nearness = Nearness(rows)
    pairs = combinations(range(len(rows)), 2)
    return [
        (i, j)
        for i, j in pairs
        if plan.split[i] and plan.split[j] and plan.split[i] != plan.split[j] and nearness.near(i, j)
    ]


@tries(300)
@given(seed=st.integers(0, 1 << 40), size=st.integers(0, 40))
def test_no_near_pair_is_parted(seed: int, size: int) -> None:
    rows = random_rows(seed, size)
    plan = plan_of(rows, seed=seed % 7)
    assert parted(rows, plan) == []
    assert None not in plan.split and not plan.left_out


@tries(200)
@given(seed=st.integers(0, 1 << 40), size=st.integers(0, 30))
def test_keys_and_pins(seed: int, size: int) -> None:
    rng = random.Random(seed)
    rows = random_rows(seed, size)
    pinned = {i: rng.choice(["train", "validation", "test"]) for i in range(size) if rng.random() < 0.3}
    plan = plan_of(rows, pinned, group_by="doc")
    gone = {c.index for c in plan.left_out}
    for index, split in pinned.items():
        assert plan.split[index] == split or (index in gone and split != "test")
    across = {frozenset((c.index, c.against)) for c in plan.across}
    for i, j in parted(rows, plan):
        assert frozenset((i, j)) in across
        assert not same_answer(rows[i].answer, rows[j].answer) and not exact(rows[i].question, rows[j].question)
    for i, j in combinations(range(size), 2):
        shared = rows[i].row["doc"] == rows[j].row["doc"] and plan.split[i] and plan.split[j]
        assert not shared or plan.split[i] == plan.split[j] or (i in pinned and j in pinned)
    nearness = Nearness(rows)
    for c in plan.left_out:
        key = rows[c.index].row["doc"] == rows[c.against].row["doc"]
        assert key or c.kind == "between" or nearness.near(c.index, c.against)


def test_shares_and_classes_hold() -> None:
    rng = random.Random(3)
    rows = [
        Example(chat_row(" ".join(f"x{rng.randrange(10**6)}" for _ in range(9)), f"class {i % 7}")) for i in range(2000)
    ]
    plan = plan_of(rows)
    assert all(abs(len(plan.rows(split)) - 200) <= 2 for split in ("test", "validation"))  # type: ignore[arg-type]
    for split, low, high in (("test", 26, 31), ("validation", 26, 31)):
        counts = Counter(rows[i].answer for i in plan.rows(split))  # type: ignore[arg-type]
        assert len(counts) == 7 and low <= min(counts.values()) <= max(counts.values()) <= high


def test_small_classes_are_in_train() -> None:
    rng = random.Random(4)
    rows = [Example(chat_row(" ".join(f"x{rng.randrange(10**6)}" for _ in range(9)), f"c{i // 3}")) for i in range(300)]
    plan = plan_of(rows)
    assert {rows[i].answer for i in plan.rows("train")} == {f"c{i}" for i in range(100)}
    assert all(abs(len(plan.rows(split)) - 30) <= 1 for split in ("test", "validation"))  # type: ignore[arg-type]


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does() -> None:
    rows = random_rows(9, 200)
    shuffled = random.Random(1).sample(rows, len(rows))
    first, second = plan_of(rows), plan_of(shuffled)
    by_row = {row.content_hash: split for row, split in zip(rows, first.split, strict=True)}
    assert all(by_row[row.content_hash] == split for row, split in zip(shuffled, second.split, strict=True))
    assert plan_of(rows, seed=14).split != first.split
