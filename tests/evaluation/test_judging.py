"""A judge is believed only where people say that it may be, and then corrected by what they said."""

import random

import numpy as np
import pytest
from scipy import stats
from scripted import Scripted

from chat.protocols import Reply
from evaluation.ask import Replies
from evaluation.judge.model_judge import Case, ModelJudge, calibrated, corrected_difference, grade_ask
from evaluation.verdict.intervals import estimate
from workspace.errors import RungError


@pytest.fixture
def replies(tmp_path):
    return Replies(tmp_path / "replies.jsonl")


def section(ask, name):
    return ask.turns[-1]["content"].split(f"{name}:\n")[1].split("\n")[0]


def test_a_rubric_is_answered_yes_or_no_and_anything_else_is_neither(replies):
    said = {"right": "Yes.", "wrong": "**NO**, because", "odd": "Perhaps", "yesterday": "yesterday"}
    model = Scripted(lambda ask: said[section(ask, "Answer to judge")])
    cases = [Case("q", "e", output) for output in said]
    plenty = [*cases, *[cases[0]] * 36]
    assert ModelJudge(model, "rubric", "Is it right?", replies).grade(plenty) == [True, False, None, None, *[True] * 36]
    ModelJudge(model, "rubric", "Is it right?", replies).grade(plenty)
    assert len(model.asked) == 4
    metric = ModelJudge(model, "rubric", "Is it right?", replies)
    assert metric(plenty)[:4] == [1.0, 0.0, 0.0, 0.0] and "2 of 40" in metric.notes[0]


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (Reply("The answer names the topic, so I should", 9, 5, 0.1, "length"), "max_tokens = 4096"),
        (Reply("", 9, 0, 0.1, "refused"), "base"),
        (Reply("It depends.", 9, 3, 0.1), "base"),
    ],
)
def test_a_judge_whose_verdicts_cannot_be_read_stops_and_scores_nothing(replies, reply, hint):
    cases = [Case("q", "e", f"{n}") for n in range(60)]

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


def test_a_judge_may_think_before_its_verdict(replies):
    said = ["It names the topic.\n\n**Yes**", "NO\nbecause", "Well,\n\nno."]
    cases = [Case("q", "e", f"{n}") for n in range(3)]
    assert ModelJudge(Scripted(said), "rubric", "Right?", replies).grade(cases) == [True, False, False]
    assert grade_ask("rubric", "Right?", cases[0]).max_tokens >= 1000


def simulated(rng, n, labelled, truth, sensitivity, specificity):
    people = {i: rng.random() < truth for i in range(n)}
    judge = {i: (rng.random() < sensitivity) if people[i] else (rng.random() >= specificity) for i in people}
    return judge, {i: people[i] for i in rng.sample(range(n), labelled)}, sum(people.values()) / n


def test_a_poor_judge_and_too_few_labels_are_ignored_with_the_reason():
    rng = random.Random(1)
    judge, people, _ = simulated(rng, 1000, 200, 0.5, 0.75, 0.95)
    poor = calibrated("tuned", judge, people)
    assert not poor.used and poor.corrected is None and "sensitivity" in poor.why
    judge, people, _ = simulated(rng, 1000, 20, 0.5, 1.0, 1.0)
    few = calibrated("tuned", judge, people)
    assert not few.used and "80 of each" in few.why
    assert not calibrated("tuned", judge, {}).used
    with pytest.raises(ValueError, match="5000"):
        calibrated("tuned", judge, {5000: True})


def test_the_corrected_mean_covers_the_truth_where_the_judges_own_does_not():
    rng, covered, biased, tried = random.Random(7), 0, 0, 0
    for _ in range(400):
        judge, people, truth = simulated(rng, 800, 240, 0.4, 0.97, 0.88)
        found = calibrated("tuned", judge, people)
        if found.used:
            tried += 1
            covered += found.low <= truth <= found.high
            biased += abs(found.raw - truth) > abs(found.corrected - truth)
    assert tried > 200 and covered / tried >= 0.93 and biased / tried > 0.7


def test_a_difference_needs_two_items_that_people_judged():
    with pytest.raises(ValueError, match="two"):
        corrected_difference({1: True, 2: True}, {1: False, 2: False}, {1: (True, False)})


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
