"""The optimised prompt: proposals by the model from train rows, kept as files, chosen on validation within a budget."""

import pytest

from chat.scripted import Scripted
from evaluation.arms.arm_material import ArmMaterial, PromptVersion
from evaluation.arms.registry import ARMS, arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from training.release.released_prompt import parts_of

GOOD = "Say card, transfer or pin, by the first word."


def model_of(kit):
    """Proposes a good instruction when asked for the form, follows it, and else answers as the kit's model."""

    def say(ask):
        text = ask.turns[-1]["content"]
        if "Reply with the instruction only." in text:
            return GOOD if "exactly which form" in text else "Answer."
        if ask.turns[0]["content"].strip() == GOOD:
            return {"card": "card", "money": "transfer", "pin": "pin"}[text.split()[0]]
        return kit.reply(ask)

    return Scripted(say, name="scripted-1")


def proposals_asked(model):
    return [ask for ask in model.asked if "Reply with the instruction only." in ask.turns[-1]["content"]]


def test_the_best_proposal_is_chosen_on_validation_and_kept_as_a_file(project, settings, kit):
    model = model_of(kit)
    folder, report = run_baseline(open_bench(project, settings, model), arms_named(["base", "optimised"]))
    arm = next(a for a in report.arms if a.arm == "optimised")
    assert arm.prompted and arm.score == arm.validation == 1.0
    files = {p.name: p.read_text().strip() for p in project.prompts.glob("optimised.*.md")}
    assert sorted(files.values()) == ["Answer.", GOOD] and files[arm.settings["prompt"]] == GOOD
    assert f"prompts/{arm.settings['prompt']}" in report.made_from
    assert arm.tries >= 4 and len(proposals_asked(model)) == 4
    test = {
        row["messages"][0]["content"] for row in kit.rows_of(kit.places, " today") + kit.rows_of(kit.places, " again")
    }
    assert not [q for q in test for ask in proposals_asked(model) if q in ask.turns[-1]["content"]]
    again = model_of(kit)
    run_baseline(open_bench(project, settings, again), arms_named(["base", "optimised"]))
    assert not proposals_asked(again) and folder.name == "E-001"


def test_without_a_budget_or_rows_to_choose_on_the_arm_is_left_out(project, settings, kit):
    none = settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"proposals": 0})})
    model = model_of(kit)
    _, report = run_baseline(open_bench(project, none, model), arms_named(["base", "optimised"]))
    assert [a.arm for a in report.arms] == ["base"] and not proposals_asked(model)
    assert any("optimised was not measured" in note for note in report.notes)
    assert ARMS["optimised"].variants(ArmMaterial(proposals=(PromptVersion("optimised.1.md", "x"),), choosing=0)) == []


@pytest.mark.parametrize("settings_of_arm", [{"prompt": "optimised.1.md"}])
def test_a_chosen_proposal_can_be_released(settings_of_arm):
    material = ArmMaterial(proposals=(PromptVersion("optimised.1.md", GOOD),), choosing=10)
    assert parts_of("optimised", settings_of_arm, material, 64)["prompt"]["text"] == GOOD
