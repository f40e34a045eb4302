"""The gates of the dataset are computed from store and files: what closes them, and what cannot."""

import json
import math
import re
from typing import Any

import pytest
from freezing import approve_all, frozen, rows
from sqlalchemy import update

from curation.checks.fixes import dismiss
from curation.checks.run import check_project
from curation.example import Example, chat_row
from curation.review import Ruling, decide_all, draw_again, progress, undo
from curation.review.guideline import review_again, touched_rows
from curation.review.progress import most_faulty
from curation.split.audit import recheck_leakage, recheck_review, reviewed_under
from curation.split.plan import plan_freeze
from curation.store import tables
from curation.store.records import number_of
from curation.store.vouching import fault_of
from workspace.artefact import write_artefact
from workspace.errors import Refusal
from workspace.settings import load_settings


def test_the_gates_are_computed_from_store_and_files(desk):
    approve_all(desk)
    done = frozen(desk)

    def gates() -> tuple[Any, Any]:
        parts = (desk.project, desk.settings, done.folder, desk.store)
        return recheck_review(*parts), recheck_leakage(*parts)

    def closed(opener: str) -> str:
        """Why the review's gate is closed; this command opens it."""
        assert (gates()[0].passed, gates()[0].opener) == (False, opener)
        return str(gates()[0].why)

    review, leakage = gates()
    assert review.passed and leakage.passed and gates() == (review, leakage)
    assert re.match(r"80\D+80\b", review.fact)

    undo(desk, "r-000001", "dana")
    assert re.findall(r"r-\d+", closed("rung review")) == ["r-000001"]
    decide_all(desk, "dana", [("r-000001", Ruling("edit", text="changed after"))], kind="person")
    assert re.findall(r"r-\d+", closed("rung data freeze")) == ["r-000001"]
    change = desk.store.exclude([f"r-{n:06d}" for n in (2, 3, 4)], "a leak", "leaks")
    why = closed("rung data freeze")
    assert "r-000002" in why and "a leak" in why and re.findall(r" \d+ ", why) == [" 1 "], "one more than is named"
    desk.store.undo(change)
    desk.store.exclude([f"r-{n:06d}" for n in (2, 3)], "a leak", "leaks")
    assert not re.search(r" \d+ ", closed("rung data freeze"))
    train = done.folder / "train.jsonl"
    train.write_bytes(train.read_bytes().replace(b"label 1", b"label 2", 1))
    with pytest.raises(Refusal) as changed:
        gates()
    assert changed.value.where == str(train)


def gate_of(desk, done) -> Any:
    return recheck_review(desk.project, desk.settings, done.folder, desk.store)


def planned(make_desk, count: int = 60, **review):
    """A desk on so many pool rows under this policy, its samples drawn."""
    desk = make_desk(**review)
    desk.store.add(rows(count, 1), role="pool")
    plan_freeze(desk.store, desk.project, desk.settings)
    return desk


def told(phrase: str, count: int, seed: int) -> list[Example]:
    """Rows that are this phrase and four words of their own."""
    return [
        Example(chat_row(f"{phrase} {' '.join(row.question.split()[:4])}", row.answer)) for row in rows(count, seed)
    ]


def test_what_the_freeze_refuses_is_what_the_check_shows_and_the_fix_mends(make_desk):
    """A phrase of many undecided rows is a template; without them it is a leak, and the rows that hold it go."""
    desk = make_desk(pool="trust")
    phrase = " ".join(f"phrase{n}" for n in range(24))
    desk.store.add([*rows(200, 1), *told(phrase, 3, 2)], role="pool")
    desk.store.add([*rows(30, 3), *told(phrase, 10, 4)], role="test")
    desk.store.add(told(phrase, 80, 5), role="candidates", origin="generated")

    def shown() -> set[str]:
        checkup = check_project(desk.store, desk.project, desk.settings)
        return {finding.name for finding in checkup.findings if finding.severity == "blocks"}

    assert shown() == set()
    assert [each.kind for each in plan_freeze(desk.store, desk.project, desk.settings).blockers] == ["undecided"]
    done = frozen(desk, leave_out=True)
    gone = [entry["id"] for entry in done.manifest.dropped if "(contained)" in entry["reason"]]
    assert gone == ["r-000201", "r-000202", "r-000203"]
    assert recheck_leakage(desk.project, desk.settings, done.folder, desk.store).passed

    waiting = [row.id for row in desk.store.rows() if row.role == "candidates"]
    decide_all(desk, "dana", [(name, Ruling("reject", reason="no")) for name in waiting], kind="person")
    assert shown() == {"leaks"}
    assert [each.kind for each in plan_freeze(desk.store, desk.project, desk.settings).blockers] == ["leaks"]


def test_dismissed_leaks_are_counted_and_pass_each_pair_by_itself(make_desk):
    """A train row that holds a validation item, and one that holds two test items."""
    desk = make_desk(pool="trust")
    validation, test = rows(10, 2), rows(20, 3, "both")
    long = " ".join(row.question for row in (*rows(3, 4), validation[0], *rows(3, 5)))
    leaks = [chat_row(long, validation[0].answer), chat_row(f"{test[0].question}\n{test[1].question}", "both")]
    held = desk.store.add([*map(Example, leaks), *rows(60, 1)], role="train").ids[1]
    desk.store.add(validation, role="validation")
    one = desk.store.add(test, role="test").ids[0]
    checkup = check_project(desk.store, desk.project, desk.settings)
    dismiss(desk.store, checkup, "leaks", by="dana", reason="they differ")
    done = frozen(desk)

    def gate() -> tuple[Any, ...]:
        found = recheck_leakage(desk.project, desk.settings, done.folder, desk.store)
        return found.passed, *found.evidence.values()

    assert gate() == (True, 0, 0, 3)
    (dismissed,) = desk.store.events(kind="dismiss")
    desk.store.event("undismiss", "dana", str(dismissed.id), {})
    assert gate() == (False, 2, 1, 0)
    detail = {"reason": "they differ", "rows": [one, held], "pairs": [[one, held]]}
    desk.store.event("dismiss", "dana", "leaks", detail)
    assert gate() == (False, 1, 1, 1), "of one row no other pair"


def test_the_gate_reads_the_lower_bounds_that_the_policy_sets(make_desk):
    desk = make_desk(pool="all", overlap=1.0)
    desk.store.add(rows(60, 1), role="pool")
    desk.store.add(rows(12, 2), role="test")
    waiting = [row.id for row in desk.store.rows()]
    plan_freeze(desk.store, desk.project, desk.settings)
    faulty = set(waiting[:8])

    def check(**policy: float):
        return gate_of(make_desk(pool="all", overlap=1.0, **policy), done)

    for who, named in (("dana", waiting[:30]), ("mo", waiting[:30])):
        decide_all(desk, who, [(n, Ruling("reject" if n in faulty else "approve")) for n in named], kind="person")
    for who in ("dana", "mo"):
        decide_all(desk, who, [(n, Ruling("approve")) for n in waiting[30:]], kind="person")
    done = frozen(desk)
    assert check().passed
    met = check(agreement_at_least=0.95, rejects_at_least=0.6)
    assert met.passed and met.evidence["agreement_low"] == round(0.05 ** (1 / 72), 6)
    assert met.evidence["rejects_low"] == round(0.05 ** (1 / 8), 6) and "kappa 1.00 (95%: " in met.fact
    over = check(rejects_at_least=0.9)
    assert not over.passed and "overlap" in over.opener
    assert re.findall(r"[\d.]+%", over.why) == ["100.0%", "68.8%", "95%", "90.0%"]
    assert re.findall(r"[\d.]+%", check(agreement_at_least=0.97).why) == ["100.0%", "95.9%", "95%", "97.0%"]
    exactly = progress(desk).agreement.raw_low
    assert exactly is not None and check(agreement_at_least=exactly).passed
    assert not check(agreement_at_least=math.nextafter(exactly, 1)).passed
    assert check(agreement_at_least=0.9).evidence == check(agreement_at_least=0.9).evidence


def test_an_open_review_under_a_new_guideline_closes_the_gate(make_desk):
    desk = planned(make_desk, pool="all")
    desk.project.guideline_file.write_text("# G\n\nCode it.\n")
    approve_all(desk)
    done = frozen(desk)
    assert gate_of(desk, done).passed
    desk.project.guideline_file.write_text("# G\n\nCode it.\nCode the first one first.\n")
    touched = touched_rows(desk)
    change = review_again(desk, touched, actor="lena")
    closed = gate_of(desk, done)
    assert not closed.passed and "(pending)" in closed.why and closed.opener == "rung review"
    desk.store.undo(change)
    assert gate_of(desk, done).passed
    review_again(desk, touched, actor="lena")
    approve_all(desk, "mo")
    assert gate_of(desk, done).passed


def test_automatic_decisions_count_only_by_policy_and_are_told(make_desk):
    desk = planned(make_desk, 40, pool="all", accept_automatic=True)
    decide_all(desk, "code table", [(f"r-{n:06d}", Ruling("approve")) for n in range(1, 41)])
    done = frozen(desk)
    assert done.manifest.review["automatic"] == 40 and done.manifest.review["by_person"] == 0
    assert re.search(r"\b40\b.*\bautomatic\b", (done.folder / "README.md").read_text())
    gate = gate_of(desk, done)
    assert gate.passed and re.findall(r"\d+", gate.fact) == ["40", "40", "40", "0"]
    assert (gate.evidence["automatic"], gate.evidence["person"]) == (40, 0)
    strict = make_desk(pool="all", accept_automatic=False)
    assert not gate_of(strict, done).passed
    decide_all(desk, "dana", [(f"r-{n:06d}", Ruling("approve")) for n in range(1, 41)], kind="person")
    decide_all(desk, "spelling", [(f"r-{n:06d}", Ruling("approve")) for n in range(1, 41)])
    gate = gate_of(strict, frozen(desk))
    assert gate.passed and (gate.evidence["automatic"], gate.evidence["person"]) == (0, 40), (
        "a person's beside programs"
    )


@pytest.mark.parametrize(
    "statement", ["UPDATE decisions SET remark = 'read twice' WHERE id = 3", "DELETE FROM decisions WHERE id = 3"]
)
def test_a_changed_line_of_the_log_and_a_changed_file_are_noticed(make_desk: Any, url: str, statement: str) -> None:
    desk = planned(make_desk, 40, url=url, pool="all")
    approve_all(desk)
    manifest = frozen(desk).folder / "manifest.json"

    def fault() -> bool:
        return bool(fault_of(desk.project, desk.settings, manifest))

    undo(desk, "r-000040", "dana")
    assert not fault()
    written = manifest.read_bytes()
    manifest.write_bytes(written + b"\n")
    assert fault()
    manifest.write_bytes(written)
    assert not fault()
    with desk.store.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ALTER TABLE decisions DISABLE TRIGGER ALL")
        else:
            for name in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars():
                connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql(statement)
    assert fault()


def write_policy(project, policy: dict[str, Any]) -> None:
    """rung.toml, with this `[review]`."""
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in policy.items()]
    project.settings_file.write_text("[review]\n" + "".join(lines))


@pytest.fixture
def sampled(make_desk, project):
    """`sampled(faults)`: 75 frozen pool rows, a sample of 10 with so many rejected; the desk and the version."""

    def make(faults: int = 1, **review) -> tuple[Any, Any]:
        policy = {"pool": "sample", "sample": 10, **review}
        write_policy(project, policy)
        desk = planned(make_desk, 75, **policy)
        drawn = [row.id for row in desk.store.rows() if row.in_sample]
        decide_all(desk, "dana", [(name, Ruling("reject")) for name in drawn[:faults]], kind="person")
        approve_all(desk)
        return desk, frozen(desk)

    return make


SAMPLE = 'rung review sample   (a new sample), or [review] pool = "all"'
"""Commands that open the gate after a failed sample."""


def recheck(desk, done, **today):
    """The gate as a process sees it whose environment says `today`."""
    given = {f"RUNG_REVIEW__{key.upper()}": str(value) for key, value in today.items()}
    settings = load_settings(desk.project.settings_file, given)
    return recheck_review(desk.project, settings, done.folder, desk.store)


def test_the_manifest_says_what_was_asked_for_and_which_rows_were_drawn(sampled):
    desk, done = sampled(0, agreement_at_least=0.9)
    policy, (sample,) = done.manifest.policy, done.manifest.review["samples"]
    assert (policy["pool"], policy["sample"], policy["allowed_faults"]) == ("sample", 10, 0)
    assert (policy["agreement_at_least"], policy["rejects_at_least"], policy["second_edit"]) == (0.9, None, False)
    assert sample["rows"] == [row.id for row in desk.store.rows() if row.in_sample]
    figures = ["10", "75", "0", "10", f"{most_faulty(75, 10, 0) / 65:.1%}"]
    assert re.findall(r"[\d.]+%?", recheck(desk, done).fact) == figures


def test_a_store_without_a_row_that_was_drawn_opens_no_gate(sampled):
    desk, done = sampled(0)
    assert recheck(desk, done).passed
    first = done.manifest.review["samples"][0]["rows"][0]
    with desk.store.write() as connection:
        one = update(tables.rows).where(tables.rows.c.id == number_of(first))
        connection.execute(one.values(sampled=0))
    closed = recheck(desk, done)
    assert (closed.passed, closed.opener) == (False, SAMPLE)


def test_nothing_of_today_opens_the_gate_after_a_failed_sample(sampled):
    desk, done = sampled(1)
    closed = recheck(desk, done)
    assert (closed.passed, closed.opener) == (False, SAMPLE)
    strict = desk.project.settings_file.read_text()
    for today in ({"pool": "trust"}, {"sample": 1}, {"allowed_faults": 5}, {"pool": "trust", "sample": 1}):
        desk.project.settings_file.write_text(strict)
        assert not recheck(desk, done, **today).passed, today
        write_policy(desk.project, today)
        assert not recheck(desk, done).passed, f"a looser rung.toml: {today}"
        assert not recheck(desk, done, **today).passed, today


@pytest.mark.parametrize(("key", "asked", "soft"), [("agreement_at_least", 0.9, 0.1), ("rejects_at_least", 0.9, 0.0)])
def test_the_environment_lowers_no_threshold_of_the_freeze_or_of_rung_toml(
    sampled, key: str, asked: float, soft: float
):
    desk, done = sampled(0, **{key: asked})
    assert not recheck(desk, done, **{key: soft}).passed
    desk.project.settings_file.write_text("[review]\npool = 'sample'\nsample = 10\n")
    assert not recheck(desk, done, **{key: soft}).passed, "a threshold that was taken out of rung.toml"


def test_decisions_of_a_program_count_by_the_policy_of_the_freeze_and_of_rung_toml_alone(sampled):
    desk, done = sampled(0, pool="all")
    assert recheck(desk, done).passed
    undone = [row.id for row in desk.store.rows()][:3]

    for name in undone:
        undo(desk, name, "dana")
    decide_all(desk, "code table", [(name, Ruling("approve")) for name in undone])
    assert not recheck(desk, done).passed
    assert not recheck(desk, done, accept_automatic="true").passed


@pytest.mark.parametrize(
    ("stricter", "opener"),
    [
        ({"pool": "all"}, "rung review"),
        ({"sample": 30}, SAMPLE),
        ({"agreement_at_least": 0.5}, "rung review   (rows that two people see: [review] overlap)"),
        ({"second_edit": "true"}, "rung review"),
    ],
)
def test_a_stricter_setting_of_today_counts(sampled, stricter, opener: str):
    desk, done = sampled(0)
    name = next(row.id for row in desk.store.rows() if row.in_sample)

    if "second_edit" in stricter:
        undo(desk, name, "dana")
        decide_all(desk, "dana", [(name, Ruling("edit", text="another label"))], kind="person")
        done = frozen(desk, leave_out=True)
        desk.store.exclude([row.id for row in desk.store.rows() if row.in_sample is False], "x", "leaks")
        done = frozen(desk)
    assert recheck(desk, done).passed
    closed = recheck(desk, done, **stricter)
    assert not closed.passed and closed.opener == opener


@pytest.mark.parametrize(("planned", "today", "passed"), [(0, 5, False), (0, 0, False), (2, 5, True), (2, 0, False)])
def test_a_sample_counts_by_the_fewest_faults_that_its_plan_or_today_allows(
    sampled, make_desk, planned: int, today: int, passed: bool
):
    sampled(1, allowed_faults=planned)
    (sample,) = progress(make_desk(pool="sample", sample=10, allowed_faults=today)).samples
    assert (sample.finished, sample.faults, sample.passed, sample.failed) == (True, 1, passed, not passed)


@pytest.mark.parametrize("in_test", [False, True])
def test_generated_rows_are_trained_on_and_tested_on_only_where_the_policy_says_so(make_desk, project, in_test: bool):
    policy = {"pool": "trust", "generated_in_test": in_test}
    write_policy(project, policy)
    desk = make_desk(**policy)
    desk.store.add(rows(60, 1), role="pool")
    desk.store.add(rows(90, 2), role="candidates", origin="generated")
    approve_all(desk)
    done = frozen(desk)
    places = {entry["split"] for entry in done.manifest.rows if entry["origin"] == "generated"}
    assert places == ({"train", "validation", "test"} if in_test else {"train"})
    assert recheck(desk, done).passed and re.search(r"\b60\b", recheck(desk, done).fact)
    assert recheck(desk, done, generated_in_test="false").passed is not in_test


def test_a_manifest_that_says_nothing_of_its_policy_is_read_strictly(sampled):
    desk, done = sampled(0)
    write_artefact(done.folder / "manifest.json", done.manifest.model_copy(update={"policy": {}}))
    found = recheck(desk, done)
    assert not found.passed and "(unreviewed)" in found.why
    old = {key: done.manifest.policy[key] for key in ("pool", "sample", "allowed_faults", "accept_automatic")}
    samples = [{k: v for k, v in each.items() if k != "rows"} for each in done.manifest.review["samples"]]
    review = {**done.manifest.review, "samples": samples}
    write_artefact(done.folder / "manifest.json", done.manifest.model_copy(update={"policy": old, "review": review}))
    assert recheck(desk, done).passed


def test_the_stricter_of_two_policies_holds_and_one_that_nobody_knows_is_the_strictest(sampled):
    desk, done = sampled(0)
    desk.project.settings_file.write_text("")
    for frozen_under, today, holds in (
        ("trust", "trust", "trust"),
        ("trust", "sample", "sample"),
        ("sample", "trust", "sample"),
        ("sample", "all", "all"),
        ("all", "trust", "all"),
        ("committee", "trust", "all"),
        (["trust"], "trust", "all"),
    ):
        manifest = done.manifest.model_copy(update={"policy": {**done.manifest.policy, "pool": frozen_under}})
        settings = load_settings(desk.project.settings_file, {"RUNG_REVIEW__POOL": today})
        assert reviewed_under(manifest, desk.project, settings).pool == holds, (frozen_under, today)


def test_an_edit_without_its_second_person_is_none_under_the_policy_of_the_freeze(make_desk):
    """rung.toml asks for no second person any more, and the one who agreed takes it back."""
    strict = planned(make_desk, pool="all", second_edit=True)
    decide_all(strict, "dana", [("r-000001", Ruling("edit", text="another label"))], kind="person")
    decide_all(strict, "mo", [("r-000001", Ruling("approve"))], kind="person")
    approve_all(strict)
    done = frozen(strict)
    loose = make_desk(pool="all")
    assert recheck(loose, done).passed
    undo(loose, "r-000001", "mo")
    assert loose.store.row("r-000001").state == "edited"
    found = recheck(loose, done)
    assert not found.passed and re.search(r"r-000001 .*\(pending\)", found.why)


def test_the_same_rows_under_another_policy_are_another_version(sampled, make_desk):
    desk, _ = sampled(0, agreement_at_least=0.9)
    done = frozen(desk)  # splits settle with the second version, which keeps the test set of the first
    assert frozen(desk).was_there
    looser = make_desk(pool="sample", sample=10)
    again = frozen(looser)
    assert not again.was_there and again.manifest.policy["agreement_at_least"] is None
    desk.project.settings_file.write_text("[review]\npool = 'sample'\nsample = 10\n")
    assert recheck(desk, again).passed and not recheck(desk, done).passed


@pytest.mark.parametrize("finding", ["secrets", "leaks", "duplicates"])
def test_a_faulty_row_that_is_taken_out_stays_a_fault_of_its_sample(sampled, finding: str):
    desk, _ = sampled(1)
    (before,) = progress(desk).samples
    assert before.failed and (before.rows, before.found) == (10, 1)
    faulty = next(row.id for row in desk.store.rows(state="rejected"))
    desk.store.exclude([faulty], "a fix", finding)
    (after,) = progress(desk).samples
    assert after.failed and (after.rows, after.found) == (10, 1) and after.bound >= before.bound
    assert not recheck(desk, frozen(desk)).passed

    undo(desk, faulty, "dana")  # a decision that is taken back on a row that nobody will be given
    assert progress(desk).samples[0].failed


@pytest.mark.parametrize(("finding", "counts"), [("empty", True), ("leaks", False), ("duplicates", False)])
def test_a_drawn_row_that_goes_before_anyone_decided_it(make_desk, finding: str, counts: bool):
    """A row removed for a fault counts as a fault; duplicates and leaks do not, and the sample can be finished."""
    desk = planned(make_desk, 75, pool="sample", sample=10)
    drawn = [row.id for row in desk.store.rows() if row.in_sample]
    decide_all(desk, "dana", [(drawn[0], Ruling("approve"))], kind="person")
    desk.store.exclude(drawn[1:2], "a fix", finding)
    approve_all(desk)
    (sample,) = progress(desk).samples
    assert (sample.rows, sample.finished, sample.failed, sample.gone) == (10, True, counts, int(not counts))
    size = 10 - sample.gone
    assert sample.bound == pytest.approx((most_faulty(size + 65, size, sample.found) - sample.found) / 65)


def test_a_failed_sample_is_not_forgotten_when_rows_come(sampled):
    """A sample of new rows speaks for those alone; a larger sample, or all rows reviewed, opens the gate."""
    desk, done = sampled(1)
    desk.store.add(rows(20, 5), role="pool")
    plan_freeze(desk.store, desk.project, desk.settings)
    approve_all(desk)
    assert [sample.failed for sample in progress(desk).samples] == [True, False]
    assert not recheck(desk, done).passed and not recheck(desk, frozen(desk)).passed
    assert draw_again(desk.store, desk.settings, "pool", actor="dana") is not None
    assert not recheck(desk, done).passed
    approve_all(desk)
    assert recheck(desk, frozen(desk)).passed


@pytest.mark.parametrize(
    ("texts", "raw", "value", "opens"),
    [(("one", "two"), 0.0, 0.0, False), (("one", "one"), 1.0, 1.0, True), ((None, "two"), 0.0, 0.0, False)],
)
def test_two_people_agree_where_their_decisions_leave_the_same_row(
    make_desk, texts, raw: float, value: float, opens: bool
):
    """Both edit every row, to the same text or not, or one approves; None is an approval."""
    desk = planned(make_desk, pool="all", overlap=1.0, agreement_at_least=0.9)
    for who, text in zip(("dana", "mo"), texts, strict=True):
        ruling = Ruling("edit", text=text) if text else Ruling("approve")
        decide_all(desk, who, [(row.id, ruling) for row in desk.store.rows()], kind="person")
    agreed = progress(desk).agreement
    assert (agreed.units, agreed.raw, agreed.value) == (60, raw, value)
    assert set(agreed.prevalence) == {"edit" if text else "approve" for text in texts}
    decide_all(desk, "lena", [(row.id, Ruling("approve")) for row in desk.store.rows(state="unsure")], kind="person")
    approve_all(desk, "lena")
    assert gate_of(desk, frozen(desk)).passed == opens
