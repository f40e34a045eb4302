"""Pairs out of edits: what is taken, what is not, and that it is guarded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import taught
from counting import Words

from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all, undo
from curation.split.manifest import load_split
from training.gates.clearance import check_gates
from training.plan.planning import make_plan
from training.plan.plans import Plan, keep_plan, read_plan
from training.plan.preferences import preferences_of
from workspace.errors import InputError, Refusal
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def plan_of(project: Project, **variables: str) -> Plan:
    named = {f"RUNG_TRAINING__{name.upper()}": value for name, value in variables.items()}
    settings = load_settings(project.settings_file, named)
    return keep_plan(project, make_plan(project, settings, Words()))[1]


def test_an_edit_is_a_pair_and_the_draft_is_the_worse_answer(ready: Project, settings: Settings) -> None:
    ids = taught.teach(ready, settings)
    found = preferences_of(ready, settings, ready.datasets / "v002")
    assert {pair.row for pair in found.items} == set(ids["edited"])
    for pair in found.items:
        assert pair.chosen.startswith("E10 eye both") and pair.rejected == "I think it is E11, both eyes."
    assert len(found.of("validation")) == 1 and len(found.of("train")) == 11
    assert found.sha256 == preferences_of(ready, settings, ready.datasets / "v002").sha256


def test_what_is_no_pair_is_left_out_by_name(ready: Project, settings: Settings) -> None:
    desk = open_desk(ready, settings)
    names = list(desk.store.add(taught.drafts(3, seed=5), role="train").ids)
    changed = desk.store.row(names[1]).example
    other = {**changed.row, "messages": [{"role": "user", "content": "Another question."}, changed.messages[-1]]}
    said = [
        (names[0], Ruling("edit", text="I think  it is E11, both eyes.")),
        (names[1], Ruling("edit", row=other)),
        (names[2], Ruling("edit", text="E11 eye both")),
    ]
    decide_all(desk, "dana", said, kind="person")
    desk.store.close()
    taught.teach(ready, settings, edits=2, rejections=0)
    found = preferences_of(ready, settings, ready.datasets / "v002")
    assert found.left_out == {
        names[0]: "only white space was edited",
        names[1]: "the question was edited too: the draft answers another one",
    }


def test_a_pair_whose_draft_repeats_a_test_item_is_never_trained_on(ready: Project, settings: Settings) -> None:
    asked = [row.question for row in load_split(ready.datasets / "v001", "test")]
    longest = max(asked, key=lambda text: len(text.split()))
    desk = open_desk(ready, settings)
    leaked = list(desk.store.add(taught.drafts(1, answer=longest, seed=9), role="train").ids)
    decide_all(desk, "dana", [(leaked[0], Ruling("edit", text="E10 eye both"))], kind="person")
    desk.store.close()
    taught.teach(ready, settings, rejections=0)
    found = preferences_of(ready, settings, ready.datasets / "v002")
    assert found.left_out[leaked[0]] == "it is in test"
    assert leaked[0] not in {pair.row for pair in found.items}


def test_too_few_pairs_are_refused_with_what_to_review(ready: Project) -> None:
    with pytest.raises(Refusal, match="0 pairs") as refused:
        plan_of(ready, objective="dpo")
    assert "edit drafts" in refused.value.hint


def test_a_plan_is_for_the_pairs_that_it_counted(ready: Project, settings: Settings) -> None:
    ids = taught.teach(ready, settings)
    plan = plan_of(ready, objective="dpo", learning_rate="5e-6")
    assert (plan.data.train, plan.data.validation, plan.recipe.beta) == (11, 1, 0.1)
    assert all(gate.opens for gate in check_gates(ready, settings, plan))
    desk = open_desk(ready, settings)
    undo(desk, ids["edited"][0], "dana")
    decide_all(desk, "dana", [(ids["edited"][0], Ruling("edit", text="E12 eye both"))], kind="person")
    desk.store.close()
    gates = {gate.name: gate for gate in check_gates(ready, settings, plan)}
    assert not gates["dataset"].opens and "other pairs" in gates["dataset"].fact
    assert gates["dataset"].opener == "rung plan"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"packing": "true", "method": "prefix"}, "virtual tokens would come before the first row"),
        ({"packing": "true", "objective": "dpo"}, "the other trainers pad"),
        ({"objective": "reward", "method": "prompt"}, "its new score head is not saved"),
        ({"objective": "reward", "method": "qlora"}, "casts the new score head"),
        ({"method": "adalora", "epochs": "1"}, "three phases do not fit"),
    ],
)
def test_what_is_known_not_to_work_is_refused_with_its_reason(
    ready: Project, settings: Settings, values: dict[str, str], reason: str
) -> None:
    taught.teach(ready, settings)
    with pytest.raises(InputError, match=reason):
        plan_of(ready, **values)


def test_a_plan_that_was_edited_into_what_does_not_work_is_refused(planned: Path) -> None:
    text = planned.read_text().replace("packing = false", "packing = true")
    planned.write_text(text.replace('method = "lora"', 'method = "prefix"'))
    with pytest.raises(InputError, match="virtual tokens"):
        read_plan(planned)


def test_reinforcement_takes_whole_groups_and_the_projects_metric(ready: Project) -> None:
    plan = plan_of(ready, objective="grpo", batch="12")
    recipe = plan.recipe
    assert (recipe.generations, recipe.batch, recipe.reward, recipe.choose_by) == (8, 16, "exact_match", "metric")
    assert recipe.answer_tokens == plan.data.answer + 8 and recipe.steps == 8 * 2


def test_alpha_follows_the_rank_but_not_with_rslora(ready: Project) -> None:
    for method, alpha, scale in (("dora", 16, 2.0), ("adalora", 16, 2.0), ("rslora", 32, 32 / 8**0.5)):
        recipe = plan_of(ready, method=method, rank="8", epochs="8").recipe
        assert (recipe.alpha, recipe.scale) == (alpha, pytest.approx(scale))


def test_the_metric_chooses_where_its_answers_are_affordable(ready: Project, replan: Callable[[], Path]) -> None:
    few = plan_of(ready)
    assert few.recipe.choose_by == "loss" and "30 would be needed" in few.because["choose_by"].text
    wanted = plan_of(ready, choose_by="metric")
    assert (wanted.recipe.choose_by, wanted.recipe.metric_rows) == ("metric", 4)
