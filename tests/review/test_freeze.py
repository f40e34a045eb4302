from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curation.example import Example, chat_row
from curation.freeze import difference, freeze, plan_freeze
from curation.manifest import load_split, newest_dataset, read_manifest
from curation.recheck import recheck_leakage, recheck_review
from curation.review import Ruling, decide, decide_all, next_item
from workspace.errors import Refusal

WORDS = [f"word{n}" for n in range(4000)]


def rows(count: int, seed: int, answer: str = "") -> list[Example]:
    """Rows of which none is near another."""
    draw = random.Random(seed)
    return [Example(chat_row(" ".join(draw.sample(WORDS, 14)), answer or f"label {n % 5}")) for n in range(count)]


def approve_all(desk: Any, name: str = "dana") -> None:
    waiting = [row.id for row in desk.store.rows() if row.queued and row.state == "pending"]
    decide_all(desk, name, [(each, Ruling("approve")) for each in waiting], kind="person")


@pytest.fixture
def desk(make_desk: Any) -> Any:
    """60 pool rows and 20 test rows, all to be reviewed."""
    made = make_desk(pool="all")
    made.store.add(rows(60, 1), role="pool")
    made.store.add(rows(20, 2), role="test")
    plan_freeze(made.store, made.project, made.settings)
    return made


def frozen(desk: Any, **more: Any) -> Any:
    return freeze(desk.project, desk.settings, store=desk.store, **more)


def test_undecided_rows_are_named_and_nothing_is_written(desk: Any) -> None:
    with pytest.raises(Refusal, match=r"80 rows wait for review.*r-000001") as refused:
        frozen(desk)
    assert refused.value.exit_code == 1 and not list(desk.project.datasets.glob("v*"))
    with pytest.raises(Refusal, match=r"20 rows wait for review.*r-000061"):
        frozen(desk, test_only=True)


def test_a_test_set_alone_stays_byte_for_byte_in_the_whole_version(desk: Any) -> None:
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


def test_a_test_set_taken_from_the_pool_stays_too(make_desk: Any) -> None:
    desk = make_desk(pool="trust")
    desk.store.add(rows(100, 1), role="pool")
    alone = frozen(desk, test_only=True)
    assert 8 <= alone.manifest.splits["test"].rows <= 12
    desk.store.add(rows(50, 3), role="pool")
    whole = frozen(desk)
    assert whole.manifest.splits["test"].sha256 == alone.manifest.splits["test"].sha256
    assert sum(split.rows for split in whole.manifest.splits.values()) == 150
    assert "trusted without review" in (whole.folder / "README.md").read_text()


def test_every_line_has_its_origin_reviewer_and_decision(desk: Any, tmp_path: Path) -> None:
    from curation.ingest import ingest, read_batches

    file = tmp_path / "more.jsonl"
    file.write_text("\n" + rows(1, 5)[0].to_json() + "\n")
    (batch,) = read_batches([file], "candidates")
    ingest(desk.store, desk.settings, batch, "candidates")
    desk.project.guideline_file.write_text("# Guide\n")
    approve_all(desk)
    done = frozen(desk)
    told = {entry["id"]: entry for entry in done.manifest.rows}
    assert len(told) == 81 and told["r-000081"]["source"] == f"{file}:2"
    assert told["r-000081"]["source_sha256"] == batch.sha256
    for entry in done.manifest.rows:
        assert (entry["state"], entry["reviewer"], entry["guideline"]) == ("approved", "dana", 1) and entry["decision"]
        line = (done.folder / f"{entry['split']}.jsonl").read_text().split("\n")[entry["line"] - 1]
        assert json.loads(line) == desk.store.row(entry["id"]).example.row


def test_rejected_rows_go_edits_stay_and_the_manifest_says_so(desk: Any) -> None:
    item = next_item(desk, "dana", want="r-000001").item
    decide(desk, item.id, item.token, "dana", Ruling("reject", reason="wrong answer"))
    item = next_item(desk, "dana", want="r-000002").item
    decide(desk, item.id, item.token, "dana", Ruling("edit", text="another label"))
    approve_all(desk)
    done = frozen(desk)
    assert [(entry["id"], entry["reason"]) for entry in done.manifest.dropped] == [("r-000001", "rejected in review")]
    texts = [row.answer for split in ("train", "validation") for row in load_split(done.folder, split)]
    assert "another label" in texts and len(texts) == 59


def test_undecided_candidates_stop_it_or_are_left_in_the_queue(desk: Any) -> None:
    approve_all(desk)
    desk.store.add(rows(3, 9), role="candidates", origin="generated")
    with pytest.raises(Refusal, match="3 generated or candidate rows have no decision yet: r-000081"):
        frozen(desk)
    done = frozen(desk, leave_out=True)
    assert {entry["reason"] for entry in done.manifest.dropped} == {"waits for review"}
    assert not {entry["id"] for entry in done.manifest.rows} & {"r-000081", "r-000082", "r-000083"}


def test_generated_rows_stay_out_of_validation_and_test(make_desk: Any) -> None:
    desk = make_desk(pool="trust")
    desk.store.add(rows(40, 1), role="pool")
    desk.store.add(rows(200, 2), role="candidates", origin="generated")
    approve_all(desk)
    done = frozen(desk)
    assert {entry["split"] for entry in done.manifest.rows if entry["origin"] == "generated"} == {"train"}
    assert done.manifest.review["generated"] == 200


def test_contradictions_stop_it_until_one_is_settled(make_desk: Any) -> None:
    desk = make_desk(pool="trust")
    desk.store.add(rows(60, 1), role="pool")
    question = "Type 2 diabetes with a foot ulcer on the left side and insulin treatment for nine years now"
    desk.store.add([Example(chat_row(question, answer)) for answer in ("E11.621", "E11.40")], role="pool")
    with pytest.raises(Refusal, match=r"1 pairs ask the same question.*r-000061.*r-000062"):
        frozen(desk)
    event = desk.store.event("dismiss", "priya", "contradictions", {"reason": "both", "rows": ["r-000061", "r-000062"]})
    assert frozen(desk).manifest.version == "v001"
    desk.store.event("undismiss", "priya", str(event), {})
    desk.store.queue(["r-000061", "r-000062"], "contradiction", "contradictions")
    with pytest.raises(Refusal, match="2 rows wait for review"):
        frozen(desk)
    decide_all(desk, "mo", [("r-000061", Ruling("approve")), ("r-000062", Ruling("reject"))], kind="person")
    assert frozen(desk).manifest.version == "v002"


def test_leaks_stop_it_and_name_both_rows(make_desk: Any) -> None:
    desk = make_desk(pool="trust")
    desk.store.add(rows(60, 1), role="pool")
    test = rows(20, 2)
    desk.store.add(test, role="test")
    desk.store.add([Example(chat_row(test[3].question + " today", "label 3"))], role="pool")
    with pytest.raises(Refusal, match=r"1 row leaks the test set: r-000081.* test r-000064") as refused:
        frozen(desk)
    assert refused.value.hint == "rung data fix leaks"
    desk.store.exclude(["r-000081"], "leaks into test", "leaks")
    assert frozen(desk).manifest.splits["test"].rows == 20


def test_minimal_pairs_stand_on_one_side_and_marked_rows_in_validation(make_desk: Any) -> None:
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


def test_the_same_rows_and_seed_give_the_same_files(make_desk: Any, tmp_path: Path) -> None:
    from curation.store import open_store
    from workspace.folder import Project
    from workspace.settings import Settings

    settings = Settings.model_validate({"review": {"pool": "trust"}})
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rung.toml").write_text("")
        with open_store(Project(tmp_path / name), settings) as store:
            store.add(rows(80, 4), role="pool")
            found.append(freeze(Project(tmp_path / name), settings, store=store).manifest.splits)
    assert found[0] == found[1]


def test_the_gates_are_computed_from_store_and_files(desk: Any) -> None:
    approve_all(desk)
    done = frozen(desk)

    def gates() -> tuple[Any, Any]:
        parts = (desk.project, desk.settings, done.folder, desk.store)
        return recheck_review(*parts), recheck_leakage(*parts)

    review, leakage = gates()
    assert review.passed and leakage.passed and gates() == (review, leakage)
    assert review.fact.startswith("80 of 80 decided")
    from curation.review import undo

    undo(desk, "r-000001", "dana")
    assert not gates()[0].passed and "r-000001 has no decision" in gates()[0].why
    decide_all(desk, "dana", [("r-000001", Ruling("edit", text="changed after"))], kind="person")
    assert "r-000001 is not what was frozen" in gates()[0].why
    change = desk.store.exclude(["r-000002"], "a leak", "leaks")
    assert "r-000002 was taken out since" in gates()[0].why
    desk.store.undo(change)
    train = done.folder / "train.jsonl"
    train.write_bytes(train.read_bytes().replace(b"label 1", b"label 2", 1))
    with pytest.raises(Refusal, match="changed since it was frozen"):
        gates()


def test_a_hand_made_manifest_does_not_pass_the_gates(desk: Any) -> None:
    """Files and manifest changed together, hashes and all: the store knows better, and leaks are looked for again."""
    from workspace.artefact import write_artefact
    from workspace.files import sha256_bytes

    approve_all(desk)
    done = frozen(desk)
    train, test = (done.folder / f"{name}.jsonl" for name in ("train", "test"))
    lines = train.read_bytes().split(b"\n")
    lines[0] = test.read_bytes().split(b"\n")[0]
    train.write_bytes(b"\n".join(lines))
    entry = done.manifest.splits["train"].model_copy(update={"sha256": sha256_bytes(train.read_bytes())})
    forged = done.manifest.model_copy(update={"splits": {**done.manifest.splits, "train": entry}})
    write_artefact(done.folder / "manifest.json", forged)
    parts = (desk.project, desk.settings, done.folder, desk.store)
    assert not recheck_review(*parts).passed and "not what was frozen" in recheck_review(*parts).why
    assert not recheck_leakage(*parts).passed and recheck_leakage(*parts).evidence["test"] == 1


def test_a_sample_must_be_finished_and_a_failed_one_closes_the_gate(make_desk: Any) -> None:
    desk = make_desk(pool="sample", sample=20)
    desk.store.add(rows(200, 1), role="pool")
    with pytest.raises(Refusal, match="20 rows wait for review, and the policy asks for the drawn sample"):
        frozen(desk)
    first = next_item(desk, "dana").item
    decide(desk, first.id, first.token, "dana", Ruling("reject"))
    approve_all(desk)
    done = frozen(desk)
    assert done.manifest.review["samples"][0]["faults"] == 1
    gate = recheck_review(desk.project, desk.settings, done.folder, desk.store)
    assert not gate.passed and "1 of 20 sampled pool rows were faulty, 0 allowed" in gate.why
    assert gate.opener.startswith("rung review sample")


def test_the_gate_reads_the_lower_bounds_that_the_policy_sets(make_desk: Any) -> None:
    desk = make_desk(pool="all", overlap=1.0)
    desk.store.add(rows(60, 1), role="pool")
    desk.store.add(rows(12, 2), role="test")
    waiting = [row.id for row in desk.store.rows()]
    plan_freeze(desk.store, desk.project, desk.settings)
    faulty = set(waiting[:8])

    def check(**policy: float) -> Any:
        strict = make_desk(pool="all", overlap=1.0, **policy)
        return recheck_review(desk.project, strict.settings, done.folder, desk.store)

    for who, named in (("dana", waiting[:30]), ("mo", waiting[:30])):
        decide_all(desk, who, [(n, Ruling("reject" if n in faulty else "approve")) for n in named], kind="person")
    for who in ("dana", "mo"):
        decide_all(desk, who, [(n, Ruling("approve")) for n in waiting[30:]], kind="person")
    done = frozen(desk)
    assert check().passed
    met = check(agreement_at_least=0.95, rejects_at_least=0.6)
    assert met.passed and met.evidence["agreement_low"] == round(0.05 ** (1 / 72), 6)
    over = check(rejects_at_least=0.9)
    assert not over.passed and "agreement on rejects is 100.0%, at least 68.8%" in over.why and "overlap" in over.opener
    assert check(agreement_at_least=0.97).why == (
        "agreement is 100.0%, at least 95.9% with 95% confidence; 97.0% is asked for"
    )
    assert check(agreement_at_least=0.9).evidence == check(agreement_at_least=0.9).evidence


def test_unknown_agreement_does_not_pass(make_desk: Any) -> None:
    desk = make_desk(pool="all", agreement_at_least=0.5, rejects_at_least=0.5)
    desk.store.add(rows(60, 1), role="pool")
    plan_freeze(desk.store, desk.project, desk.settings)
    approve_all(desk)
    found = recheck_review(desk.project, desk.settings, frozen(desk).folder, desk.store)
    assert not found.passed and "agreement is unknown: 0 rows were decided by two people, 40 are needed" in found.why
    assert found.evidence["agreement_low"] == "unknown"


def test_an_open_review_under_a_new_guideline_closes_the_gate(make_desk: Any) -> None:
    from curation.review.again import review_again, touched_rows

    desk = make_desk(pool="all")
    desk.project.guideline_file.write_text("# G\n\nCode it.\n")
    desk.store.add(rows(60, 1), role="pool")
    plan_freeze(desk.store, desk.project, desk.settings)
    approve_all(desk)
    done = frozen(desk)
    assert recheck_review(desk.project, desk.settings, done.folder, desk.store).passed
    word = desk.store.rows()[0].example.question.split()[0]
    desk.project.guideline_file.write_text(f"# G\n\nCode it.\n{word} is to be coded first.\n")
    touched = touched_rows(desk)
    change = review_again(desk, touched, actor="lena")
    closed = recheck_review(desk.project, desk.settings, done.folder, desk.store)
    assert not closed.passed and "has no decision (pending)" in closed.why and closed.opener == "rung review"
    desk.store.undo(change)
    assert recheck_review(desk.project, desk.settings, done.folder, desk.store).passed
    review_again(desk, touched, actor="lena")
    approve_all(desk, "mo")
    assert recheck_review(desk.project, desk.settings, done.folder, desk.store).passed


def test_automatic_decisions_count_only_by_policy_and_are_told(make_desk: Any) -> None:
    desk = make_desk(pool="all", accept_automatic=True)
    desk.store.add(rows(40, 1), role="pool")
    plan_freeze(desk.store, desk.project, desk.settings)
    decide_all(desk, "code table", [(f"r-{n:06d}", Ruling("approve")) for n in range(1, 41)])
    done = frozen(desk)
    assert done.manifest.review["automatic"] == 40 and done.manifest.review["by_person"] == 0
    assert "40 by an automatic reviewer, which is no expert review" in (done.folder / "README.md").read_text()
    gate = recheck_review(desk.project, desk.settings, done.folder, desk.store)
    assert gate.passed and "40 by an automatic reviewer" in gate.fact
    strict = make_desk(pool="all", accept_automatic=False)
    assert not recheck_review(strict.project, strict.settings, done.folder, strict.store).passed


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


def test_versions_are_compared_row_by_row(desk: Any) -> None:
    approve_all(desk)
    first = frozen(desk)
    decide_all(desk, "mo", [("r-000010", Ruling("edit", text="another"))], kind="person")
    desk.store.exclude(["r-000011"], "by hand", "pii")
    desk.store.add(rows(1, 77), role="candidates")
    approve_all(desk)
    second = frozen(desk)
    found = difference(first.folder, second.folder)
    assert (found.added, found.removed, found.same_test) == (("r-000081",), ("r-000011",), True)
    assert found.changed == ("r-000010",)
    assert difference(first.folder, first.folder).changed == ()


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
    assert "- licence CC-BY-4.0: 60 rows" in card and "- licence CC0-1.0: 1 rows" in card
    assert "5 of 5 classes have fewer than" in card and "stands in the way of training" in card


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from curation.freeze import freeze
from workspace.folder import Project
from workspace.settings import Settings
def watch(folder, seen):
    while True:
        if any(folder.glob(seen)):
            os.kill(os.getpid(), signal.SIGKILL)
project = Project(Path(sys.argv[1]))
threading.Thread(target=watch, args=(project.datasets, sys.argv[2]), daemon=True).start()
freeze(project, Settings.model_validate({"review": {"pool": "trust"}}))
"""


@pytest.mark.parametrize("seen", [".tmp/v001", ".tmp/v001/train.jsonl", ".tmp/v001/manifest.json", "v001"])
def test_killed_at_any_point_it_leaves_nothing_or_everything(make_desk: Any, seen: str) -> None:
    desk = make_desk(pool="trust")
    desk.store.add(rows(400, 1), role="pool")
    command = [sys.executable, "-c", KILLED, str(desk.project.root), seen]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode in (-signal.SIGKILL, 0), ended.stderr
    for folder in desk.project.datasets.glob("v*"):
        assert sum(len(load_split(folder, split)) for split in read_manifest(folder).splits) == 400
    assert (newest_dataset(desk.project) is None) == (not list(desk.project.datasets.glob("v*")))
    done = frozen(desk)
    assert [event.ref for event in desk.store.events(kind="freeze")] == ["v001"]
    assert done.manifest.version == "v001" and not (desk.project.datasets / ".tmp").exists()


AT_OPERATION = """
import json, os, shutil, signal, sys
from pathlib import Path
from curation.freeze import freeze, plan_freeze
from curation.manifest import load_split, read_manifest
from curation.store import open_store
from workspace.folder import Project
from workspace.settings import Settings

project = Project(Path(sys.argv[1]))
settings = Settings.model_validate({"review": {"pool": "trust"}})
with open_store(project, settings) as store:
    plan_freeze(store, project, settings)

def child(kill_at):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if not event.startswith(("open", "os.", "shutil.")) or str(project.datasets) not in str(arguments):
            return
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    freeze(project, settings)
    os._exit(0)

left, status = [], 9
while os.WIFSIGNALED(status):
    pid = os.fork()
    if not pid:
        child(len(left) + 1)
    status = os.waitpid(pid, 0)[1]
    folders = sorted(project.datasets.glob("v*"))
    left.append([[p.name, sum(len(load_split(p, s)) for s in read_manifest(p).splits)] for p in folders])
    shutil.rmtree(project.datasets, ignore_errors=True)
print(json.dumps(left))
"""


@pytest.mark.slow
def test_killed_before_any_file_operation_it_leaves_nothing_or_everything(make_desk: Any) -> None:
    """SIGKILL before the first, the second ... opening, making, renaming, removing below `datasets/`."""
    desk = make_desk(pool="trust")
    desk.store.add(rows(40, 1), role="pool")
    command = [sys.executable, "-c", AT_OPERATION, str(desk.project.root)]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode == 0 and not ended.stderr, ended.stderr
    left = json.loads(ended.stdout)
    there = left.index([["v001", 40]])
    assert there > 15 and left == [[]] * there + [[["v001", 40]]] * (len(left) - there)
    assert frozen(desk).manifest.version == "v001"
