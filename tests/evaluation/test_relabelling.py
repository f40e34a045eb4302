"""Corrections of test labels after somebody saw results."""

import json
import shutil

import pytest
from scripted import Scripted

from curation.example import Example, chat_row
from curation.split.manifest import read_manifest
from curation.store import open_store
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.measurement_report import read_report
from evaluation.testset.relabelling import check_corrections, recheck_labels
from evaluation.tuned import run_evaluation
from workspace.artefact import write_artefact
from workspace.errors import Refusal, RungError

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
    with pytest.raises(RungError, match="20 at least, or all"):
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
    with pytest.raises(Refusal, match="outside of a blind review"):
        check_corrections(project, settings, corrected("v003", picked))
    again = imported_anew(project, kit, old, picked)
    with pytest.raises(Refusal, match="outside of a blind review"):
        check_corrections(project, settings, again)
    shutil.rmtree(again)
    recheck_labels(project, settings, "all")
    assert (
        read_report(project, "E-001")[1].test_sha256 == read_manifest(project.datasets / "v001").splits["test"].sha256
    )
