"""The gates of the dataset are computed from store and files: what closes them, and what cannot."""

from __future__ import annotations

from typing import Any

import pytest
from freezing import approve_all, frozen, rows

from curation.freeze import plan_freeze
from curation.recheck import recheck_leakage, recheck_review
from curation.review import Ruling, decide, decide_all, next_item
from workspace.errors import Refusal


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
