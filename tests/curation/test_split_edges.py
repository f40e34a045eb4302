"""The split at its edges: which answers are classes, what a pinned row decides, shares of 0, dates of nearly all.

A split by time as properties: nothing learnt is newer than what is measured, groups stay whole, shares hold.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.example import Example, chat_row
from curation.likeness.groups import Conflict
from curation.split import split
from curation.split.manifest import SplitName
from curation.split.split import closed_classes, date_at, date_keys, plan_split
from workspace.settings import DatasetSettings

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


def test_a_split_without_a_share_stays_empty() -> None:
    made = one_a_day(40)
    without: dict[SplitName, float] = {"train": 0.75, "test": 0.25}
    for shares in (without, {**without, "validation": 0.0}):
        plan = plan_split(made, BY_TIME, shares, {})
        assert plan.rows("validation") == [] and plan.rows("test") == list(range(30, 40))


def test_a_key_is_offered_where_nineteen_rows_in_twenty_hold_a_date() -> None:
    dated, without = one_a_day(20), Example(chat_row("q", "a", meta={"at": "last week"}))
    assert date_keys([*dated[:19], without]) == ["meta.at"]
    assert date_keys([*dated[:18], without, without]) == []


def test_a_key_of_two_days_is_not_offered() -> None:
    assert date_keys(one_a_day(3)) == ["meta.at"] and date_keys(one_a_day(2)) == []


def test_a_group_that_would_more_than_double_what_is_wanted_stays_outside_the_test_set() -> None:
    made = rows(range(40), [19 if 19 <= n < 39 else n for n in range(40)])
    plan = plan_split(made, BY_TIME.model_copy(update={"group_by": "case"}), SHARES, {})
    assert plan.rows("test") == [39]


def test_pinned_validation_rows_count_towards_its_share() -> None:
    pinned: dict[int, SplitName] = dict.fromkeys(range(36, 40), "validation")
    plan = plan_split(one_a_day(40), BY_TIME, SHARES, pinned)
    assert plan.rows("validation") == list(range(36, 40)) and plan.rows("test") == list(range(28, 36))


def test_a_row_that_was_left_out_stays_out_of_a_split_by_time() -> None:
    made = one_a_day(40)
    again = Example({**made[0].row, "meta": made[30].row["meta"]})
    plan = plan_split([*made, again], BY_TIME, SHARES, {0: "test"})
    assert [conflict.index for conflict in plan.left_out] == [40] and plan.split[40] is None
    assert plan.split.count(None) == 1


def test_what_is_no_text_is_no_date() -> None:
    for value in (20251101, None, ["2025-11-01"]):
        assert date_at(Example(chat_row("q", "a", at=value)), "at") is None
    assert date_at(Example(chat_row("q", "a")), "at") is None


@settings(max_examples=40, deadline=None)
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


def test_a_test_set_that_was_there_stays_and_validation_is_the_newest_of_the_others():
    plan = plan_split(one_a_day(40), BY_TIME, SHARES, dict.fromkeys(range(5), "test"))
    assert plan.rows("test") == [0, 1, 2, 3, 4]
    assert plan.rows("validation") == [36, 37, 38, 39] and len(plan.rows("train")) == 31
    assert split.BY_TIME.split("{")[0] in plan.rule


def test_dates_are_found():
    made = rows([1, 2, 3, 4], [1, 1, 1, 1])
    assert date_keys(made) == ["meta.at"] and all(date_at(each, "meta.at") for each in made)
    assert date_at(Example(chat_row("q", "a", meta={"at": "last week"})), "meta.at") is None
    early, late = (Example({"text": "t", "at": at}) for at in ("2026-11-25T01:00:00+02:00", "2026-11-24T23:30:00Z"))
    assert date_at(early, "at") < date_at(late, "at")
    assert date_at(Example({"text": "20"}), "text") is None and date_at(Example({"text": "20261125"}), "text")
