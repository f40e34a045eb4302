"""A split by time, as properties: nothing learnt is newer than what is measured, groups stay whole, shares hold."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.example import Example, chat_row
from curation.split.manifest import SplitName
from curation.split.split import BY_TIME, date_at, date_keys, planned, undated
from workspace.settings import DatasetSettings

SHARES: dict[SplitName, float] = {"train": 0.7, "validation": 0.1, "test": 0.2}
START = datetime(2025, 1, 1, tzinfo=UTC)


def rows(days: list[int], groups: list[int]) -> list[Example]:
    """One row a day; rows of one group share the key `case`."""
    return [
        Example(
            chat_row(" ".join(f"w{n}x{k}" for k in range(9)), f"answer {n}", case=group, meta={"at": _day(day)}),
        )
        for n, (day, group) in enumerate(zip(days, groups, strict=True))
    ]


def _day(day: int) -> str:
    return (START + timedelta(days=day)).date().isoformat()


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(10, 60), st.integers(0, 3))
def test_train_is_never_newer_than_what_is_measured_and_groups_stay_whole(data, count, seed):
    days = data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
    cases = data.draw(st.lists(st.integers(0, 60), min_size=count, max_size=count))
    made = rows(days, cases)
    chosen = DatasetSettings(split_by="meta.at", group_by="case", seed=seed)
    plan = planned(made, chosen, SHARES, {})
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
    again = planned([made[i] for i in order], chosen, SHARES, {})
    assert [again.split[order.index(i)] for i in range(count)] == list(plan.split)
    assert "meta.at" in plan.rule and "newest" in plan.rule


def test_a_test_set_that_was_there_stays_and_validation_is_the_newest_of_the_others():
    made = rows(list(range(40)), list(range(40)))
    plan = planned(made, DatasetSettings(split_by="meta.at"), SHARES, dict.fromkeys(range(5), "test"))
    assert plan.rows("test") == [0, 1, 2, 3, 4]
    assert plan.rows("validation") == [36, 37, 38, 39] and len(plan.rows("train")) == 31
    assert BY_TIME.split("{")[0] in plan.rule


def test_dates_are_found_and_rows_without_one_are_named():
    made = rows([1, 2, 3, 4], [1, 1, 1, 1])
    assert date_keys(made) == ["meta.at"] and undated(made, "meta.at") == []
    assert undated([*made, Example(chat_row("q", "a", meta={"at": "last week"}))], "meta.at") == [4]
    assert date_keys([Example(chat_row("q", "a", at="2026-11-25"))] * 5) == []
    early, late = (Example({"text": "t", "at": at}) for at in ("2026-11-25T01:00:00+02:00", "2026-11-24T23:30:00Z"))
    assert date_at(early, "at") < date_at(late, "at")
    assert date_at(Example({"text": "20"}), "text") is None and date_at(Example({"text": "20261125"}), "text")
