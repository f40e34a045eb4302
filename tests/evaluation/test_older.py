"""Older versions whose files are not as they were frozen, and corrections of test labels after somebody saw results."""

import json
import shutil

import pytest
from bank import evaluated, ladder
from in_shell import rung

from curation.example import Example
from curation.split.manifest import read_manifest
from curation.store import open_store
from evaluation.bench import open_bench
from evaluation.looks import check_corrections, folded, older_tests, standing
from workspace.artefact import write_artefact
from workspace.errors import Refusal

VERSIONS = ("v999", "v1000", "v1001")


@pytest.mark.parametrize("change", ["{}.", "{} ?", "“{}”", "{}\u200b", "({})", "  {} !"])
def test_punctuation_makes_no_question_another_one(change):
    assert folded(change.format("Card lost at home?")) == folded("card lost at home")


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


def frozen(project, version="v001"):
    return [json.loads(line) for line in (project.datasets / version / "test.jsonl").read_text().splitlines()]


def spent(project, settings, model, kit):
    """v002 repeats the items of v001 with other punctuation, on which R-001 was scored; the bench of v002."""
    ladder(project, settings, model)
    evaluated(project, settings, kit.reply)
    rows = frozen(project) + kit.rows_of(["upstairs"], " today")
    for row in rows:
        row["messages"][0]["content"] += " ?"
    kit.freeze_by_hand(project, "v002", test=rows)
    bench = open_bench(project, settings, model)
    found = standing(project, settings, bench.test_sha256)
    assert found.runs == ("R-001 on v001",) and not found.may_ship("R-002")
    return bench


def test_an_older_scored_test_set_whose_file_is_changed_or_gone_is_refused_by_name(project, settings, model, kit):
    bench = spent(project, settings, model, kit)
    old = project.datasets / "v001" / "test.jsonl"
    for damage in (b'{"messages": [', b"\xff\xfe\n", b'{"text": "nothing of before"}\n'):
        old.write_bytes(damage)
        with pytest.raises(Refusal, match=r"v001/test\.jsonl: changed"):
            standing(project, settings, bench.test_sha256)
    old.unlink()
    with pytest.raises(Refusal, match=r"v001/test\.jsonl: gone"):
        standing(project, settings, bench.test_sha256)
    ran = rung("evaluate", "--power", cwd=project.root)
    assert ran.returncode == 1 and "v001/test.jsonl" in ran.stderr and "Traceback" not in ran.stderr


def test_a_scored_version_that_was_deleted_makes_no_spent_test_set_fresh(project, settings, model, kit):
    bench = spent(project, settings, model, kit)
    shutil.rmtree(project.datasets / "v001")
    (gone,) = standing(project, settings, bench.test_sha256).runs
    assert "R-001" in gone and "v001" in gone
    ladder(project, settings, model)
    again = evaluated(project, settings, run="R-002")[1]
    assert (again.verdict, again.place) == ("judgement", 2)
    assert any(gone in note for note in again.notes)


def named(project, settings, version):
    """The store's ids written into the manifest of a version frozen by hand."""
    folder = project.datasets / version
    rows = frozen(project, version)
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


def test_labels_change_after_a_look_only_among_rows_that_were_drawn(project, settings, model, kit):
    ids = named(project, settings, "v001")
    few = rung("evaluate", "--recheck", "3", cwd=project.root)
    assert few.returncode == 2 and "20 " in few.stderr
    ladder(project, settings, model)
    evaluated(project, settings)
    drawn = rung("evaluate", "--recheck", "20", cwd=project.root)
    assert drawn.returncode == 0 and "20 of 36" in drawn.stdout
    with open_store(project, settings) as store:
        waiting = {row.id for row in store.rows() if row.state == "pending"}
    assert len(waiting) == 20

    def corrected(name, place):
        rows = frozen(project)
        rows[place]["messages"][1]["content"] = "other"
        return kit.freeze_by_hand(project, name, test=rows, train=kit.rows_of(["there"]))

    allowed = next(n for n, row in enumerate(ids) if row in waiting)
    picked = next(n for n, row in enumerate(ids) if row not in waiting)
    folder = corrected("v002", allowed)
    named(project, settings, "v002")
    check_corrections(project, settings, folder)
    folder = corrected("v003", picked)
    with pytest.raises(Refusal, match="test"):  # as imported anew: only its question tells that it is the row
        check_corrections(project, settings, folder)
    named(project, settings, "v003")
    with pytest.raises(Refusal, match="test"):
        check_corrections(project, settings, folder)
