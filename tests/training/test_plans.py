"""A plan: every value with its reason, what does not fit, what is wrong with it, and how it is kept.

Its pairs out of edits: what is taken, what is not, and that it is guarded. A reward model learns from them; it rewards
the answers of another run, and remains the one that was planned with.
"""

import json
import math
import shutil

import pytest
import taught
from clinic import made_up
from freezing import approved
from runs_by_hand import finish_run

from curation.review import Ruling, decide_all, open_desk, undo
from curation.split.freeze import freeze
from curation.split.manifest import load_split
from training.gates.clearance import check_gates
from training.plan.memory_fit import Machine, with_cards
from training.plan.objective import is_run, preferences_of, reward_run
from training.plan.plans import find_plan, keep_plan, read_plan, read_plans
from training.plan.recipe import Recipe
from training.runs import curve, read_run, write_run
from workspace.artefact import revised
from workspace.errors import InputError, Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def test_the_rate_follows_the_width_of_the_model_where_nobody_sets_it_and_several_jobs_halve_it(
    ready: Project, plan_of
):
    toml, advice = ready.settings_file, ready.decision_file
    toml.write_text(toml.read_text().replace("learning_rate = 1e-3\n", "").replace("rank = 4\n", ""))
    narrow = plan_of().recipe
    assert narrow.learning_rate == pytest.approx(5e-4 * (2000 / 576) ** 0.781, rel=0.05)
    assert (narrow.rank, narrow.alpha, narrow.scale) == (16, 32, 2.0)
    advice.write_text(advice.read_text().replace('"breadth": "narrow"', '"breadth": "several"'))
    plan = plan_of()
    assert plan.recipe.learning_rate == narrow.learning_rate / 2
    assert "lin-2026" in plan.because["learning_rate"].source
    assert plan_of(learning_rate="1e-3").recipe.learning_rate == 1e-3


def test_replayed_questions_count_as_rows_and_fit(plan_of):
    plain, more = plan_of(), plan_of(replay="0.5")
    rows = plain.data.train
    assert (plain.recipe.replay, more.recipe.replay) == (0, math.ceil(rows / 2))
    assert more.recipe.steps == 2 * math.ceil((rows + math.ceil(rows / 2)) / 4)
    assert plain.recipe.max_length < 192 <= more.recipe.max_length and more.because["replay"].source
    assert "192" in more.because["max_length"].text
    assert plan_of(replay="0.0001").recipe.replay == 1, "never nothing in silence"
    assert plan_of(replay="1").recipe.replay == min(rows, 360)
    with pytest.raises(ValueError, match="replay"):
        Recipe(**{**more.recipe.model_dump(), "objective": "dpo"})


def test_what_does_not_fit_is_made_smaller_before_it_is_refused(plan_of):
    whole = plan_of(Machine(64.0), batch="16").recipe
    assert (whole.batch, whole.accumulation, whole.checkpointing) == (16, 1, False)
    small = plan_of(Machine(0.75), batch="16").recipe
    assert small.batch * small.accumulation == 16 and small.batch < 16
    assert small.steps == whole.steps
    none = plan_of(Machine(ram_gib=1e-6), processes="2", batch="8").recipe
    assert (none.batch, none.processes, none.rows_a_step) == (4, 2, 8), "processes share the rows all the same"


def test_rows_over_a_limit_that_a_person_sets_are_named(plan_of):
    plan = plan_of(max_length="14")
    assert plan.data.left_out and "train line" in plan.notes[-1]
    with pytest.raises(Refusal, match="8"):
        plan_of(max_length="8")


def test_a_plan_of_an_earlier_version_is_in_nobodys_way_and_another_is_not_taken_for_ones_own(
    ready: Project, replan, plan_of
):
    old = replan()
    assert replan() == old, "the same plan is kept once"
    old.write_text(old.read_text().replace('objective = "sft"', 'objective = "kto"'))
    with pytest.raises(InputError, match="objective"):
        read_plan(old)
    assert replan().name == "P-002.toml"
    assert [plan.id for _, plan in read_plans(ready)] == ["P-002"]
    with pytest.raises(Refusal):  # of another command, which took the id meanwhile
        keep_plan(ready, revised(plan_of(rank="8"), id="P-002"))


def test_all_that_is_wrong_with_a_plan_is_said_at_once_and_what_is_misspelt_with_the_nearest(
    ready: Project, planned, plan_of
):
    for name, value, nearest in (("targets", "q_prj", "q_proj"), ("report_to", '["tensorbored"]', "tensorboard")):
        with pytest.raises(InputError, match=f'"{nearest}"'):
            plan_of(**{name: value})
    with pytest.raises(RungError, match='"P-001"'):
        find_plan(ready, "P-01")
    planned.write_text(planned.read_text().replace("rank = 4", "rnak = 4").replace("batch = 4", "batch = 0"))
    with pytest.raises(InputError) as refused:
        read_plan(planned)
    assert len(refused.value.problems) == 2 and '"rank"' in str(refused.value)


def test_without_advice_or_dataset_there_is_no_plan(ready: Project, plan_of):
    shutil.rmtree(ready.datasets)
    with pytest.raises(Refusal, match="dataset"):
        plan_of()
    ready.decision_file.unlink()
    with pytest.raises(Refusal, match="advice"):
        plan_of()


def test_every_value_has_a_reason_and_strange_ones_alone_are_warned_of(plan_of):
    strange = {"dropout": "0.5", "warmup": "0.6", "grad_norm": "9", "weight_decay": "0.4", "alpha": "500", "batch": "2"}
    plan = plan_of(**strange)
    assert plan.recipe.model_dump(exclude_defaults=True).keys() - plan.because.keys() == {"base", "precision"}
    assert plan.recipe.steps == 2 * math.ceil(plan.data.train / 2)
    for name, value in {**strange, "rank": "4"}.items():
        (warned,) = [note for note in plan.notes if note.startswith(f"{name} = {value} ")]
        assert ": " in warned and warned.endswith("]") and plan.because[name].by == "person"
    usual = {
        "alpha": "32",
        "batch": "4",
        "dropout": "0.05",
        "epochs": "3.0",
        "evals": "1",
        "learning_rate": "0.0002",
        "method": "qlora",
        "rank": "16",
        "targets": "q_proj,k_proj,v_proj,o_proj",
        "warmup": "0.05",
    }
    more = {
        "loss": "all",
        "patience": "3",
        "precision": "fp32",
        "schedule": "linear",
        "seed": "7",
        "system_prompt": "X",
    }
    plan = plan_of(**usual, **more)
    assert not any(note.startswith((*usual,)) for note in plan.notes)
    assert {name: str(getattr(plan.recipe, name)) for name in (*usual, *more)} == {**usual, **more}
    assert plan.recipe.quantisation == "nf4"


def test_a_plan_for_a_card_elsewhere_takes_no_time_of_this_machine(plan_of):
    plan = plan_of(with_cards("24GB", 2), method="qlora")
    assert plan.recipe.method == "qlora" and plan.forecast.has == 24
    assert plan.forecast.seconds is None and plan.forecast.cost_usd is None and "24 GB" in plan.forecast.because
    with pytest.raises(InputError):
        with_cards("24 apples")


# --- pairs out of edits, and reward models that learn from them ------------------------------------------------------


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


def test_what_is_known_not_to_work_is_refused_with_its_reason(ready: Project, settings: Settings, planned, plan_of):
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
    text = planned.read_text().replace("packing = false", "packing = true")
    planned.write_text(text.replace('method = "lora"', 'method = "prefix"'))
    with pytest.raises(InputError, match="virtual tokens"):
        read_plan(planned)


def test_reinforcement_takes_whole_groups_and_the_projects_metric_which_else_is_too_dear_to_choose_by(plan_of):
    plan = plan_of(objective="grpo", batch="12")
    recipe = plan.recipe
    assert (recipe.generations, recipe.batch, recipe.reward, recipe.choose_by) == (8, 16, "exact_match", "metric")
    assert recipe.answer_tokens == plan.data.answer + 8 and recipe.steps == 8 * 2
    own = {"answer_tokens": "6", "beta": "0.05", "generations": "4", "temperature": "0.7"}
    recipe = plan_of(objective="grpo", **own).recipe
    assert {name: str(getattr(recipe, name)) for name in own} == own
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
    return freeze(project, settings, actor="sam").folder.name


def test_a_reward_model_that_learnt_from_rows_held_out_here_is_refused(rung, ready: Project, settings: Settings):
    folder = ready.runs / "R-001"
    run = write_run(folder, finish_run(ready, folder.name), objective="reward")

    def planned():
        return rung("plan", "--objective", "grpo", *taught.SAMPLED, "--set", f"reward={run.id}", "--json")

    assert frozen_anew(ready, settings, "train", 11) == "v002"
    plan = read_plan(find_plan(ready, json.loads(planned().stdout)["id"]))
    assert (plan.dataset, plan.recipe.reward, run.dataset) == ("v002", run.id, "v001")
    assert check_gates(ready, settings, plan)[1].passed is True

    write_run(folder, run, dataset="v009")
    gate = check_gates(ready, settings, plan)[1]
    assert gate.passed is False and "v009" in gate.fact and "v002" in gate.fact

    write_run(folder, run)
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
