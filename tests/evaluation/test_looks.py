"""A test set is meant for a number of runs: the plan is fixed first, confidence follows, and later runs cannot ship.

Older versions with its items count; so do versions whose files are not as they were frozen. Test labels that somebody
corrects after results were seen count only where a blind review drew their rows.
"""

import shutil

import pytest
from bank import changed, evaluated, ladder, perfect
from in_shell import rung
from scripted import Scripted

from curation.example import Example
from curation.split.manifest import read_manifest
from curation.store import open_store
from evaluation.bench import open_bench
from evaluation.looks import check_corrections, folded, note_look, older_tests, split_to_show, standing, take_place
from evaluation.measurement_report import read_report
from evaluation.tuned import check_unseen, run_evaluation
from evaluation.verdict.intervals import estimate
from evaluation.verdict.pairing import rule_again
from evaluation.verdict.rule import newest_verdict
from rung.report.evaluation import SHUT, write_page
from workspace.artefact import write_artefact
from workspace.errors import Refusal
from workspace.settings import load_settings


def evaluate(project, settings, run):
    return evaluated(project, settings, run=run)[1]


def test_the_first_run_ships_at_95_and_the_second_cannot_without_a_fresh_test_set(project, settings, baseline, kit):
    """Whatever rung.toml says of the plan once a run was scored."""
    first, second = evaluate(project, settings, "R-001"), evaluate(project, changed(settings, runs=5), "R-002")
    assert (first.verdict, first.confidence, first.place) == ("ship", 0.95, 1)
    assert (second.verdict, second.place, second.planned_runs) == ("judgement", 2, 1)
    assert second.low == first.low
    assert all(any(said in note for note in second.notes) for said in ("R-001", "runs = 5"))
    assert evaluate(project, settings, "R-001").verdict == "ship"


def test_three_planned_runs_are_each_judged_at_a_wider_interval(project, settings, baseline):
    three = changed(settings, runs=3)
    first = evaluate(project, three, "R-001")
    assert first.confidence == pytest.approx(1 - 0.05 / 3)
    differences = [1.0] * first.better + [-1.0] * first.worse + [0.0] * first.same
    assert (first.low, first.high) == pytest.approx(estimate(differences).interval(1 - 0.05 / 3))
    assert first.low < estimate(differences).interval()[0]
    assert [evaluate(project, three, f"R-00{n}").place for n in (2, 3, 4)] == [2, 3, 4]
    assert newest_verdict(project, "R-004")[1].verdict == "judgement"


def test_the_plan_stands_before_the_first_answer_and_pages_show_test_items_after_it(project, settings, baseline):
    page = write_page(project, baseline[0]).read_text()
    shown, hidden = (f"card lost at home {when}" for when in ("now", "today"))
    assert SHUT in page and shown in page and hidden not in page

    def dies(ask):
        with open_store(project, settings) as store:
            if store.events(kind="test_scored"):
                raise RuntimeError("killed")
        return perfect(ask)

    with pytest.raises(RuntimeError, match="killed"):
        evaluated(project, settings, Scripted(dies, name="scripted+R-001"))
    assert evaluate(project, settings, "R-002").verdict == "judgement"
    for folder in (baseline[0], newest_verdict(project)[0]):
        page = write_page(project, folder).read_text()
        assert SHUT not in page and hidden in page


def test_a_look_before_the_last_planned_run_takes_a_place(project, settings, baseline):
    two = changed(settings, runs=2)
    evaluate(project, two, "R-001")
    folder, _ = newest_verdict(project, "R-001")
    report = read_report(project, folder.name)[1]
    assert split_to_show(project, two, report.test_sha256) == "validation"
    assert note_look(project, two, report)
    assert standing(project, two, report.test_sha256).looks == 1
    assert evaluate(project, two, "R-002").verdict == "judgement"
    assert not note_look(project, two, report)
    known = standing(project, two, report.test_sha256)
    assert (known.place("R-001"), known.place("R-002")) == (1, 3), "a look counts for the scorings after it"
    assert rule_again(project, two, folder).verdict == "ship"


def refrozen(project, settings, model, kit, test):
    """The next version, with these test rows, and the report of its baseline."""
    kit.freeze_test(project, f"v00{len(list(project.datasets.iterdir())) + 1}", test)
    return ladder(project, settings, model)[1]


def frozen(kit):
    return kit.rows_of(kit.PLACES, " today") + kit.rows_of(kit.PLACES[:4], " again")


def test_a_few_new_items_make_no_fresh_test_set_and_mostly_new_ones_do(project, settings, model, baseline, kit):
    assert evaluate(project, settings, "R-001").verdict == "ship"
    refrozen(project, settings, model, kit, frozen(kit) + kit.rows_of(["upstairs"], " today"))
    for run, place in (("R-002", 3), ("R-001", 2)):
        assert evaluate(project, settings, "R-001").place == 2
        again = evaluate(project, settings, run)
        assert (again.verdict, again.place, again.n) == ("judgement", place, 39)
        assert any("R-001" in note and "v001" in note for note in again.notes)
    refrozen(project, settings, model, kit, frozen(kit)[:12] + kit.rows_of(kit.PLACES, " at noon"))
    fresh = evaluate(project, settings, "R-002")
    assert (fresh.verdict, fresh.place, fresh.n) == ("ship", 1, 36)


def test_a_run_is_measured_on_fresh_items_of_a_later_version(project, settings, model, baseline, kit):
    """Its own version's rows choose; a version whose test items it was trained on is refused."""
    evaluate(project, settings, "R-001")
    kit.freeze_by_hand(project, "v002", test=kit.rows_of(kit.PLACES, " at noon today"), train=kit.rows_of(["there"]))
    check_unseen(project, settings, "R-001", "v001", "v002")
    ladder(project, settings, model)
    bench = open_bench(project, settings, Scripted(perfect, name="t"), dataset="v002", rows_of="v001")
    assert all(row.question.endswith("now") for row in bench.rows.validation)
    run_evaluation(bench, "R-001", "Topic.")
    fresh = newest_verdict(project, "R-001")[1]
    assert (fresh.dataset, fresh.verdict, fresh.place, fresh.n) == ("v002", "ship", 1, 24)
    for version, places, when, held in (("v003", kit.PLACES, "this week", 24), ("v004", kit.PLACES[:4], "now", 12)):
        kit.freeze_by_hand(project, version, test=kit.rows_of(places, f" {when}"), train=kit.rows_of(["there"]))
        with pytest.raises(Refusal, match=rf"{held} .*{version}"):
            check_unseen(project, settings, "R-001", "v001", version)


def test_leaving_out_scored_items_makes_no_test_set_fresh_unless_they_were_drawn(
    project, settings, model, baseline, kit
):
    evaluate(project, settings, "R-001")
    refrozen(project, settings, model, kit, frozen(kit)[2:])
    assert evaluate(project, settings, "R-001").verdict == "judgement"
    assert evaluate(project, settings, "R-002").place == 3
    gone = " ".join(frozen(kit)[0]["messages"][0]["content"].split())
    with open_store(project, settings) as store:
        rows = [gone, " ".join(frozen(kit)[1]["messages"][0]["content"].split())]
        store.event("test_recheck", "dana", baseline[1].test_sha256, {"rows": rows, "of": 36})
    again = evaluate(project, settings, "R-001")
    assert (again.verdict, again.place, again.n) == ("ship", 1, 34)


def test_the_environment_names_no_smaller_margin_than_rung_toml(project, settings, baseline):
    def given(margin):
        return load_settings(project.settings_file, {"RUNG_EVALUATION__MARGIN": margin})

    assert evaluate(project, given("0"), "R-001").margin == settings.evaluation.margin == 0.05
    assert take_place(project, given("0.2"), "another test set", "R-001").margin == 0.2


def test_another_metric_or_margin_after_the_first_run_changes_no_verdict(project, settings, model, baseline):
    wide = changed(settings, margin=0.9)
    first = evaluate(project, wide, "R-001")
    assert first.verdict != "ship" and first.margin == 0.9
    later = evaluate(project, changed(settings, margin=0.0), "R-001")
    assert (later.verdict, later.margin) == (first.verdict, 0.9)
    assert any("0.9" in note for note in later.notes)
    other = changed(wide, metric="token_f1")
    ladder(project, other, model)
    shopped = evaluate(project, other, "R-001")
    assert (shopped.metric, shopped.place) == ("token_f1", 2)
    assert any("exact_match" in note for note in shopped.notes) and any("R-001" in note for note in shopped.notes)
    ladder(project, wide, model)
    assert evaluate(project, wide, "R-001").place == 1


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
    versions = ("v999", "v1000", "v1001")
    made = [kit.freeze_by_hand(project, v, test=kit.rows_of(kit.PLACES, " " * n)) for n, v in enumerate(versions, 1)]
    shas = [read_manifest(folder).splits["test"].sha256 for folder in made]
    assert [older.version for older in older_tests(project, shas[2], shas, ())] == ["v999", "v1000"]


def test_a_scored_test_set_that_changed_is_refused_and_a_deleted_one_counts(project, settings, model, baseline, kit):
    evaluate(project, settings, "R-001")
    rows = frozen(kit) + kit.rows_of(["upstairs"], " today")
    for row in rows:
        row["messages"][0]["content"] += " ?"
    test_sha256 = refrozen(project, settings, model, kit, rows).test_sha256
    known = standing(project, settings, test_sha256)
    assert known.runs == ("R-001 on v001",) and not known.may_ship("R-002")
    old = project.datasets / "v001" / "test.jsonl"
    for damage in (b'{"messages": [', b"\xff\xfe\n", b'{"text": "nothing of before"}\n'):
        old.write_bytes(damage)
        with pytest.raises(Refusal, match=r"v001/test\.jsonl: changed"):
            standing(project, settings, test_sha256)
    old.unlink()
    with pytest.raises(Refusal, match=r"v001/test\.jsonl: gone"):
        standing(project, settings, test_sha256)
    ran = rung("evaluate", "--power", cwd=project.root)
    assert ran.returncode == 1 and "v001/test.jsonl" in ran.stderr and "Traceback" not in ran.stderr
    shutil.rmtree(project.datasets / "v001")
    (gone,) = standing(project, settings, test_sha256).runs
    assert "R-001" in gone and "v001" in gone
    again = evaluate(project, settings, "R-002")
    assert (again.verdict, again.place) == ("judgement", 2)
    assert any(gone in note for note in again.notes)
    project.database_file.unlink()
    assert gone in standing(project, settings, test_sha256).runs, "its report tells of it as well"


def test_labels_change_after_a_look_only_among_rows_that_were_drawn(project, settings, model, kit):
    with open_store(project, settings) as store:
        ids = store.add([Example(row) for row in frozen(kit)], role="test").ids

    def named(folder):
        """The version with the store's ids in its manifest, as a freeze writes them."""
        entries = [{"split": "test", "line": n, "id": name} for n, name in enumerate(ids, 1)]
        write_artefact(folder / "manifest.json", read_manifest(folder).model_copy(update={"rows": entries}))
        return folder

    def corrected(name, place):
        rows = frozen(kit)
        rows[place]["messages"][1]["content"] = "other"
        return kit.freeze_by_hand(project, name, test=rows, train=kit.rows_of(["there"]))

    named(project.datasets / "v001")
    few = rung("evaluate", "--recheck", "3", cwd=project.root)
    assert few.returncode == 2 and "20 " in few.stderr
    ladder(project, settings, model)
    evaluated(project, settings)
    drawn = rung("evaluate", "--recheck", "20", cwd=project.root)
    assert drawn.returncode == 0 and "20 of 36" in drawn.stdout
    with open_store(project, settings) as store:
        waiting = {row.id for row in store.rows() if row.state == "pending"}
    assert len(waiting) == 20
    allowed = next(n for n, row in enumerate(ids) if row in waiting)
    picked = next(n for n, row in enumerate(ids) if row not in waiting)
    check_corrections(project, settings, named(corrected("v002", allowed)))
    folder = corrected("v003", picked)
    for imported_anew in (True, False):  # then only its question tells that it is the row
        with pytest.raises(Refusal, match="test"):
            check_corrections(project, settings, folder if imported_anew else named(folder))
