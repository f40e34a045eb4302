"""A freeze: which rows it takes, leaves out and refuses; the same rows give the same files.

The card is read by the datasets package whatever the rows hold; each row has a licence.
"""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from deciding import settle
from freezing import approve_all, frozen, rows

from curation.example import Example, chat_row
from curation.review import Ruling, decide_all
from curation.split.freeze import freeze
from curation.split.manifest import load_split
from curation.store import vouching
from rung.why.explain import chain
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.lock import writer_lock


def test_undecided_rows_are_named_and_nothing_is_written(desk):
    for test_only, named in ((False, "80 .*r-000001"), (True, "20 .*r-000061")):
        with pytest.raises(Refusal, match=named):
            frozen(desk, test_only=test_only)
    assert not list(desk.project.datasets.glob("v*"))


def test_a_test_set_alone_stays_byte_for_byte_in_the_whole_version(desk):
    decide_all(desk, "dana", [(f"r-{n:06d}", Ruling("approve")) for n in range(61, 81)], kind="person")
    alone = frozen(desk, test_only=True)
    assert alone.manifest.test_only and list(alone.manifest.splits) == ["test"]
    assert frozen(desk, test_only=True).was_there
    approve_all(desk)
    whole = frozen(desk)
    assert whole.manifest.version == "v002" and whole.manifest.policy["test_kept_from"] == "v001"
    assert (alone.folder / "test.jsonl").read_bytes() == (whole.folder / "test.jsonl").read_bytes()
    assert whole.manifest.splits["test"].sha256 == alone.manifest.splits["test"].sha256
    assert whole.manifest.made_from["datasets/v001/manifest.json"]
    assert frozen(desk).was_there and len(list(desk.project.datasets.glob("v*"))) == 2


def test_a_test_set_taken_from_the_pool_stays_as_the_pool_grows(make_desk):
    desk = make_desk(pool="trust")
    desk.store.add(rows(100, 1), role="pool")
    alone = frozen(desk, test_only=True)
    assert 8 <= alone.manifest.splits["test"].rows <= 12
    desk.store.add(rows(50, 3), role="pool")
    whole = frozen(desk)
    assert whole.manifest.splits["test"].sha256 == alone.manifest.splits["test"].sha256
    assert sum(split.rows for split in whole.manifest.splits.values()) == 150


@pytest.mark.parametrize(("split", "gone"), [("train", False), ("test", True)])
def test_after_a_frozen_file_was_changed_the_same_rows_make_a_version_that_can_be_used(desk, split, gone: bool):
    approve_all(desk)
    first = frozen(desk)
    file = first.folder / f"{split}.jsonl"
    sound = file.read_bytes()
    file.write_bytes(sound[1:]) if not gone else file.unlink()
    with pytest.raises(Refusal) as changed:
        load_split(first.folder, split)
    assert changed.value.where == str(file)
    assert [link.ref for link in chain(desk.project, "v001") if link.whole is False] == [f"datasets/v001/{file.name}"]
    again = frozen(desk)
    assert (again.manifest.version, again.was_there) == ("v002", False)
    assert (again.folder / file.name).read_bytes() == sound and frozen(desk).folder == again.folder


def test_a_freeze_that_is_cut_leaves_nothing_and_is_whole_the_second_time(desk, monkeypatch):
    """The log names a manifest before it is there; all of a version is made before the one rename, its card too."""
    approve_all(desk)
    made: list[str] = []

    def cut(at: Path, *_: Any):
        made.extend(path.name for path in at.iterdir()) if at.is_dir() else None
        raise KeyboardInterrupt

    for place, name in ((vouching, "write_bytes"), (Path, "rename")):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(place, name, cut)
            frozen(desk)
        assert {event.ref for event in desk.store.events(kind="freeze")} == {"v001"}
        assert not list(desk.project.datasets.glob("v*"))
    with writer_lock(desk.project.datasets / ".lock", "A freeze"), pytest.raises(Refusal, match="already running"):
        frozen(desk)
    done = frozen(desk)
    assert (done.manifest.version, done.was_there) == ("v001", False)
    assert sorted(made) == sorted(path.name for path in done.folder.iterdir())
    assert not (desk.project.datasets / ".tmp").exists()


def near_rows(seed: int, count: int, labels: str) -> list[Example]:
    """Rows of which two in five differ from an earlier one in one word."""
    rng, made = random.Random(seed), []
    vocabulary = [a + b for a in ("al", "be", "ga", "de", "ep", "ze") for b in ("pha", "ta", "mma", "lta", "xi", "ro")]
    for _ in range(count):
        said = rng.choices(vocabulary, k=rng.randint(5, 14))
        if made and rng.random() < 0.4:
            said = rng.choice(made)[0].split()
            said[rng.randrange(len(said))] = rng.choice(vocabulary)
        made.append((" ".join(said), rng.choice(labels)))
    return [Example(chat_row(*row)) for row in made]


@pytest.mark.parametrize(("seed", "count"), [(2, 40), (14, 60), (18, 60)])
def test_a_freeze_with_nothing_changed_makes_nothing(make_desk, seed: int, count: int):
    """A test set that was cut from the pool is pinned later; the other splits remain as they were, too."""
    desk = make_desk(pool="trust")
    desk.store.add(near_rows(seed, count, "ABCDEFGH"), role="pool")
    first = frozen(desk)
    for _ in range(2):
        again = frozen(desk)
        assert again.was_there and again.folder == first.folder
    assert [folder.name for folder in desk.project.datasets.glob("v*")] == ["v001"]
    desk.store.add(rows(20, 3), role="pool")
    more = frozen(desk)
    assert not more.was_there and more.manifest.policy["test_kept_from"] == "v001"
    assert more.manifest.splits["test"].sha256 == first.manifest.splits["test"].sha256
    assert frozen(desk).was_there


def test_every_line_has_its_origin_reviewer_and_decision(desk, imported):
    """Rejected rows go, edits stay."""
    file = imported("more.jsonl", rows(2, 5), "--as", "candidates")
    desk.project.guideline_file.write_text("# Guide\n")
    settle(desk, "dana", "reject", want="r-000001", reason="wrong answer")
    settle(desk, "dana", "edit", want="r-000002", text="another label")
    approve_all(desk)
    done = frozen(desk)
    assert [(entry["id"], entry["reason"]) for entry in done.manifest.dropped] == [("r-000001", "rejected in review")]
    told = {entry["id"]: entry for entry in done.manifest.rows}
    assert len(told) == 81 and told["r-000082"]["source"] == f"{file}:2"
    assert told["r-000082"]["source_sha256"] == sha256_file(desk.project.root / file)
    for entry in done.manifest.rows:
        state = "edited" if entry["id"] == "r-000002" else "approved"
        assert (entry["state"], entry["reviewer"], entry["guideline"]) == (state, "dana", 1) and entry["decision"]
        line = (done.folder / f"{entry['split']}.jsonl").read_text().split("\n")[entry["line"] - 1]
        assert json.loads(line) == desk.store.row(entry["id"]).example.row


def test_minimal_pairs_stand_on_one_side_and_marked_rows_in_validation(make_desk):
    desk = make_desk(pool="trust")
    desk.store.add(rows(60, 1), role="pool")
    ask = "Diabetes mellitus type {} with peripheral neuropathy of the {} foot, painful, with an ulcer {}, on insulin"
    pairs = [
        Example(chat_row(ask.format(kind, "left", f"number{n} seen"), f"E{kind}")) for n in range(15) for kind in (1, 2)
    ]
    ids = desk.store.add(pairs, role="pool").ids
    desk.store.mark(["r-000005", "r-000006"], "validation")
    done = frozen(desk)
    split = {entry["id"]: entry["split"] for entry in done.manifest.rows}
    assert len(split) == 90 and all(split[a] == split[b] for a, b in zip(ids[::2], ids[1::2], strict=True))
    assert split["r-000005"] == split["r-000006"] == "validation"


ODD_KEYS = ["a: b", "null", "日本", "𠮷野", 'quo"te', "back\\slash", " lead", "del\x7f"]
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
