"""Pairs out of edits: what is taken, what is not, and that it is guarded; a reward model learns from them.

It rewards the answers of another run, and remains the one that was planned with.
"""

import json
import subprocess

import pytest
import taught
from clinic import made_up
from freezing import approved

from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all, undo
from curation.split.freeze import freeze
from curation.split.manifest import load_split, newest_dataset
from training.gates.clearance import check_gates
from training.plan.objective import is_run, preferences_of, reward_run
from training.plan.plans import find_plan, read_plan
from training.runs import curve, read_run, write_run
from workspace.errors import InputError, Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def test_an_edit_is_a_pair_its_draft_the_worse_answer_and_what_is_no_pair_is_left_out_by_name(
    ready: Project, settings: Settings
):
    """No pair: a changed question, the same answer but for a space, and a draft that repeats a test item."""
    asked = [row.question for row in load_split(ready.datasets / "v001", "test")]
    longest = max(asked, key=lambda text: len(text.split()))
    desk = open_desk(ready, settings)
    names = list(desk.store.add(taught.drafts(2, seed=5), role="train").ids)
    leaked = list(desk.store.add(taught.drafts(1, answer=longest, seed=9), role="train").ids)
    changed = desk.store.row(names[1]).example
    other = {**changed.row, "messages": [{"role": "user", "content": "Another question."}, changed.messages[-1]]}
    said = [
        (names[0], Ruling("edit", text="I think  it is E11, both eyes.")),
        (names[1], Ruling("edit", row=other)),
        (leaked[0], Ruling("edit", text="E10 eye both")),
    ]
    decide_all(desk, "dana", said, kind="person")
    desk.store.close()
    ids = taught.teach(ready, settings)
    found = preferences_of(ready, settings, ready.datasets / "v002")
    assert found.left_out.keys() == {*names, *leaked} and len(set(found.left_out.values())) == 3
    assert "test" in found.left_out[leaked[0]]
    assert {pair.row for pair in found.items} == set(ids["edited"])
    for pair in found.items:
        assert pair.chosen.startswith(taught.GOOD) and pair.rejected == taught.drafts(1)[0].answer
    assert len(found.of("validation")) == 1 and len(found.of("train")) == 11
    assert found.sha256 == preferences_of(ready, settings, ready.datasets / "v002").sha256


def test_a_plan_is_for_the_pairs_that_it_counted(ready: Project, settings: Settings, plan_of):
    ids = taught.teach(ready, settings)
    plan = plan_of(objective="dpo", learning_rate="5e-6")
    assert (plan.data.train, plan.data.validation, plan.recipe.beta) == (11, 1, 0.1)
    assert all(gate.opens for gate in check_gates(ready, settings, plan))
    desk = open_desk(ready, settings)
    undo(desk, ids["edited"][0], "dana")
    decide_all(desk, "dana", [(ids["edited"][0], Ruling("edit", text="E12 eye both"))], kind="person")
    desk.store.close()
    gates = {gate.name: gate for gate in check_gates(ready, settings, plan)}
    assert not gates["dataset"].opens and "other pairs" in gates["dataset"].fact
    assert gates["dataset"].opener == "rung plan"


def test_what_is_known_not_to_work_is_refused_with_its_reason(ready: Project, settings: Settings, plan_of):
    with pytest.raises(Refusal, match="0 pairs"):
        plan_of(objective="dpo")
    taught.teach(ready, settings)
    for values in (
        {"packing": "true", "method": "prefix"},
        {"packing": "true", "objective": "dpo"},
        {"loss": "all", "objective": "dpo"},
        {"objective": "reward", "method": "prompt"},
        {"objective": "reward", "method": "qlora"},
        {"method": "adalora", "epochs": "1"},
    ):
        with pytest.raises(InputError):
            plan_of(**values)


def test_a_plan_that_was_edited_into_what_does_not_work_is_refused(planned):
    text = planned.read_text().replace("packing = false", "packing = true")
    planned.write_text(text.replace('method = "lora"', 'method = "prefix"'))
    with pytest.raises(InputError, match="virtual tokens"):
        read_plan(planned)


def test_reinforcement_takes_whole_groups_and_the_projects_metric_which_else_is_too_dear_to_choose_by(plan_of):
    plan = plan_of(objective="grpo", batch="12")
    recipe = plan.recipe
    assert (recipe.generations, recipe.batch, recipe.reward, recipe.choose_by) == (8, 16, "exact_match", "metric")
    assert recipe.answer_tokens == plan.data.answer + 8 and recipe.steps == 8 * 2
    few, wanted = plan_of(), plan_of(choose_by="metric").recipe
    assert few.recipe.choose_by == "loss" and "30" in few.because["choose_by"].text
    assert (wanted.choose_by, wanted.metric_rows) == ("metric", 4)


def test_alpha_follows_the_rank_but_not_with_rslora(plan_of):
    for method, rank, alpha, scale in (
        ("dora", 8, 16, 2.0), ("adalora", 8, 16, 2.0), ("rslora", 8, 32, 32 / 8**0.5), ("lora", 64, 32, 4.0)
    ):  # fmt: skip
        recipe = plan_of(method=method, rank=str(rank), epochs="8").recipe
        assert (recipe.alpha, recipe.scale) == (alpha, pytest.approx(scale))


def test_only_a_finished_reward_model_rewards(ready: Project, cleared):
    assert not any(is_run(metric) for metric in ("chrf", "R-", "metrics/R-1"))
    with pytest.raises(InputError, match="R-001"):
        reward_run(ready, "R-001")
    with pytest.raises(RungError, match="R-009"):
        reward_run(ready, "R-009")


def frozen_anew(project: Project, settings: Settings, role, seed):
    """The next version of the dataset, with six more rows of this role."""
    approved(project, settings, **{role: made_up(6, seed)})
    freeze(project, settings, actor="sam")
    folder = newest_dataset(project, complete=True)
    assert folder is not None
    return folder.name


def test_a_reward_model_that_learnt_from_rows_held_out_here_is_refused(
    rung, ready: Project, settings: Settings, cleared
):
    weights = cleared / "adapter" / "adapter_model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    files = {weights.name: sha256_file(weights)}
    words = {"objective": "reward", "state": "finished", "adapter": f"{cleared.name}/adapter", "files": files}
    run = write_run(cleared, read_run(cleared), **words)

    def planned() -> subprocess.CompletedProcess[str]:
        return rung("plan", "--objective", "grpo", *taught.SAMPLED, "--set", f"reward={run.id}", "--json")

    assert frozen_anew(ready, settings, "train", 11) == "v002"
    plan = read_plan(find_plan(ready, json.loads(planned().stdout)["id"]))
    assert (plan.dataset, plan.recipe.reward, run.dataset) == ("v002", run.id, "v001")
    assert check_gates(ready, settings, plan)[1].passed is True

    write_run(cleared, run, dataset="v009")
    gate = check_gates(ready, settings, plan)[1]
    assert gate.passed is False and "v009" in gate.fact and "v002" in gate.fact

    write_run(cleared, run)
    assert frozen_anew(ready, settings, "test", 12) == "v003"
    done = planned()
    assert done.returncode == 1 and "v001" in done.stdout and "v003" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["grpo", "rloo"])
def test_a_reward_model_rewards_another_run(finished, ready: Project, settings: Settings, objective):
    taught.teach(ready, settings)

    scores = finished("--objective", "reward", "--set", "learning_rate=1e-2")
    reward = ("--set", "epochs=0.3", "--set", f"reward={scores.name}")
    tuned = finished("--objective", objective, *taught.SAMPLED, *reward)
    plan = read_plan(tuned / "plan.toml")
    assert plan.recipe.reward == scores.name and plan.recipe.signals == read_run(scores).adapter_sha256
    steps = [line["reward"] for line in curve(tuned) if line["kind"] == "step"]
    checks = [line["loss"] for line in curve(tuned) if line["kind"] == "validation"]
    assert len(set(steps)) > 1, "scores of a model differ; those of a metric on random answers are mostly 0"
    assert all(loss == loss for loss in checks)
    weights = ready.runs / read_run(scores).adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    file = find_plan(ready, plan.id)
    gate = check_gates(ready, load_settings(ready.settings_file), read_plan(file))[1]
    assert gate.passed is False and "adapter_model.safetensors" in gate.fact
