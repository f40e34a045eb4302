"""The optimised prompt: rewritten by a model from errors on train rows, chosen on validation, within limits."""

import json
from dataclasses import replace

import in_shell
import pytest
from bank import changed, ladder
from hosted_replies import completion
from scripted import Scripted

from evaluation.arms.arm_material import ArmMaterial, PromptVersion
from evaluation.arms.registry import ARMS
from rung.report.evaluation import search_plot
from training.release.released_prompt import parts_of

STEPS = ("Say card or pin, by the first word.", "Say card, transfer or pin, by the first word.")
"""Instructions that the writer gives, each better than the one before."""
KNOWS = {STEPS[0]: ("card", "pin"), STEPS[1]: ("card", "transfer", "pin")}


def follows(kit):
    """Answers right where its instruction names the answer, and else as the kit's model."""

    def say(ask):
        right = kit.perfect(ask)
        return right if right in KNOWS.get(ask.turns[0]["content"].strip(), ()) else kit.reply(ask)

    return Scripted(say, name="scripted-1")


def writing(name="writer-1"):
    """Writes the step after the one that it is shown."""

    def say(ask):
        text = ask.turns[0]["content"]
        at = max((n for n, step in enumerate(STEPS) if step in text), default=-1)
        return f"Better:\n```\n{STEPS[min(at + 1, 1)]}\n```"

    return Scripted(say, name=name)


def test_the_best_rewrite_is_chosen_on_validation_and_kept_as_a_file(project, settings, kit):
    writer, arms = writing(), ("base", "prompt", "optimised")
    _, report = ladder(project, settings, follows(kit), *arms, writer=writer)
    arm = next(a for a in report.arms if a.arm == "optimised")
    assert arm.prompted and arm.score == arm.validation == 1.0 and report.chosen == "optimised"
    assert [p.read_text().strip() for p in project.prompts.glob("optimised.*.md")] == [STEPS[1]]
    assert f"prompts/{arm.settings['prompt']}" in report.made_from
    calls, best = zip(*arm.search, strict=True)
    assert calls[0] >= 10 and list(calls) == sorted(calls) and list(best) == sorted(best) and best[-1] == 1.0
    drawn = str(search_plot(report.arms))
    assert all(f"{count:,} answers" in drawn for count in calls) and "hand prompt" in drawn
    assert not search_plot([a for a in report.arms if a.arm != "optimised"])
    assert 2 <= len(writer.asked) <= settings.evaluation.proposals
    shown = [ask.turns[0]["content"] for ask in writer.asked]
    assert all("```" in text for text in shown)
    rows = [row for extra in (" today", " again", " now") for row in kit.rows_of(kit.PLACES, extra)]
    outside = [row["messages"][0]["content"] for row in rows]
    assert not [question for question in outside for text in shown if question in text]
    again = writing()
    ladder(project, settings, follows(kit), *arms, writer=again)
    assert not again.asked, "what is written is not written again"
    (project.prompts / "optimised.1.md").unlink()
    _, report = ladder(project, settings, follows(kit), *arms, writer=again)
    assert not again.asked, "a killed search asks the same in the same order, and finds the answers"
    assert next(a for a in report.arms if a.arm == "optimised").score == 1.0


@pytest.mark.parametrize(
    ("values", "writer", "most"), [({"proposals": 0}, True, 0), ({"proposals": 2}, True, 2), ({}, False, 0)]
)
def test_the_limits_hold_and_the_report_says_why_there_is_none(project, settings, kit, values, writer, most):
    model = writing()
    some, writer = changed(settings, **values), model if writer else None
    _, report = ladder(project, some, follows(kit), "base", "prompt", "optimised", writer=writer)
    assert len(model.asked) <= most
    missing = "optimised" not in {arm.arm for arm in report.arms}
    assert missing == (not most) == any(note.startswith("optimised ") for note in report.notes)


def test_few_calls_end_the_search(project, settings, kit):
    few, model = changed(settings, optimise_calls=20), follows(kit)
    ladder(project, few, model, "optimised", writer=writing())
    train = [ask for ask in model.asked if ask.turns[-1]["content"].endswith(" this week")]
    assert len(train) <= 20


def test_a_chosen_rewrite_can_be_released_and_is_no_arm_without_rows_to_choose_on():
    material = ArmMaterial(proposals=(PromptVersion("optimised.1.md", STEPS[1]),), choosing=10)
    assert parts_of("optimised", {"prompt": "optimised.1.md"}, material, 64)["prompt"]["text"] == STEPS[1]
    assert ARMS["optimised"].variants(replace(material, choosing=0)) == []


def test_a_hosted_model_rewrites_the_prompt_where_no_arm_is_named(project, loopback, monkeypatch, kit):
    def say(_handler, request):
        turns = request[3]["messages"]
        if "```" in turns[-1]["content"]:
            return 200, completion(f"```\n{STEPS[1]}\n```")
        return 200, completion(kit.right(turns[-1]["content"]) if turns[0]["content"].strip() == STEPS[1] else "pin")

    loopback.say(say)
    kit.on_server(project, loopback.url, 'proposals = 3\nclosed_set = "off"')
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    done = in_shell.rung("baseline", "--json", cwd=project.root, code=0)
    found = {arm["arm"]: arm["score"] for arm in json.loads(done.stdout)["arms"]}
    assert found["optimised"] == 1.0 > found["prompt"]
