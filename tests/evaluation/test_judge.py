"""A judge on a run: sheets for people, what it is worth, and a verdict that listens only where people bear it out."""

import json
import random
from statistics import NormalDist

import numpy as np
import pytest
from bank import changed, evaluated, ladder
from bank import perfect as tuned
from in_shell import rung
from scipy import stats
from scripted import Scripted

from chat.protocols import Reply
from evaluation.ask import Replies
from evaluation.bench import open_bench
from evaluation.judge.assessment import judge_run, labels, open_sitting, pinned, read_people, take_labels
from evaluation.judge.model_judge import Case, ModelJudge, calibrated, corrected_difference, length_bias
from evaluation.verdict.intervals import estimate
from evaluation.verdict.pairing import rule_again
from evaluation.verdict.rule import Training, with_judge
from rung.status.stages import after_verdict
from rung.text.verdict_text import sentences
from workspace.artefact import write_artefact
from workspace.errors import InputError, Refusal, RungError
from workspace.settings import JudgeSettings


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


@pytest.fixture
def sitting(many, free, model):
    ladder(many, free, model)
    evaluated(many, free)
    return open_sitting(many, free, "R-001")


JUDGE = Scripted(right, name="judge-1")
NINE = Scripted(lambda ask: "none" if "place 1" in ask.turns[-1]["content"] else tuned(ask), name="t")


def deciding(project, free, **values):
    """Settings by which the judge decides, and the session of a run that is right more often than its base."""
    settings = changed(changed(changed(free, metric="judge"), "judge", base="judge-1"), "dataset", **values)
    half = Scripted(lambda ask: tuned(ask) if len(ask.turns[-1]["content"]) % 2 else "pin", name="b")
    ladder(project, settings, half, "base", judge=JUDGE)
    evaluated(project, settings, NINE, judge=JUDGE)
    return settings, open_sitting(project, settings, None)


def fill(sitting, tmp_path, say=lambda case: "yes" if case["reference"] in case["answer"] else "no"):
    rows = [label.shown() for label in labels(sitting)]
    path = tmp_path / "sheet.jsonl"
    path.write_text("".join(json.dumps({**row, "meets": say(row)}) + "\n" for row in rows))
    return path


def judged(sitting, model, tmp_path):
    return judge_run(sitting, model, Replies(tmp_path / "r.jsonl"), lambda _: None)


def test_a_sheet_mixes_arms_and_names_none_and_equal_outputs_are_asked_once(sitting, tmp_path):
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


def test_without_labels_it_is_ignored_with_the_reason_and_what_an_older_rung_wrote_opens(many, sitting, tmp_path):
    report = judged(sitting, Scripted(right, name="judge-1"), tmp_path)
    verdict = with_judge(sitting.verdict, report)
    assert not report.used and "yes 0, no 0" in report.why and not report.decides
    assert verdict.verdict == sitting.verdict.verdict and verdict.judge == report
    assert report.arms[0].raw == 1.0 and report.arms[0].corrected is None
    old = verdict.model_dump(mode="json")
    old["judge"] |= {"kind": "pairs", "flipped": None, "longer": 0.5}
    (sitting.folder.parent / "verdict.json").write_text(json.dumps(old))
    shown = rung("verdict", "--json", cwd=many.root)
    assert json.loads(shown.stdout)["judge"]["kind"] == "pairs", shown.stderr
    rung("verdict", cwd=many.root, code=0)


def test_as_the_primary_metric_it_decides_only_after_people_labelled(many, free, model, tmp_path):
    settings, sitting = deciding(many, free)
    before = sitting.verdict
    assert {"judge", "R-001"} < set(after_verdict(before).command.split())
    assert before.verdict == "need_more_data" and before.notes
    assert sitting.decides and sitting.arms == ["tuned", "base"]
    take_labels(sitting, fill(sitting, tmp_path), "priya")
    report = judged(sitting, JUDGE, tmp_path)
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
    lost = {"unmeasured": {"tuned": "its replies"}}
    for change, ruled in (({"place": 2}, "ship"), ({"place": 3}, "judgement"), ({"clusters": 6}, ""), (lost, "")):
        planned = sitting.verdict.model_copy(update={"planned_runs": 2, **change})
        assert with_judge(planned, report).verdict == (ruled or "need_more_data")
    several = [Training(run=run, seed=seed, score=0.9) for seed, run in enumerate(("R-001", "R-002"))]
    of_one = with_judge(sitting.verdict.model_copy(update={"trainings": several}), report)
    assert of_one.verdict == "need_more_data" and "R-001" in of_one.notes[0]
    unknown = with_judge(sitting.verdict, report.model_copy(update={"used": False, "why": "few"}))
    assert unknown.verdict == "need_more_data" and "few" in unknown.notes[0]
    with pytest.raises(RungError):
        open_bench(many, settings, NINE)
    with pytest.raises(Refusal, match=r"judge-1.* judge-2"):
        evaluated(many, settings, NINE, "R-002", judge=Scripted(right, name="judge-2"))


def test_a_label_that_was_cut_is_asked_again_and_two_raters_that_split_leave_the_output_out(sitting, tmp_path):
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
    path.write_bytes(whole)
    take_labels(sitting, fill(sitting, tmp_path, lambda row: "no" if row["id"] == 1 else "yes"), "sam")
    people = read_people(sitting)
    assert people.raters == ("priya", "sam") and people.alpha is not None and people.split > 0
    assert sum(len(found) for found in people.by_arm.values()) < 2 * 160


def test_a_judge_is_pinned_and_says_what_it_wrote_itself(sitting, model, tmp_path):
    """The judge that is used, not rung.toml's."""
    with pytest.raises(RungError, match="judge-latest"):
        pinned(Scripted(["YES"], name="judge-latest"))
    for name, times in ((model.name, 1), ("judge-1", 0)):
        notes = judged(sitting, Scripted(right, name=name), tmp_path / name).notes
        assert sum("wrote" in note for note in notes) == times


def test_scores_are_numbers_from_1_to_5_and_anything_else_is_none(tmp_path):
    said = {"a": "4", "b": "**5**, because", "c": "10", "d": "six", "e": "1.5"}
    model = Scripted(lambda ask: said[section(ask, "Answer to judge")])
    cases = [Case("q", "e", name) for name in [*said, *"a" * 55]]
    graded = ModelJudge(model, "score", "Good?", Replies(tmp_path / "r")).grade(cases)
    assert graded[:5] == [0.75, 1.0, None, None, None]
    assert JudgeSettings(kind="score", good=4).passing == 0.75 and JudgeSettings(good=4).passing == 1.0
    judged = calibrated("tuned", {1: 0.75, 2: 0.5, 3: 0.75}, {1: 1.0, 2: 0.5, 3: 0.5}, 0.75)
    assert (judged.sensitivity, judged.specificity) == (1.0, 0.5)


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
    settings, sitting = deciding(many, free, group_by="customer")
    assert sitting.verdict.clusters == customers
    take_labels(sitting, fill(sitting, tmp_path), "priya")
    report = judged(sitting, JUDGE, tmp_path)
    assert report.used == (customers == 80) and report.arms[0].sensitivity == 1.0
    found = with_judge(sitting.verdict, report)
    assert found.verdict == ruling
    folder = sitting.folder.parent
    write_artefact(folder / "verdict.json", found)
    again = rule_again(many, settings, folder)
    assert (again.verdict, again.difference, again.low, again.high) == (ruling, found.difference, found.low, found.high)
    write_artefact(folder / "verdict.json", found.model_copy(update={"verdict": "ship", "metric": "exact_match"}))
    assert rule_again(many, settings, folder).verdict == ruling


def test_a_rubric_is_answered_yes_or_no_and_anything_else_is_neither(tmp_path):
    """A judge may think before its verdict."""
    said = {"right": "Yes.", "wrong": "**NO**, because", "thinks": "It names the topic.\n\n**Yes**",
            "doubts": "Well,\n\nno.", "odd": "Perhaps", "yesterday": "yesterday"}  # fmt: skip
    model, replies = Scripted(lambda ask: said[section(ask, "Answer to judge")]), Replies(tmp_path / "r")
    cases = [Case("q", "e", output) for output in said]
    plenty = [*cases, *[cases[0]] * 34]
    for _ in range(2):
        graded = ModelJudge(model, "rubric", "Is it right?", replies).grade(plenty)
        assert graded == [True, False, True, False, None, None, *[True] * 34]
    assert len(model.asked) == 6 and model.asked[0].max_tokens >= 1000
    metric = ModelJudge(model, "rubric", "Is it right?", replies)
    assert metric(plenty)[:6] == [1.0, 0.0, 1.0, 0.0, 0.0, 0.0] and "2 of 40" in metric.notes[0]


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (Reply("The answer names the topic, so I should", 9, 5, 0.1, "length"), "max_tokens = 4096"),
        (Reply("", 9, 0, 0.1, "refused"), "base"),
        (Reply("It depends.", 9, 3, 0.1), "base"),
    ],
)
def test_a_judge_whose_verdicts_cannot_be_read_stops_and_scores_nothing(tmp_path, reply, hint):
    replies, cases = Replies(tmp_path / "r"), [Case("q", "e", f"{n}") for n in range(60)]

    def judge(fault):
        return Scripted(lambda ask: reply if int(section(ask, "Answer to judge")) < fault else "YES", name=f"j{fault}")

    assert ModelJudge(judge(3), "rubric", "Right?", replies).grade(cases).count(None) == 3, "one in twenty"
    for ask in (
        lambda: ModelJudge(judge(4), "rubric", "Right?", replies).grade(cases),
        lambda: ModelJudge(judge(60), "score", "Right?", replies).grade(cases),
        lambda: ModelJudge(judge(4), "rubric", "Right?", replies)(cases),
    ):
        with pytest.raises(RungError) as failed:
            ask()
        assert failed.value.where == "[judge]" and hint in failed.value.hint


def test_a_poor_judge_and_too_few_labels_are_ignored_with_the_reason():
    truth = {item: item % 2 == 0 for item in range(1000)}
    poor = calibrated(
        "tuned", {i: right and i % 8 > 0 for i, right in truth.items()}, {i: truth[i] for i in range(200)}
    )
    assert not poor.used and poor.corrected is None and "sensitivity" in poor.why
    few = calibrated("tuned", truth, {i: truth[i] for i in range(20)})
    assert not few.used and "80 of each" in few.why
    assert not calibrated("tuned", truth, {}).used
    with pytest.raises(ValueError, match="5000"):
        calibrated("tuned", truth, {5000: True})


def in_groups(rng, groups, each):
    """People and a judge on items of groups that are alike: by group an own rate, and an own chance that it errs."""
    people, judge, named = {}, {}, {}
    for group in range(groups):
        rate, slip = rng.choice([0.15, 0.85]), rng.choice([0.0, 0.1])
        for item in range(group * each, group * each + each):
            people[item] = rng.random() < rate
            judge[item] = people[item] != (rng.random() < slip)
            named[item] = str(group)
    return people, judge, named


def test_items_of_one_group_count_together_in_the_judges_interval():
    rng, covered, alone, tried = random.Random(13), 0, 0, 0
    for _ in range(300):
        people, judge, named = in_groups(rng, 60, 6)
        labelled = {i: people[i] for i in rng.sample(sorted(people), 270)}
        found = calibrated("tuned", judge, labelled, groups=named)
        plain = calibrated("tuned", judge, labelled)
        if found.used and plain.used:
            assert found.corrected == pytest.approx(plain.corrected)
            tried += 1
            covered += found.low <= 0.5 <= found.high
            alone += plain.low <= 0.5 <= plain.high
    assert tried > 200 and covered / tried >= 0.94 and alone / tried < 0.85
    known = {i: (people[i], False) for i in labelled}
    over = corrected_difference(judge, dict.fromkeys(judge, False), known, groups=named)
    assert over.high - over.low > 1.3 * (lambda d: d.high - d.low)(
        corrected_difference(judge, dict.fromkeys(judge, False), known)
    )


def test_a_group_of_its_own_each_changes_nothing_and_few_groups_lower_the_bounds():
    people, judge, _ = in_groups(random.Random(3), 20, 10)
    own = calibrated("tuned", judge, people, groups={i: str(i) for i in people})
    assert own == calibrated("tuned", judge, people)
    few = calibrated("tuned", judge, people, groups={i: str(i % 3) for i in people})
    assert few.sensitivity == own.sensitivity and few.sensitivity_low < own.sensitivity_low and not few.used


@pytest.mark.parametrize("each", [1, 4])
def test_labelled_items_are_among_all_items_and_what_both_means_share_is_in_the_interval(each):
    """A judge that sees half of every difference: where it says more, people say more still."""
    draw = np.random.default_rng(5)
    people = draw.choice([-1.0, 0.0, 1.0], 90).repeat(each)[:90]
    judge, labelled = people / 2, range(0, 90, 2) if each == 1 else range(60)
    names = {i: str(i // each) for i in range(90)}
    found = corrected_difference(
        dict(enumerate(judge)), dict.fromkeys(range(90), 0.0), {i: (people[i], 0.0) for i in labelled}, groups=names
    )
    gaps = {i: people[i] - judge[i] for i in labelled}
    whole = estimate(list(judge), list(names.values()))
    some = estimate(list(gaps.values()), [names[i] for i in labelled])
    apart = np.zeros((2, 90 // each + 1))
    for i in range(90):
        apart[0, i // each] += judge[i] - judge.mean()
        apart[1, i // each] += gaps[i] - np.mean(list(gaps.values())) if i in gaps else 0.0
    clusters = len({names[i] for i in labelled})
    shared = (apart[0] * apart[1]).sum() / 90 / len(gaps) * clusters / (clusters - 1)
    assert shared > 0.1 * (whole.variance + some.variance)
    half = stats.t.ppf(0.975, some.degrees) * (whole.variance + some.variance + 2 * shared) ** 0.5
    mean = judge.mean() + np.mean(list(gaps.values()))
    assert (found.corrected, found.low, found.high) == pytest.approx((mean, mean - half, mean + half))
