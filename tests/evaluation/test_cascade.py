"""A classifier where it is sure, the best prompt elsewhere: one arm, for which nothing is asked again."""

import pytest

from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.measurement_report import read_outcomes
from evaluation.outcomes import check_arms, load_baseline
from workspace.artefact import revised
from workspace.errors import Refusal


def measured(project, settings, model, *arms):
    folder, report = run_baseline(open_bench(project, settings, model), arms_named(arms))
    return folder, report, {arm.arm: arm for arm in report.arms}


def test_each_item_has_the_answer_of_the_one_that_is_asked_last(unsure, settings, model):
    folder, report, by_name = measured(unsure, settings, model, "prompt", "classical", "cascade")
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


def test_it_is_worked_out_again_with_every_later_baseline(unsure, settings, model):
    _, _, before = measured(unsure, settings, model, "prompt", "classical", "cascade")
    _, report, after = measured(unsure, settings, model, "base")
    assert after["cascade"] == before["cascade"] and report.chosen == "prompt"
    check_arms(unsure, report)
    loose = revised(settings, evaluation=revised(settings.evaluation, precision=0.4))
    again = measured(unsure, loose, model, "cascade")[2]["cascade"]
    assert again.settings["from"] < before["cascade"].settings["from"]
    assert again.input_tokens < before["cascade"].input_tokens


def test_without_its_parts_it_is_a_note(unsure, settings, model):
    with pytest.raises(Refusal):
        measured(unsure, settings, model, "cascade")
    _, report, by_name = measured(unsure, settings, model, "prompt", "cascade")
    assert list(by_name) == ["prompt"] and any(note.startswith("cascade was not measured") for note in report.notes)
