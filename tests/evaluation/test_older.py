"""Older versions whose files are not as they were frozen, and corrections of test labels after somebody saw results."""

import json
import shutil

import pytest
from in_shell import rung
from scripted import Scripted

from curation.example import Example, chat_row
from curation.split.manifest import read_manifest
from curation.store import open_store
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.looks import check_corrections, folded, older_tests, recheck_labels, standing
from evaluation.measurement_report import read_report
from evaluation.tuned import run_evaluation
from evaluation.verdict.rule import newest_verdict
from workspace.artefact import write_artefact
from workspace.errors import Refusal, RungError

VERSIONS = ("v999", "v1000", "v1001")


@pytest.mark.parametrize("damage", [b'{"messages": [', b"\xff\xfe\n", b'{"text": "nothing of before"}\n'])
def test_an_older_scored_test_set_that_was_changed_is_refused_by_name(project, settings, model, kit, damage):
    run_baseline(open_bench(project, settings, model), arms_named(["base", "prompt"]))
    run_evaluation(open_bench(project, settings, Scripted(kit.reply, name="t")), "R-001", "Topic.")
    folder = kit.freeze_by_hand(project, "v002", test=kit.rows_of(kit.PLACES, " today"))
    bench = open_bench(project, settings, model)
    assert bench.dataset == folder
    assert standing(project, settings, bench.test_sha256).runs == ("R-001 on v001",)
    old = project.datasets / "v001" / "test.jsonl"
    old.write_bytes(damage)
    with pytest.raises(Refusal, match=r"test\.jsonl"):
        standing(project, settings, bench.test_sha256)


@pytest.mark.parametrize("change", ["{}.", "{} ?", "“{}”", "{}\u200b", "({})", "  {} !"])
def test_punctuation_makes_no_scored_item_new(project, settings, model, kit, change):
    run_baseline(open_bench(project, settings, model), arms_named(["base", "prompt"]))
    run_evaluation(open_bench(project, settings, Scripted(kit.reply, name="t")), "R-001", "Topic.")
    rows = [json.loads(line) for line in (project.datasets / "v001" / "test.jsonl").read_text().splitlines()]
    for row in rows:
        user = next(turn for turn in row["messages"] if turn["role"] == "user")
        user["content"] = change.format(user["content"])
    kit.freeze_by_hand(project, "v002", test=rows)
    found = standing(project, settings, open_bench(project, settings, model).test_sha256)
    assert len(found.runs) == 1 and not found.may_ship("R-002")


@pytest.mark.parametrize(
    ("one", "other"),
    [("C++?", "C?"), ("is it -1", "is it 1"), ("1.5 mg", "15 mg"), ("a<b", "a>b"), ("नमस्ते", "नमसत"), ("?", "!")],
)
def test_signs_that_change_a_question_keep_it_another_one(one, other):
    assert folded(one) != folded(other)


def test_versions_come_oldest_first_beyond_three_digits(project, kit):
    made = [kit.freeze_by_hand(project, v, test=kit.rows_of(kit.PLACES, " " * n)) for n, v in enumerate(VERSIONS, 1)]
    shas = [read_manifest(folder).splits["test"].sha256 for folder in made]
    assert [older.version for older in older_tests(project, shas[2], shas, ())] == ["v999", "v1000"]


def spent(project, settings, model, kit):
    """v002 repeats the items of v001, on which R-001 was scored; the bench of v002."""
    run_baseline(open_bench(project, settings, model), arms_named(["base", "prompt"]))
    run_evaluation(open_bench(project, settings, Scripted(kit.reply, name="t")), "R-001", "Topic.")
    old = (project.datasets / "v001" / "test.jsonl").read_text()
    rows = [json.loads(line) for line in old.splitlines()] + kit.rows_of(["upstairs"], " today")
    kit.freeze_by_hand(project, "v002", test=rows)
    bench = open_bench(project, settings, model)
    assert standing(project, settings, bench.test_sha256).runs == ("R-001 on v001",)
    return bench


def test_an_older_scored_test_set_whose_file_is_gone_is_refused_by_name(project, settings, model, kit):
    bench = spent(project, settings, model, kit)
    (project.datasets / "v001" / "test.jsonl").unlink()
    with pytest.raises(Refusal, match=r"v001/test\.jsonl: gone"):
        standing(project, settings, bench.test_sha256)
    ran = rung("evaluate", "--power", cwd=project.root)
    assert ran.returncode == 1 and "v001/test.jsonl" in ran.stderr and "Traceback" not in ran.stderr


def test_a_scored_version_that_was_deleted_makes_no_spent_test_set_fresh(project, settings, model, kit):
    bench = spent(project, settings, model, kit)
    shutil.rmtree(project.datasets / "v001")
    (gone,) = standing(project, settings, bench.test_sha256).runs
    assert "R-001" in gone and "v001" in gone
    run_baseline(bench, arms_named(["base", "prompt"]))
    run_evaluation(open_bench(project, settings, Scripted(kit.perfect, name="t")), "R-002", "Topic.")
    again = newest_verdict(project, "R-002")[1]
    assert (again.verdict, again.place) == ("judgement", 2)
    assert any(gone in note for note in again.notes)


PROMPTED = arms_named(["base", "prompt"])


def named(project, settings, version):
    """The store's ids written into the manifest of a version frozen by hand."""
    folder = project.datasets / version
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    with open_store(project, settings) as store:
        known = {row.example.question: row.id for row in store.rows()}
        fresh = [row for row in rows if row["messages"][0]["content"] not in known]
        store.add([Example(row) for row in fresh], role="test")
        known = {row.example.question: row.id for row in store.rows()}
    entries = [
        {"split": "test", "line": n, "id": known[row["messages"][0]["content"]]} for n, row in enumerate(rows, 1)
    ]
    write_artefact(folder / "manifest.json", read_manifest(folder).model_copy(update={"rows": entries}))
    return [entry["id"] for entry in entries]


def imported_anew(project, kit, old, place):
    """A version whose corrected row came in as another row of the store: only its question tells that it is one."""
    rows = [chat_row(r["messages"][0]["content"], "other" if n == place else r["messages"][1]["content"])
            for n, r in enumerate(old)]  # fmt: skip
    return kit.freeze_by_hand(project, "v004", test=rows, train=kit.rows_of(["there"]))


def test_labels_change_after_a_look_only_among_rows_that_were_drawn(project, settings, model, kit):
    ids = named(project, settings, "v001")
    with pytest.raises(RungError, match="20 "):
        recheck_labels(project, settings, "3")
    run_baseline(open_bench(project, settings, model), PROMPTED)
    run_evaluation(open_bench(project, settings, Scripted(kit.perfect, name="t")), "R-001", None)
    drawn = recheck_labels(project, settings, "20")
    assert (drawn.rows, drawn.of) == (20, 36)
    with open_store(project, settings) as store:
        waiting = {row.id for row in store.rows() if row.state == "pending"}
    assert len(waiting) == 20
    old = [json.loads(line) for line in (project.datasets / "v001" / "test.jsonl").read_text().splitlines()]

    def corrected(name, place):
        rows = [chat_row(r["messages"][0]["content"], "other" if n == place else r["messages"][1]["content"])
                for n, r in enumerate(old)]  # fmt: skip
        folder = kit.freeze_by_hand(project, name, test=rows, train=kit.rows_of(["there"]))
        named(project, settings, name)
        return folder

    allowed = next(n for n, row in enumerate(ids) if row in waiting)
    picked = next(n for n, row in enumerate(ids) if row not in waiting)
    check_corrections(project, settings, corrected("v002", allowed))
    with pytest.raises(Refusal, match="test"):
        check_corrections(project, settings, corrected("v003", picked))
    again = imported_anew(project, kit, old, picked)
    with pytest.raises(Refusal, match="test"):
        check_corrections(project, settings, again)
    shutil.rmtree(again)
    recheck_labels(project, settings, "all")
    assert (
        read_report(project, "E-001")[1].test_sha256 == read_manifest(project.datasets / "v001").splits["test"].sha256
    )
