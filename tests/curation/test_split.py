"""Nothing near is on two sides; shares, seeds, pins, classes and dates hold, at their edges too.

Of a split by time: nothing learnt is newer than what is measured, and groups stay whole.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tries import tries

from curation.example import Example, chat_row
from curation.likeness.groups import Conflict
from curation.likeness.words import exact, find_template, grams, jaccard, same_answer, shingles
from curation.split.manifest import SplitName
from curation.split.split import SplitPlan, closed_classes, date_at, date_keys, plan_split
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
    template = find_template([row.question for row in rows])
    sets = [(found - template) or found for found in (shingles(row.question) for row in rows)]

    def near(i: int, j: int) -> bool:
        """By the words of the definition."""
        one, other = rows[i].question, rows[j].question
        words = jaccard(sets[i], sets[j]) >= 0.8
        return words or exact(one, other) or jaccard(grams(one), grams(other)) >= 0.8

    for i, j in combinations(range(size), 2):
        if not plan.split[i] or not plan.split[j] or plan.split[i] == plan.split[j]:
            continue
        if near(i, j):
            assert frozenset((i, j)) in across
            assert not same_answer(rows[i].answer, rows[j].answer) and not exact(rows[i].question, rows[j].question)
        assert rows[i].row["doc"] != rows[j].row["doc"] or (i in pinned and j in pinned)
    for c in plan.left_out:
        key = rows[c.index].row["doc"] == rows[c.against].row["doc"]
        assert key or c.kind == "between" or near(c.index, c.against)


def test_shares_and_classes_hold_and_small_classes_are_in_train() -> None:
    rng = random.Random(3)

    def answered(count: int, answer: Callable[[int], str]) -> list[Example]:
        texts = (" ".join(f"x{rng.randrange(10**6)}" for _ in range(9)) for _ in range(count))
        return [Example(chat_row(text, answer(i))) for i, text in enumerate(texts)]

    sides: tuple[SplitName, ...] = ("test", "validation")
    rows = answered(2000, lambda i: f"class {i % 7}")
    plan = plan_of(rows)
    for split in sides:
        counts = Counter(rows[i].answer for i in plan.rows(split))
        assert abs(counts.total() - 200) <= 2
        assert len(counts) == 7 and 26 <= min(counts.values()) <= max(counts.values()) <= 31
    rows = answered(300, lambda i: f"c{i // 3}")
    plan = plan_of(rows)
    assert {rows[i].answer for i in plan.rows("train")} == {f"c{i}" for i in range(100)}
    assert all(abs(len(plan.rows(split)) - 30) <= 1 for split in sides)


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does() -> None:
    rows = random_rows(9, 200)
    shuffled = random.Random(1).sample(rows, len(rows))
    first, second = plan_of(rows), plan_of(shuffled)
    by_row = {row.content_hash: split for row, split in zip(rows, first.split, strict=True)}
    assert all(by_row[row.content_hash] == split for row, split in zip(shuffled, second.split, strict=True))
    assert plan_of(rows, seed=14).split != first.split


SHARES: dict[SplitName, float] = {"train": 0.7, "validation": 0.1, "test": 0.2}
BY_TIME = DatasetSettings(split_by="meta.at")
START = datetime(2025, 1, 1, tzinfo=UTC)


def rows(days: Sequence[int], groups: Sequence[int]) -> list[Example]:
    """One row a day; rows of one group share the key `case`."""
    return [
        Example(
            chat_row(" ".join(f"w{n}x{k}" for k in range(9)), f"answer {n}", case=group, meta={"at": at.isoformat()})
        )
        for n, (at, group) in enumerate(zip((START + timedelta(days=day) for day in days), groups, strict=True))
    ]


def one_a_day(days: int) -> list[Example]:
    return rows(range(days), range(days))


def test_answers_are_classes_where_nine_in_ten_are_short_and_each_is_given_twice_on_average() -> None:
    def closed(*answers: str) -> bool:
        return closed_classes([Example(chat_row(f"question {i}", text)) for i, text in enumerate(answers)]) is not None

    seven, eight = "a b c d e f g", "a b c d e f g h"
    assert closed(*["x", "y"] * 9, eight, eight) and not closed(*["x", "y"] * 8, "x", eight, eight, eight)
    assert closed(*[seven, "y"] * 9, eight, eight) and not closed(*[eight, "y"] * 9, "y", "y")
    assert closed(*[f"c{i // 2}" for i in range(20)]) and not closed(*[f"c{i // 2}" for i in range(18)], "d", "e")


def test_a_row_goes_with_the_pinned_row_of_its_group_and_is_left_out_between_two() -> None:
    text = " ".join(f"word{i}" for i in range(30))
    asked = [Example(chat_row(f"{text} {end}", end)) for end in ("alpha", "beta", "gamma")]
    others = [Example(chat_row(" ".join(f"x{i}y{k}" for k in range(9)), "delta")) for i in range(10)]
    for side in ("train", "validation"):
        plan = plan_split([*asked, *others], DatasetSettings(), SHARES, {0: side})
        assert plan.split[:3] == (side,) * 3 and not plan.left_out
    plan = plan_split([*asked, *others], DatasetSettings(), SHARES, {0: "train", 1: "validation"})
    assert plan.split[:3] == ("train", "validation", None)
    assert plan.left_out == (Conflict(2, 2, "between", 1.0),)
    assert [(c.index, c.against) for c in plan.across] in ([(0, 1)], [(1, 0)])


def test_by_time_the_newest_rows_fill_the_shares_and_what_was_there_stays() -> None:
    made = one_a_day(40)
    without: dict[SplitName, float] = {"train": 0.75, "test": 0.25}
    for shares in (without, {**without, "validation": 0.0}):
        plan = plan_split(made, BY_TIME, shares, {})
        assert plan.rows("validation") == [] and plan.rows("test") == list(range(30, 40))
    plan = plan_split(made, BY_TIME, SHARES, dict.fromkeys(range(36, 40), "validation"))
    assert plan.rows("validation") == list(range(36, 40)) and plan.rows("test") == list(range(28, 36))
    plan = plan_split(made, BY_TIME, SHARES, dict.fromkeys(range(5), "test"))
    assert plan.rows("test") == [0, 1, 2, 3, 4]
    assert plan.rows("validation") == [36, 37, 38, 39] and len(plan.rows("train")) == 31
    assert "newest" in plan.rule and "stays" in plan.rule


@tries(200)
@given(st.data(), st.integers(10, 60), st.integers(0, 3))
def test_train_is_never_newer_than_what_is_measured_and_groups_stay_whole(data, count, seed):
    days = data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
    cases = data.draw(st.lists(st.integers(0, 60), min_size=count, max_size=count))
    made = rows(days, cases)
    chosen = DatasetSettings(split_by="meta.at", group_by="case", seed=seed)
    plan = plan_split(made, chosen, SHARES, {})
    assert set(plan.split) <= {"train", "validation", "test"}
    side = {case: {plan.split[i] for i in range(count) if cases[i] == case} for case in cases}
    assert all(len(found) == 1 for found in side.values())
    newest = {case: max(d for d, c in zip(days, cases, strict=True) if c == case) for case in cases}
    by_split = {name: [newest[c] for c in side if side[c] == {name}] for name in SHARES}
    assert by_split["test"]
    assert max(by_split["train"], default=-1) <= min(by_split["validation"] or by_split["test"])
    assert max(by_split["validation"], default=-1) <= min(by_split["test"])
    learnt = [days[i] for i in plan.rows("train")]
    assert max(learnt, default=-1) <= min(by_split["test"])
    largest = max(cases.count(case) for case in cases)
    assert abs(len(plan.rows("test")) - 0.2 * count) <= largest
    order = list(range(count))
    random.Random(seed).shuffle(order)
    again = plan_split([made[i] for i in order], chosen, SHARES, {})
    assert [again.split[order.index(i)] for i in range(count)] == list(plan.split)
    assert "meta.at" in plan.rule and "newest" in plan.rule


def test_a_key_is_offered_where_nineteen_rows_in_twenty_hold_a_date_and_these_are_three_days() -> None:
    dated, without = one_a_day(20), Example(chat_row("q", "a", meta={"at": "last week"}))
    assert date_keys([*dated[:19], without]) == ["meta.at"] and date_keys([*dated[:18], without, without]) == []
    assert date_keys(one_a_day(3)) == ["meta.at"] and date_keys(one_a_day(2)) == []
    early, late = (Example({"at": at}) for at in ("2026-11-25T01:00:00+02:00", "2026-11-24T23:30:00Z"))
    assert date_at(early, "at") < date_at(late, "at") and date_at(Example({"at": "20261125"}), "at")
    for none in ({"at": 20251101}, {"at": None}, {"at": ["2025-11-01"]}, {"at": "20"}, {"at": "last week"}, {}):
        assert date_at(Example(none), "at") is None
