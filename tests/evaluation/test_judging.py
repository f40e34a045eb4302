"""A judge is believed only where people say that it may be, and then corrected by what they said."""

import random

import pytest

from chat.scripted import Scripted
from evaluation.asking import Replies
from evaluation.judge_error import calibrated, corrected_difference
from evaluation.judging import Case, judge_pairs, judge_rubric


@pytest.fixture
def replies(tmp_path):
    return Replies(tmp_path / "replies.jsonl")


def section(ask, name):
    return ask.turns[-1]["content"].split(f"{name}:\n")[1].split("\n")[0]


def test_a_rubric_is_answered_yes_or_no_and_anything_else_is_neither(replies):
    said = {"right": "Yes.", "wrong": "**NO**, because", "odd": "Perhaps", "yesterday": "yesterday"}
    model = Scripted(lambda ask: said[section(ask, "Answer to judge")])
    cases = [Case("q", "e", output) for output in said]
    assert judge_rubric(model, "Is it right?", cases, replies) == [True, False, None, None]
    judge_rubric(model, "Is it right?", cases, replies)
    assert len(model.asked) == 4


def test_only_a_preference_that_survives_the_exchange_counts_and_biases_are_measured(replies):
    def judge(ask):
        a = section(ask, "Answer A")
        if "same" in a:
            return "TIE"
        if "place" in a:
            return "A"
        return "A" if "good" in a else "B"

    first = [Case("1", "e", "good"), Case("2", "e", "bad"), Case("3", "e", "place x"), Case("4", "e", "same")]
    second = [
        Case("1", "e", "bad answer"),
        Case("2", "e", "good answer"),
        Case("3", "e", "place y"),
        Case("4", "e", "same"),
    ]
    found = judge_pairs(Scripted(judge), "Better?", first, second, replies)
    assert found.preferences == (1, -1, 0, 0)
    assert (found.flipped, found.longer) == (0.25, 0.5)


def simulated(rng, n, labelled, truth, sensitivity, specificity):
    people = {i: rng.random() < truth for i in range(n)}
    judge = {i: (rng.random() < sensitivity) if people[i] else (rng.random() >= specificity) for i in people}
    return judge, {i: people[i] for i in rng.sample(range(n), labelled)}, sum(people.values()) / n


def test_a_poor_judge_and_too_few_labels_are_ignored_with_the_reason():
    rng = random.Random(1)
    judge, people, _ = simulated(rng, 1000, 200, 0.5, 0.75, 0.95)
    poor = calibrated("tuned", judge, people)
    assert not poor.used and poor.corrected is None and "sensitivity is at least" in poor.why
    judge, people, _ = simulated(rng, 1000, 20, 0.5, 1.0, 1.0)
    few = calibrated("tuned", judge, people)
    assert not few.used and "about 80 of each settle it" in few.why
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


def test_the_difference_of_two_arms_is_corrected_with_both_errors():
    rng, covered = random.Random(11), 0
    for _ in range(300):
        tuned, known, _ = simulated(rng, 600, 600, 0.6, 0.95, 0.9)
        rival, others, _ = simulated(rng, 600, 600, 0.5, 0.95, 0.9)
        truth = (sum(known.values()) - sum(others.values())) / 600
        some = rng.sample(range(600), 160)
        found = corrected_difference(tuned, rival, {i: (known[i], others[i]) for i in some})
        covered += found["low"] <= truth <= found["high"]
    assert covered / 300 >= 0.93
    with pytest.raises(ValueError, match="at least two"):
        corrected_difference(tuned, rival, {})


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
    assert over["high"] - over["low"] > 1.3 * (lambda d: d["high"] - d["low"])(
        corrected_difference(judge, dict.fromkeys(judge, False), known)
    )


def test_a_group_of_its_own_each_changes_nothing_and_few_groups_lower_the_bounds():
    people, judge, _ = in_groups(random.Random(3), 20, 10)
    own = calibrated("tuned", judge, people, groups={i: str(i) for i in people})
    assert own == calibrated("tuned", judge, people)
    few = calibrated("tuned", judge, people, groups={i: str(i % 3) for i in people})
    assert few.sensitivity == own.sensitivity and few.sensitivity_low < own.sensitivity_low and not few.used
