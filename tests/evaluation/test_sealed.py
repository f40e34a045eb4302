"""A sealed part of the test set, and corrections of test labels after somebody saw results."""

import json
import shutil

import pytest

from chat.scripted import Scripted
from curation.example import Example, chat_row
from curation.split.manifest import read_manifest
from curation.store import open_store
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.measurement_report import read_outcomes, read_report
from evaluation.testset.holdout import sealed_items
from evaluation.testset.relabelling import check_corrections, recheck_labels
from evaluation.tuned import run_evaluation
from evaluation.verdict.rule import newest_verdict
from workspace.artefact import write_artefact
from workspace.errors import Refusal, RungError

PROMPTED = arms_named(["base", "prompt"])
TOPICS = {"card": "card", "money": "transfer", "pin": "pin"}


def perfect(ask):
    return TOPICS[ask.turns[-1]["content"].split()[0]]


def with_share(settings, share):
    return settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"sealed": share})})


def asked(project, folder):
    return {o.item for o in read_outcomes(folder / "outputs.jsonl") if o.split == "test"}


def test_sealed_items_are_asked_only_when_they_are_opened_and_are_a_test_set_of_their_own(project, settings, model):
    settings = with_share(settings, 0.5)
    three = settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"runs": 3})})
    open_part, report = run_baseline(open_bench(project, settings, model), PROMPTED)
    sealed = sealed_items(project, with_share(settings, 0.1), report.test_sha256, 36)
    assert len(sealed) == 18 and not sealed & asked(project, open_part) and report.n == 18
    tuned = Scripted(perfect, name="t")
    run_evaluation(open_bench(project, settings, tuned), "R-001", None)
    with pytest.raises(Refusal):
        run_evaluation(open_bench(project, settings, tuned, unsealed=True), "R-002", None)
    closed, _ = run_baseline(open_bench(project, settings, model, unsealed=True), PROMPTED)
    assert asked(project, closed) == sealed
    run_evaluation(open_bench(project, three, tuned, unsealed=True), "R-002", None)
    verdict = newest_verdict(project, "R-002")[1]
    assert (verdict.n, verdict.place, verdict.verdict) == (18, 1, "ship")
    assert (verdict.planned_runs, verdict.confidence) == (1, 0.95), "a sealed part is meant for one run"
    run_evaluation(open_bench(project, three, tuned, unsealed=True), "R-003", None)
    assert newest_verdict(project, "R-003")[1].verdict != "ship"


def test_nothing_is_sealed_once_it_was_measured(project, settings, model):
    _, report = run_baseline(open_bench(project, settings, model), PROMPTED)
    assert sealed_items(project, with_share(settings, 0.5), report.test_sha256, 36) == frozenset()
    with pytest.raises(Refusal, match="No part of this test set is sealed"):
        open_bench(project, with_share(settings, 0.5), model, unsealed=True)


def test_what_an_older_version_was_measured_on_is_not_sealed_any_more(project, settings, model, kit):
    run_baseline(open_bench(project, settings, model), PROMPTED)
    old = [json.loads(line) for line in (project.datasets / "v001" / "test.jsonl").read_text().splitlines()]
    kit.freeze_by_hand(project, "v002", test=old + kit.rows_of(kit.places, " at noon"), train=kit.rows_of(["there"]))
    test_sha = read_manifest(project.datasets / "v002").splits["test"].sha256
    sealed = sealed_items(project, with_share(settings, 0.3), test_sha, 60)
    assert len(sealed) == 18 and min(sealed) > 36
    assert len(sealed_items(project, with_share(settings, 0.7), f"{test_sha}", 60)) == 18


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
    run_evaluation(open_bench(project, settings, Scripted(perfect, name="t")), "R-001", None)
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
