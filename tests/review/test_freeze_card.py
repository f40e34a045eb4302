"""The card is read by the datasets package whatever the rows hold; versions are compared row by row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from freezing import approve_all, frozen, rows

from curation.example import Example
from curation.review import Ruling, decide_all
from curation.split.freeze import freeze
from curation.split.manifest import load_split


def test_the_card_is_read_by_datasets(desk: Any, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    approve_all(desk)
    done = frozen(desk)
    loaded = datasets.load_dataset(str(done.folder), cache_dir=str(tmp_path / "cache"))
    sizes = {name: split.rows for name, split in done.manifest.splits.items()}
    assert {name: loaded[name].num_rows for name in loaded} == sizes
    assert loaded["test"][0]["messages"] == [dict(turn) for turn in load_split(done.folder, "test")[0].messages]


def test_the_card_is_read_where_the_splits_hold_other_keys(make_desk: Any, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    desk = make_desk(pool="trust")
    plain = rows(60, 1)
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "arguments": {"n": 1.5}}]}
    asked = Example({"messages": [*plain[0].asked, call], "tags": [["a"], []], "odd key": None})
    desk.store.add([*plain[1:-1], asked, Example({**plain[-1].row, "code": 7, "flag": True})], role="pool")
    done = frozen(desk)
    loaded = datasets.load_dataset(str(done.folder), cache_dir=str(tmp_path / "cache"))
    names = {"messages", "tags", "odd key", "code", "flag"}
    assert {name: set(loaded[name].column_names) for name in loaded} == dict.fromkeys(loaded, names)
    codes = [code for name in loaded for code in loaded[name]["code"] if code is not None]
    assert codes == [7] and sum(loaded[name].num_rows for name in loaded) == 60


ODD_KEYS = ["a: b", "x#y", "- dash", "null", "1", "日本", "true", 'quo"te', "back\\slash", "tab\there", " lead", "@at"]


WHOLE = (*ODD_KEYS, "tools", "none", "empty", "meta", "trace")


TOOLS = [
    {"type": "function", "function": {"name": "pay", "parameters": {"properties": {"sum": {"type": "number"}}}}},
    {"type": "function", "function": {"name": "ask", "parameters": {"properties": {"who": {"enum": ["a", "b"]}}}}},
]


@pytest.mark.parametrize("test_only", [False, True])
def test_the_card_is_read_with_odd_keys_tools_and_columns_of_nothing(
    make_desk: Any, tmp_path: Path, test_only: bool
) -> None:
    """Keys that mean something in YAML, tools of unlike parameters, columns that hold nothing, a key that one row has;
    and a test set frozen alone, without the other splits.
    """
    datasets = pytest.importorskip("datasets")
    if not hasattr(datasets, "Json"):
        pytest.skip("columns of JSON are read by datasets 4.7 and later")
    desk = make_desk(pool="trust")
    made = [
        {**each.row, **dict.fromkeys(ODD_KEYS, f"v{n}"), "none": None, "empty": []}
        for n, each in enumerate(rows(60, 1))
    ]
    for n, each in enumerate(made):
        each["tools"] = TOOLS[: n % 3]
        each["meta"] = {}
        each["trace"] = {"deep": [{"x": None}, {"y": [1, 2.5]}][: n % 3]}
    made[3]["big"] = 2**60
    desk.store.add([Example(each) for each in made[:40]], role="pool")
    desk.store.add([Example(each) for each in made[40:]], role="test")
    if test_only:
        waiting = [(row.id, Ruling("approve")) for row in desk.store.rows() if row.role == "test"]
        decide_all(desk, "dana", waiting, kind="person")
    done = frozen(desk, test_only=test_only)
    loaded = datasets.load_dataset(str(done.folder), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == ({"test"} if test_only else {"train", "validation", "test"})
    for name in loaded:
        lines = [example.row for example in load_split(done.folder, name)]
        assert loaded[name].num_rows == len(lines) and set(ODD_KEYS) <= set(loaded[name].column_names)
        for found, line in zip(loaded[name], lines, strict=True):
            assert {key: found[key] for key in WHOLE} == {key: line[key] for key in WHOLE}
            assert found.get("big") == line.get("big") and found["messages"] == line["messages"]


def test_a_column_of_several_kinds_and_dates_are_read_too(make_desk: Any, tmp_path: Path) -> None:
    """Numbers beside texts, messages of parts beside plain ones, dates: each split would have columns of its own."""
    datasets = pytest.importorskip("datasets")
    if not hasattr(datasets, "Json"):
        pytest.skip("columns of JSON are read by datasets 4.7 and later")
    desk = make_desk(pool="trust")
    made = [
        {**each.row, "n": i if i % 2 else f"x{i}", "day": f"2026-01-{i % 28 + 1:02d}"}
        for i, each in enumerate(rows(60, 1))
    ]
    made[0]["messages"][0]["content"] = [{"type": "text", "text": "see"}, {"type": "image", "image": "a.png"}]
    made[1]["day"] = "soon"
    desk.store.add([Example(each) for each in made], role="pool")
    done = frozen(desk)
    loaded = datasets.load_dataset(str(done.folder), cache_dir=str(tmp_path / "cache"))
    for name in loaded:
        lines = [example.row for example in load_split(done.folder, name)]
        assert [each["n"] for each in loaded[name]] == [line["n"] for line in lines]
        assert [each["messages"] for each in loaded[name]] == [line["messages"] for line in lines]


def test_each_row_has_a_licence_and_thin_classes_are_told(make_desk: Any) -> None:
    desk = make_desk(pool="trust")
    named = Example({**rows(1, 3)[0].row, "license": "CC0-1.0"})
    desk.store.add([*rows(60, 1), named], role="pool")
    desk.settings.dataset.licences["other.jsonl"] = "MIT"
    licensed = desk.settings.model_copy(
        update={"dataset": desk.settings.dataset.model_copy(update={"licence": "CC-BY-4.0"})}
    )
    done = freeze(desk.project, licensed, store=desk.store)
    assert sorted(row["licence"] for row in done.manifest.rows) == ["CC-BY-4.0"] * 60 + ["CC0-1.0"]
    card = (done.folder / "README.md").read_text()
    assert re.search(r"CC-BY-4\.0\W+60\b", card) and re.search(r"CC0-1\.0\W+1\b", card) and "5 of 5" in card
