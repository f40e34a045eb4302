"""Answering only where sure: the threshold is of validation, what it reaches is of the test.

And the cascade: a classifier where it is sure, the best prompt elsewhere, for which nothing is asked again.
"""

import json
import shutil

import pytest
from bank import changed, ladder

from evaluation.measurement_report import Abstention, CoveragePoint, SureAnswer, abstention, read_outcomes, threshold
from evaluation.outcomes import check_arms, load_baseline
from rung.report.evaluation import write_page
from rung.text.baseline_text import lines
from workspace.errors import Refusal


@pytest.mark.parametrize(
    ("answers", "wanted", "expected"),
    [
        ([], 0.9, None),
        ([(0.9, 0)], 0.9, None),
        ([(0.9, 1)], 0.9, 0.9),
        ([(0.9, 1), (0.9, 0)], 0.9, None),
        ([(0.9, 1), (0.9, 1), (0.5, 0)], 0.9, 0.9),
        ([(0.9, 1), (0.5, 0)], 0.5, 0.5),
    ],
)
def test_the_threshold_in_plain_cases(answers, wanted, expected):
    found = [SureAnswer(k, sure, score) for k, (sure, score) in enumerate(answers)]
    assert threshold(found, wanted) == expected
    assert (abstention(found, found, wanted) is None) == (not answers)


def test_a_baseline_tells_where_its_classifier_may_answer_alone(project, settings, model):
    """On every face; an arm without probabilities has none."""
    folder, report = ladder(project, settings, model, "prompt", "classical")
    prompt, classical = report.arms
    assert prompt.abstention is None and classical.abstention.point.precision == 1.0
    assert classical.abstention.chosen_on == 12
    told = classical.abstention.words()
    assert told in "\n".join(lines(report)) and "100.0% precision" in told
    write_page(project, folder)
    assert told in (folder / "report.html").read_text()
    kept = json.loads((folder / "report.json").read_text())["arms"][1]["abstention"]
    assert kept["point"]["items"] == classical.abstention.point.items and kept["wanted"] == 0.98


def test_another_precision_or_price_is_worked_out_from_the_answers_of_a_reused_arm(unsure, settings, model):
    """As if the arm had been measured with it; a file that was changed by hand is not believed."""

    def measured(*arms, **other):
        folder, report = ladder(unsure, changed(settings, **other), model, *arms)
        return folder, report.arms[-1]

    first, at_usual = measured("prompt", "classical", person_usd=2.0)
    _, loose = measured("prompt", precision=0.4)
    _, again = measured("prompt", "classical", precision=0.4)
    assert at_usual.abstention.wanted == 0.98 and loose.taken_from == "E-001"
    assert loose.abstention == again.abstention and loose.abstention.wanted == 0.4
    assert loose.abstention.point.items > at_usual.abstention.point.items
    rest = 1 - at_usual.abstention.point.coverage
    assert at_usual.abstention.usd_per_item == pytest.approx(2 * rest)
    assert f"${2 * rest:,.3f}" in at_usual.abstention.words() and loose.abstention.usd_per_item is None
    with (first / "sure.jsonl").open("a") as file:
        file.write("{}")
    for folder in (unsure.evaluations / "E-002", unsure.evaluations / "E-003"):
        shutil.rmtree(folder)
    assert measured("prompt", precision=0.4)[1].abstention.wanted == 0.98


@pytest.mark.parametrize(
    ("score", "own", "person", "usd", "words"),
    [
        (1.0, 0.0, None, None, "not counted"),
        (1.0, 0.5, 4.0, 0.5 + 2.0, "$2.500"),
        (1.0, None, 4.0, None, "not known"),
        (0.0, 0.5, 4.0, 4.0, "$4.000"),
    ],
)
def test_the_price_counts_the_people(score, own, person, usd, words):
    """One of two items goes to a person; where no threshold was found, both do and the arm is not asked."""
    held, test = [SureAnswer(1, 0.9, score)], [SureAnswer(1, 0.95, 1.0), SureAnswer(2, 0.3, 0.0)]
    found = abstention(held, test, 0.98, own_usd=own, person_usd=person)
    assert found.usd_per_item == usd and words in found.words()


def test_a_threshold_above_every_test_item_answers_none():
    held, test = [SureAnswer(1, 0.9, 1.0), SureAnswer(2, 0.5, 0.0)], [SureAnswer(1, 0.6, 1.0)]
    found = abstention(held, test, 0.98)
    assert found.point is None and len(found.curve) == 1


@pytest.mark.parametrize(("reached", "told"), [(0.905, True), (0.98, False), (1.0, False)])
def test_a_precision_below_what_was_wanted_is_said(reached, told):
    point = CoveragePoint(threshold=0.9, items=42, coverage=1.0, precision=reached, low=0.7, high=1.0)
    words = Abstention(wanted=0.98, chosen_on=42, point=point, curve=[]).words()
    assert ("wanted" in words) == told


def by_arm(report):
    return {arm.arm: arm for arm in report.arms}


def test_each_item_has_the_answer_of_the_one_that_is_asked_last_and_later_baselines_work_it_out_again(
    unsure, settings, model
):
    folder, report = ladder(unsure, settings, model, "prompt", "classical", "cascade")
    by_name = by_arm(report)
    cascade, prompt = by_name["cascade"], by_name["prompt"]
    assert (cascade.settings["first"], cascade.settings["then"]) == ("classical", "prompt") and not cascade.prompted
    assert cascade.settings["from"] == by_name["classical"].abstention.point.threshold
    found = load_baseline(folder, report).outcomes
    asked = [o.item for o in found["cascade"] if o.input_tokens]
    assert len(asked) == cascade.n - by_name["classical"].abstention.point.items and 0 < len(asked) < cascade.n
    for whole, first, then in zip(found["cascade"], found["classical"], found["prompt"], strict=True):
        right = then if whole.item in asked else first
        assert (whole.item, whole.output, whole.score) == (right.item, right.output, right.score)
    assert cascade.input_tokens == sum(o.input_tokens for o in found["prompt"] if o.item in asked) < prompt.input_tokens
    held = [o for o in read_outcomes(folder / "outputs.jsonl") if (o.arm, o.split) == ("cascade", "validation")]
    assert len(held) == len({o.item for o in held}) == 26
    assert cascade.validation == pytest.approx(sum(o.score for o in held) / 26)
    _, later = ladder(unsure, settings, model, "base")
    assert by_arm(later)["cascade"] == cascade and later.chosen == "prompt"
    check_arms(unsure, later)
    again = by_arm(ladder(unsure, changed(settings, precision=0.4), model, "cascade")[1])["cascade"]
    assert again.settings["from"] < cascade.settings["from"] and again.input_tokens < cascade.input_tokens


def test_without_its_parts_it_is_a_note(unsure, settings, model):
    with pytest.raises(Refusal):
        ladder(unsure, settings, model, "cascade")
    _, report = ladder(unsure, settings, model, "prompt", "cascade")
    assert list(by_arm(report)) == ["prompt"] and any(note.startswith("cascade ") for note in report.notes)
