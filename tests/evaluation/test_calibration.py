"""How sure an arm is: calibration of its probabilities, and answering only where sure.

The threshold is of validation, what it reaches is of the test. And the cascade: a classifier where it is sure, the best
prompt elsewhere, for which nothing is asked again.
"""

import json
import math
import shutil

import numpy as np
import pytest
from bank import changed, ladder, perfect
from scripted import Scripted

from curation.example import Example, chat_row
from evaluation.arms.classifiers import fit
from evaluation.measure import ece
from evaluation.measurement_report import SureAnswer, abstention, read_outcomes
from evaluation.outcomes import check_arms, load_baseline
from evaluation.retrieval import vectorizer
from rung.report.evaluation import write_page
from rung.text.baseline_text import lines
from workspace.errors import Refusal


def test_the_error_is_the_weighted_gap_over_ten_bins():
    assert ece([0.95] * 4, [0.0] * 4) == pytest.approx(0.95)
    assert ece([0.9] * 3 + [0.2], [1.0, 1.0, 0.0, 1.0]) == pytest.approx((0.7 + 0.8) / 4)
    assert ece([0.0, 0.1, 0.1], [1.0, 0.0, 0.0]) == pytest.approx(0.8 / 3), "an edge is in the lower bin"
    assert ece([0.7, 0.65], [0.35, 1.0]) == pytest.approx(0.0)
    for wrong in ([], [1.2], [float("nan")]):
        with pytest.raises(ValueError, match="in 0"):
            ece(wrong, [1.0] * len(wrong))


@pytest.mark.parametrize("answers", [["a", "b"], ["a", "b", "c"]])
def test_probabilities_are_calibrated_on_validation_and_answers_stay(answers):
    """Labels that are wrong in 3 of 10 rows: without calibration the classifier is too sure of them."""
    draw = np.random.default_rng(7)

    def rows(n, noise):
        right = draw.integers(len(answers), size=n)
        said = [answers[r] if draw.random() > noise else answers[draw.integers(len(answers))] for r in right]
        return [
            Example(chat_row(f"{answers[r]}word item{draw.integers(9)}", s)) for r, s in zip(right, said, strict=True)
        ]

    train, validation, test = rows(300, 0.0), rows(200, 0.45), rows(400, 0.45)
    found = [fit(vectorizer(), train, 100.0, chosen) for chosen in ([], validation)]
    questions = [row.question for row in test]
    assert list(found[0].predict(questions)) == list(found[1].predict(questions))
    hits = [float(row.answer == said) for row, said in zip(test, found[0].predict(questions), strict=True)]
    before, after = (ece(model.predict_proba(questions).max(axis=1).tolist(), hits) for model in found)
    assert after < 0.1 < before


def test_few_rows_that_are_all_right_make_nothing_certain():
    rows = [Example(chat_row(f"{word} {n}", word)) for word in ("card", "pin") for n in range(4)]
    model = fit(vectorizer(), rows, 1.0, rows[:3])
    assert model.predict_proba([row.question for row in rows]).max() < 0.9


class Sure(Scripted):
    """Gives the right label a probability of 0.8 among three, by its own log-probabilities."""

    def loglikelihoods(self, asks, answers):
        right = [perfect(ask) == answer for ask, answer in zip(asks, answers, strict=True)]
        return [(math.log(0.8 if hit else 0.1) - 5, 2) for hit in right]


def test_a_baseline_tells_how_sure_its_arms_are_and_where_each_may_answer_alone(project, settings):
    """On every face; a local model is asked for the probability of each label."""
    model = Sure(lambda ask: ask.choices[0] if ask.choices else "no idea")
    folder, report = ladder(project, settings, model, "base", "classical", label_scoring=True)
    base, classical = report.arms
    assert base.extra["confidence"] == pytest.approx(0.8) and base.extra["label_accuracy"] == 1.0
    assert base.extra["ece"] == pytest.approx(0.2) and base.abstention.point.items == 36
    assert 0 < classical.extra["ece"] < 1 and "label_accuracy" not in classical.extra
    assert classical.abstention.point.precision == 1.0 and classical.abstention.chosen_on == 12
    assert base.abstention.words() in "\n".join(lines(report)), "it answers as many as the other"
    told = classical.abstention.words()
    assert told in write_page(project, folder).read_text() and "100.0% precision" in told
    kept = json.loads((folder / "report.json").read_text())["arms"][1]["abstention"]
    assert kept["point"]["items"] == classical.abstention.point.items and kept["wanted"] == 0.98


@pytest.mark.parametrize(
    ("held", "wanted", "own", "person", "at", "usd", "words"),
    [
        ([(0.9, 1)], 0.98, 0.0, None, 0.9, None, "not counted"),
        ([(0.9, 1)], 0.98, 0.5, 4.0, 0.9, 0.5 + 2.0, "$2.500"),
        ([(0.9, 1)], 0.98, None, 4.0, 0.9, None, "not known"),
        ([(0.9, 0)], 0.98, 0.5, 4.0, None, 4.0, "$4.000"),
        ([(0.9, 1), (0.9, 0)], 0.98, 0.5, 4.0, None, 4.0, "every item"),
        ([(0.9, 1), (0.9, 1), (0.3, 0)], 0.98, 0.5, 4.0, 0.9, 2.5, "the rest"),
        ([(0.9, 1), (0.3, 0)], 0.5, 0.5, 4.0, 0.3, 0.5, "answers none"),
        ([(0.3, 1)], 0.98, 0.5, 4.0, 0.3, 0.5, "wanted: 98%"),
        ([(0.96, 1)], 0.98, 0.5, 4.0, None, 4.0, "every item"),
    ],
)
def test_the_threshold_and_the_price_with_the_people(held, wanted, own, person, at, usd, words):
    """Of two test items; where no threshold was found, or none is above it, both go to a person."""
    found = abstention(
        [SureAnswer(1, *each) for each in held],
        [SureAnswer(1, 0.95, 1.0), SureAnswer(2, 0.3, 0.0)],
        wanted,
        own_usd=own,
        person_usd=person,
    )
    assert (found.point and found.point.threshold, found.usd_per_item, len(found.curve)) == (at, usd, 2)
    assert words in found.words() and ("wanted" in found.words()) == ("wanted" in words)


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


def by_arm(report):
    return {arm.arm: arm for arm in report.arms}


def test_a_cascade_has_each_answer_of_the_one_that_is_asked_last(unsure, settings, model):
    with pytest.raises(Refusal):
        ladder(unsure, settings, model, "cascade")
    _, report = ladder(unsure, settings, model, "prompt", "cascade")
    assert list(by_arm(report)) == ["prompt"], "without its parts it is a note"
    assert any(note.startswith("cascade ") for note in report.notes)
    folder, report = ladder(unsure, settings, model, "prompt", "classical", "cascade")
    by_name = by_arm(report)
    cascade, prompt = by_name["cascade"], by_name["prompt"]
    assert prompt.abstention is None, "it gives no probabilities"
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
