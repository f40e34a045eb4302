"""The card is read by the datasets package whatever the rows hold; each row has a licence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from freezing import approve_all, frozen, rows

from curation.example import Example
from curation.split.freeze import freeze
from curation.split.manifest import load_split

ODD_KEYS = [
    "a: b",
    "x#y",
    "- dash",
    "null",
    "1",
    "日本",
    "𠮷野",
    "😀",
    "true",
    'quo"te',
    "back\\slash",
    "tab\there",
    "@at",
]
ODD_KEYS += [" lead", "del\x7f"]
WHOLE = (*ODD_KEYS, "tools", "none", "empty", "meta", "trace", "n")
TOOLS = [
    {"type": "function", "function": {"name": "pay", "parameters": {"properties": {"sum": {"type": "number"}}}}},
    {"type": "function", "function": {"name": "ask", "parameters": {"properties": {"who": {"enum": ["a", "b"]}}}}},
]


def odd(number: int, row: Example) -> dict[str, Any]:
    """Keys with a meaning in YAML, tools with other parameters, columns empty, mixed or of dates, by split."""
    return {
        **row.row,
        **dict.fromkeys(ODD_KEYS, f"v{number}"),
        "none": None,
        "empty": [],
        "tools": TOOLS[: number % 3],
        "meta": {},
        "trace": {"deep": [{"x": None}, {"y": [1, 2.5]}][: number % 3]},
        "n": number if number % 2 else f"x{number}",
        "day": f"2026-01-{number % 28 + 1:02d}" if number != 1 else "soon",
    }


@pytest.mark.parametrize("test_only", [False, True])
def test_the_card_is_read_with_odd_keys_tools_and_columns_of_nothing(make_desk, tmp_path: Path, test_only: bool):
    """Also a key that one row has, messages of parts beside plain ones, calls, and a test set without the others."""
    datasets = pytest.importorskip("datasets")
    if not hasattr(datasets, "Json"):
        pytest.skip("columns of JSON are read by datasets 4.7 and later")
    desk = make_desk(pool="trust")
    made = [odd(*each) for each in enumerate(rows(60, 1))]
    made[3]["big"] = 2**60
    made[4]["messages"][-1] = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "arguments": {"n": 1.5}}]}
    made[5]["messages"][0]["content"] = [{"type": "text", "text": "see"}, {"type": "image", "image": "a.png"}]
    desk.store.add([Example(each) for each in made[:40]], role="pool")
    desk.store.add([Example(each) for each in made[40:]], role="test")
    approve_all(desk)
    done = frozen(desk, test_only=test_only)
    loaded = datasets.load_dataset(str(done.folder), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == ({"test"} if test_only else {"train", "validation", "test"})
    for name in loaded:
        lines = [example.row for example in load_split(done.folder, name)]
        assert loaded[name].num_rows == len(lines) and set(ODD_KEYS) <= set(loaded[name].column_names)
        for found, line in zip(loaded[name], lines, strict=True):
            assert {key: found[key] for key in WHOLE} == {key: line[key] for key in WHOLE}
            assert found.get("big") == line.get("big") and found["messages"] == line["messages"]


def test_each_row_has_a_licence_and_thin_classes_are_told(make_desk):
    desk = make_desk(pool="trust")
    named = Example({**rows(1, 3)[0].row, "license": "CC0-1.0"})
    desk.store.add([*rows(60, 1), named], role="pool")
    desk.settings.dataset.licences["other.jsonl"] = "MIT"
    whole = desk.settings.dataset.model_copy(update={"licence": "CC-BY-4.0"})
    done = freeze(desk.project, desk.settings.model_copy(update={"dataset": whole}))
    assert sorted(row["licence"] for row in done.manifest.rows) == ["CC-BY-4.0"] * 60 + ["CC0-1.0"]
    card = (done.folder / "README.md").read_text()
    assert re.search(r"CC-BY-4\.0\W+60\b", card) and re.search(r"CC0-1\.0\W+1\b", card) and "5 of 5" in card
