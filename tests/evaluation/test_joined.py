"""One arm measured again beside those of an earlier baseline: they stay only where all their inputs are the same."""

import pytest
from bank import changed, ladder
from scripted import Scripted

from curation.example import Example
from evaluation.arms.registry import arm_name
from evaluation.choose import Choices
from evaluation.measure import choosing_items
from evaluation.measurement_report import newest_report, read_outcomes
from evaluation.outcomes import check_arms, load_baseline
from workspace.artefact import read_artefact, write_artefact
from workspace.files import sha256_file

WHOLE = ("base", "prompt", "few_shot", "rag", "classical")


def measure(project, settings, model, *arms, goal=0.9):
    return ladder(project, settings, model, *arms, goal=goal, days=6)


def by_name(report):
    return {arm.arm: arm for arm in report.arms}


def test_one_arm_measured_again_leaves_the_others_standing_and_a_third_report_names_the_first(project, settings, model):
    first_folder, first = measure(project, settings, model, *WHOLE)
    folder, report = measure(project, settings, model, "few_shot")
    assert folder.name == "E-002" and [arm.arm for arm in report.arms] == list(WHOLE)
    assert (report.chosen, report.judged) == (first.chosen, first.judged)
    taken = {name: arm.taken_from for name, arm in by_name(report).items()}
    assert taken == {**dict.fromkeys(WHOLE, "E-001"), "few_shot": ""}
    before, now = by_name(first), by_name(report)
    assert all(now[name].model_copy(update={"taken_from": ""}) == before[name] for name in WHOLE if name != "few_shot")
    assert now["few_shot"].settings == before["few_shot"].settings  # tried with the instruction that was chosen before
    assert any("rag" in told and "few" not in told for told in report.rows_from)
    assert report.notes == first.notes
    assert report.made_from["evaluations/E-001/report.json"] == sha256_file(first_folder / "report.json")
    kept = [o for o in read_outcomes(folder / "outputs.jsonl") if o.arm == "rag"]
    assert kept == [o for o in read_outcomes(first_folder / "outputs.jsonl") if o.arm == "rag"] != []
    choices = read_artefact(folder / "choices.json", Choices)
    assert [arm.arm for arm in choices.arms] == list(WHOLE) and choices.chosen == first.chosen
    outcomes = load_baseline(folder, report).outcomes
    assert {arm: len(found) for arm, found in outcomes.items()} == dict.fromkeys(WHOLE, 36)
    check_arms(project, report)
    _, third = measure(project, settings, model, "base")
    taken = {name: arm.taken_from for name, arm in by_name(third).items()}
    assert taken == {**dict.fromkeys(WHOLE, "E-001"), "base": "", "few_shot": "E-002"}
    assert {"evaluations/E-001/report.json", "evaluations/E-002/report.json"} <= third.made_from.keys()
    (project.documents / "book.md").unlink()
    _, fourth = measure(project, settings, model, "base", "rag")
    assert "rag" not in by_name(fourth), "it was wanted and could not be measured"
    assert any(note.startswith("rag ") for note in fourth.notes)
    assert newest_report(project, "baseline")[1] == fourth


def other_prompt(project, settings, kit):
    (project.prompts / "prompt.rules.md").write_text("Name the topic by the rules: card, transfer, pin.")
    return settings


def other_documents(project, settings, kit):
    (project.documents / "more.md").write_text("loan asked -> loan\n")
    return settings


def other_rows(validation, train):
    """The next version: the same test rows, and rows of so many places in the other splits."""

    def change(project, settings, kit):
        test = kit.rows_of(kit.PLACES, " today") + kit.rows_of(kit.PLACES[:4], " again")
        held, shown = kit.rows_of(kit.PLACES[:validation], " now"), kit.rows_of(kit.PLACES[:train], " this week")
        kit.freeze_by_hand(project, "v002", test=test, validation=held, train=shown)
        return settings

    return change


def test_a_classifier_is_not_taken_over_where_rows_that_set_it_changed(project, settings, model, kit):
    """Beyond the rows on which all arms are compared."""
    few = changed(settings, choose_on=2)
    measure(project, few, model, *WHOLE)
    known = kit.rows_of(kit.PLACES[:4], " now")
    first = choosing_items([Example(row) for row in known], few.evaluation)
    left_out = next(n for n in range(len(known)) if n + 1 not in {item.number for item in first})
    test = kit.rows_of(kit.PLACES, " today") + kit.rows_of(kit.PLACES[:4], " again")
    rows = {"test": test, "train": kit.rows_of(kit.PLACES, " this week")}
    kit.freeze_by_hand(project, "v002", **rows, validation=[row for n, row in enumerate(known) if n != left_out])
    _, report = measure(project, few, model, "base")
    assert [arm.arm for arm in report.arms] == list(WHOLE[:-1])
    assert any("classifier" in note and "E-001" in note for note in report.notes)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (other_prompt, ["prompt", "few_shot"]),
        (other_documents, ["rag"]),
        (lambda p, s, k: changed(s, few_shot=2), WHOLE[1:]),
        (lambda p, s, k: changed(s, "model", max_tokens=8), WHOLE[1:]),
        (lambda p, s, k: changed(s, closed_set="off"), WHOLE[1:]),
        (other_rows(4, 6), WHOLE[2:]),
        (other_rows(5, 8), WHOLE[1:]),
        (lambda p, s, k: changed(s, metric="token_f1"), WHOLE[1:]),
    ],
    ids=["prompt", "documents", "settings", "model settings", "answers", "rows", "validation", "metric"],
)
def test_an_arm_that_stands_on_something_else_is_left_out_and_said(project, settings, model, kit, change, lost):
    measure(project, settings, model, *WHOLE)
    _, report = measure(project, change(project, settings, kit), model, "base")
    assert [arm.arm for arm in report.arms] == [name for name in WHOLE if name not in lost]
    (told,) = [note for note in report.notes if "E-001" in note]
    assert all(arm_name(name) in told for name in lost)
    assert ("prompts/prompt.rules.md" in told) == (change is other_prompt)


def test_another_model_another_test_set_and_changed_files_are_not_joined(project, settings, model, kit):
    folder, first = measure(project, settings, model, "base", "prompt")
    _, report = measure(project, settings, Scripted(kit.reply, name="scripted-2"), "base")
    assert [arm.arm for arm in report.arms] == ["base"]
    assert len(report.notes) == 1 and "prompt" in report.notes[0] and "E-001" in report.notes[0]
    with (folder / "outputs.jsonl").open("a") as file:
        file.write("\n")
    _, report = measure(project, settings, model, "base")
    assert len(report.notes) == 1 and "prompt" in report.notes[0] and "E-001" in report.notes[0]
    write_artefact(folder / "report.json", first.model_copy(update={"stands_on": {}}))
    _, report = measure(project, settings, model, "base")
    assert report.notes
    kit.freeze_test(project, "v002", kit.rows_of(kit.PLACES, " tomorrow"))
    _, report = measure(project, settings, model, "base")
    assert [arm.arm for arm in report.arms] == ["base"] and report.notes == []
