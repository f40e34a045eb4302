"""A judge on a run: sheets for people, what it is worth, and a verdict that listens only where people bear it out."""

import json
import random
from statistics import NormalDist

import pytest
from bank import changed
from bank import perfect as tuned
from in_shell import rung
from scripted import Scripted

from evaluation.arms.registry import arms_named
from evaluation.ask import Replies
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.judge.assessment import judge_run, labels, open_sitting, pinned, read_people, take_labels
from evaluation.judge.model_judge import Case, ModelJudge, calibrated, length_bias
from evaluation.tuned import run_evaluation
from evaluation.verdict.pairing import rule_again
from evaluation.verdict.rule import Training, newest_verdict, with_judge
from rung.status.stages import after_verdict
from rung.text.verdict_text import sentences
from workspace.artefact import write_artefact
from workspace.errors import InputError, Refusal, RungError
from workspace.settings import JudgeSettings

PROMPTED = arms_named(["base", "prompt"])


def section(ask, name):
    return ask.turns[-1]["content"].split(f"{name}:\n")[1].split("\n")[0]


def right(ask):
    """Judges as people do: the reference's word stands in the answer."""
    return "YES" if section(ask, "Reference answer") in section(ask, "Answer to judge") else "NO"


@pytest.fixture
def many(project, kit):
    """A test set of 240 items."""
    kit.freeze_test(project, "v001", kit.rows_of([f"place {n}" for n in range(80)], " today"))
    (project.root / "judge.md").write_text("The topic is right.")
    return project


def measured(project, settings, model, judge=None):
    run_baseline(open_bench(project, settings, model, judge=judge), PROMPTED)
    run_evaluation(open_bench(project, settings, Scripted(tuned, name="t"), judge=judge), "R-001", None)
    return open_sitting(project, settings, "R-001")


def fill(sitting, tmp_path, say=lambda case: "yes" if case["reference"] in case["answer"] else "no"):
    rows = [label.shown() for label in labels(sitting)]
    path = tmp_path / "sheet.jsonl"
    path.write_text("".join(json.dumps({**row, "meets": say(row)}) + "\n" for row in rows))
    return path


def judged(sitting, model, tmp_path):
    return judge_run(sitting, model, Replies(tmp_path / "r.jsonl"), lambda _: None)


def test_before_a_verdict_there_is_nothing_to_judge(many, free):
    with pytest.raises(Refusal):
        open_sitting(many, free, None)


def test_a_sheet_mixes_arms_and_names_none_and_equal_outputs_are_asked_once(many, free, model, tmp_path):
    sitting = measured(many, free, model)
    made = labels(sitting)
    assert {arm for label in made for arm in label.arms} == {"tuned", sitting.verdict.chosen}
    assert len({(label.item, label.case.output) for label in made}) == len(made)
    assert len({label.item for label in made}) == 160 and [m.item for m in made] != sorted(m.item for m in made)
    assert not {"tuned", "arm", "prompt"} & set(made[0].shown())
    assert labels(sitting) == made
    bad = [json.dumps({**made[0].shown(), "meets": "perhaps"}), json.dumps({"id": 99999, "meets": "yes"}), "no"]
    (tmp_path / "bad").write_text("\n".join(bad))
    with pytest.raises(InputError) as failed:
        take_labels(sitting, tmp_path / "bad", "priya")
    assert len(failed.value.problems) == 3


def test_without_labels_it_is_ignored_with_the_reason_and_decides_nothing(many, free, model, tmp_path):
    sitting = measured(many, free, model)
    report = judged(sitting, Scripted(right, name="judge-1"), tmp_path)
    verdict = with_judge(sitting.verdict, report)
    assert not report.used and "yes 0, no 0" in report.why and not report.decides
    assert verdict.verdict == sitting.verdict.verdict and verdict.judge == report
    assert report.arms[0].raw == 1.0 and report.arms[0].corrected is None


@pytest.mark.parametrize("kind", ["rubric", "pairs"])
def test_what_an_older_rung_wrote_opens(many, free, model, tmp_path, kind):
    sitting = measured(many, free, model)
    ruled = with_judge(sitting.verdict, judged(sitting, Scripted(right, name="judge-1"), tmp_path))
    old = ruled.model_dump(mode="json")
    old["judge"] |= {"kind": kind, "flipped": None, "longer": 0.5}
    (sitting.folder.parent / "verdict.json").write_text(json.dumps(old))
    shown = rung("verdict", "--json", cwd=many.root)
    assert json.loads(shown.stdout)["judge"]["kind"] == kind, shown.stderr
    assert rung("verdict", cwd=many.root).returncode == 0


def test_people_bear_it_out_and_the_difference_is_corrected(many, free, model, tmp_path):
    wrong_half = Scripted(lambda ask: tuned(ask) if len(ask.turns[-1]["content"]) % 2 else "other", name="t")
    run_baseline(open_bench(many, free, Scripted(lambda ask: "pin", name="b")), PROMPTED)
    run_evaluation(open_bench(many, free, wrong_half), "R-001", None)
    sitting = open_sitting(many, free, None)
    draw = random.Random(3)

    def slips(ask):
        """Wrong in one of 25 cases."""
        return right(ask) if draw.random() < 0.96 else {"YES": "NO", "NO": "YES"}[right(ask)]

    assert take_labels(sitting, fill(sitting, tmp_path), "priya") == len(labels(sitting))
    report = judged(sitting, Scripted(slips, name="judge-1"), tmp_path)
    tuned_arm, rival = report.arms[0], report.rivals[0]
    truth = sitting.verdict.tuned - sitting.verdict.baseline
    assert report.used and tuned_arm.specificity_low > 0.8 and tuned_arm.specificity < 1
    assert rival.low <= truth <= rival.high and rival.corrected != rival.raw
    assert report.raters == ["priya"] and len(report.rubric_sha256) == 64


def test_as_the_primary_metric_it_decides_only_after_people_labelled(many, free, model, tmp_path):
    settings = changed(changed(free, metric="judge"), "judge", base="judge-1")
    judge = Scripted(right, name="judge-1")
    half = Scripted(lambda ask: tuned(ask) if len(ask.turns[-1]["content"]) % 2 else "pin", name="b")
    run_baseline(open_bench(many, settings, half, judge=judge), arms_named(["base"]))
    nine = Scripted(lambda ask: "none" if "place 1" in ask.turns[-1]["content"] else tuned(ask), name="t")
    run_evaluation(open_bench(many, settings, nine, judge=judge), "R-001", None)
    before = newest_verdict(many, "R-001")[1]
    assert {"judge", "R-001"} < set(after_verdict(before).command.split())
    assert before.verdict == "need_more_data" and before.notes
    sitting = open_sitting(many, settings, None)
    assert sitting.decides and sitting.arms == ["tuned", "base"]
    take_labels(sitting, fill(sitting, tmp_path), "priya")
    report = judged(sitting, judge, tmp_path)
    after = with_judge(sitting.verdict, report)
    assert report.used and after.verdict == "ship" and after.low < after.difference < after.high
    assert before.notes[0] not in after.notes
    half = max(after.high - after.difference, after.difference - after.low)
    assert after.smallest_difference == pytest.approx(1.43 * half, abs=0.01) and after.items_to_settle is None
    assert after.minimum_detectable == pytest.approx(after.margin + after.smallest_difference)
    assert after.p_value < 1e-6 and after.p_value != sitting.verdict.p_value
    wide = report.rivals[0].model_copy(update={"low": -0.2, "high": 0.4, "corrected": 0.1})
    unsure = with_judge(sitting.verdict, report.model_copy(update={"rivals": [wide]}))
    assert unsure.verdict == "need_more_data" and "labels" in sentences(unsure)[1]
    normal = NormalDist(sigma=0.3 / NormalDist().inv_cdf((1 + unsure.confidence) / 2))  # half the interval is .3
    assert unsure.p_value == pytest.approx(2 * normal.cdf(-0.1))
    for half, smallest in ((0.68, True), (0.75, False)):  # at 80% power .97 and 1.07: no gain is over 1
        far = report.model_copy(
            update={"rivals": [wide.model_copy(update={"low": -half, "high": half, "corrected": 0})]}
        )
        unseen = with_judge(sitting.verdict, far)
        assert (unseen.smallest_difference is not None) is smallest and unseen.minimum_detectable is None
    for place, ruled in ((2, "ship"), (3, "judgement")):
        planned = sitting.verdict.model_copy(update={"place": place, "planned_runs": 2})
        assert with_judge(planned, report).verdict == ruled
    several = [Training(run=run, seed=seed, score=0.9) for seed, run in enumerate(("R-001", "R-002"))]
    of_one = with_judge(sitting.verdict.model_copy(update={"trainings": several}), report)
    assert of_one.verdict == "need_more_data" and "R-001" in of_one.notes[0]
    unknown = with_judge(sitting.verdict, report.model_copy(update={"used": False, "why": "few"}))
    assert unknown.verdict == "need_more_data" and "few" in unknown.notes[0]
    with pytest.raises(RungError):
        open_bench(many, settings, half)
    other = Scripted(right, name="judge-2")
    with pytest.raises(Refusal, match=r"judge-1.* judge-2"):
        run_evaluation(open_bench(many, settings, nine, judge=other), "R-002", None)


def test_two_raters_that_split_leave_the_output_out(many, free, model, tmp_path):
    sitting = measured(many, free, model)
    take_labels(sitting, fill(sitting, tmp_path), "priya")
    take_labels(sitting, fill(sitting, tmp_path, lambda row: "no" if row["id"] == 1 else "yes"), "sam")
    people = read_people(sitting)
    assert people.raters == ("priya", "sam") and people.alpha is not None and people.split > 0
    assert sum(len(found) for found in people.by_arm.values()) < 2 * 160


def test_a_label_that_was_cut_is_told_and_asked_again(many, free, model, tmp_path):
    sitting = measured(many, free, model)
    take_labels(sitting, fill(sitting, tmp_path), "priya")
    path = sitting.folder / "labels.priya.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    report = judged(sitting, Scripted(right, name="judge-1"), tmp_path)
    assert any("priya" in note for note in report.notes)
    path.write_bytes(whole.replace(b'"value": 1.0', b'"value": 1.', 1))
    with pytest.raises(InputError) as broken:
        read_people(sitting)
    assert "labels.priya.jsonl" in broken.value.where


def test_a_judge_is_pinned_and_says_what_it_wrote_itself(many, free, model, tmp_path):
    with pytest.raises(RungError, match="judge-latest"):
        pinned(Scripted(["YES"], name="judge-latest"))
    sitting = measured(many, changed(free, "judge", base=free.model.base), model)
    own, other = (
        judged(sitting, Scripted(right, name=name), tmp_path / name).notes for name in (model.name, "judge-1")
    )
    assert [sum("wrote" in note for note in notes) for notes in (own, other)] == [1, 0], (
        "the judge used, not rung.toml's"
    )


def test_scores_are_numbers_from_1_to_5_and_anything_else_is_none(tmp_path):
    said = {"a": "4", "b": "**5**, because", "c": "10", "d": "six", "e": "1.5"}
    model = Scripted(lambda ask: said[section(ask, "Answer to judge")])
    cases = [Case("q", "e", name) for name in [*said, *"a" * 55]]
    assert ModelJudge(model, "score", "Good?", Replies(tmp_path / "r")).grade(cases)[:5] == [
        0.75,
        1.0,
        None,
        None,
        None,
    ]
    assert JudgeSettings(kind="score", good=4).passing == 0.75 and JudgeSettings(good=4).passing == 1.0
    judged = calibrated("tuned", {1: 0.75, 2: 0.5}, {1: 1.0, 2: 0.5}, 0.75)
    assert (judged.sensitivity, judged.specificity) == (1.0, 1.0)


def test_the_length_bias_is_what_the_judge_adds_to_people():
    lengths = {i: i for i in range(100)}
    people = {i: float(i % 2) for i in range(100)}
    fair, long = dict(people), {i: 1.0 if i > 50 else people[i] for i in range(100)}
    assert length_bias(fair, people, lengths) == 0.0
    assert length_bias(long, people, lengths) == pytest.approx(0.5, abs=0.03)
    assert length_bias(fair, people, dict.fromkeys(range(100), 5)) is None
    assert length_bias(fair, {1: 1.0}, lengths) is None


@pytest.mark.parametrize(("customers", "ruling"), [(6, "need_more_data"), (80, "ship")])
def test_a_deciding_judge_counts_groups_not_items(many, free, model, kit, tmp_path, customers, ruling):
    rows = kit.rows_of([f"place {n}" for n in range(80)], " today")
    rows = [{**row, "customer": n % customers} for n, row in enumerate(rows)]
    kit.freeze_by_hand(many, "v001", test=rows, validation=kit.rows_of(["now"]), train=kit.rows_of(["then"]))
    settings = changed(changed(free, metric="judge"), "judge", base="judge-1")
    settings = changed(settings, "dataset", group_by="customer")
    judge = Scripted(right, name="judge-1")
    half = Scripted(lambda ask: tuned(ask) if len(ask.turns[-1]["content"]) % 2 else "pin", name="b")
    run_baseline(open_bench(many, settings, half, judge=judge), arms_named(["base"]))
    nine = Scripted(lambda ask: "none" if "place 1" in ask.turns[-1]["content"] else tuned(ask), name="t")
    run_evaluation(open_bench(many, settings, nine, judge=judge), "R-001", None)
    sitting = open_sitting(many, settings, None)
    assert sitting.verdict.clusters == customers
    take_labels(sitting, fill(sitting, tmp_path), "priya")
    report = judged(sitting, judge, tmp_path)
    assert report.used == (customers == 80) and report.arms[0].sensitivity == 1.0
    found = with_judge(sitting.verdict, report)
    assert found.verdict == ruling
    folder = sitting.folder.parent
    write_artefact(folder / "verdict.json", found)
    again = rule_again(many, settings, folder)
    assert (again.verdict, again.difference, again.low, again.high) == (ruling, found.difference, found.low, found.high)
    write_artefact(folder / "verdict.json", found.model_copy(update={"verdict": "ship", "metric": "exact_match"}))
    assert rule_again(many, settings, folder).verdict == ruling
