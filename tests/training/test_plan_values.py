"""A plan: every value with its reason, what does not fit, what is wrong with it, and how it is kept."""

import math
import shutil

import pytest

from training.plan.memory_fit import Machine, with_cards
from training.plan.plans import find_plan, read_plan, read_plans
from training.plan.recipe import Recipe
from workspace.errors import InputError, Refusal, RungError
from workspace.folder import Project


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


def test_a_plan_of_an_earlier_version_is_in_nobodys_way(ready: Project, replan):
    old = replan()
    assert replan() == old, "the same plan is kept once"
    old.write_text(old.read_text().replace('objective = "sft"', 'objective = "kto"'))
    with pytest.raises(InputError, match="objective"):
        read_plan(old)
    assert replan().name == "P-002.toml"
    assert [plan.id for _, plan in read_plans(ready)] == ["P-002"]


def test_all_that_is_wrong_with_a_plan_is_said_at_once(planned):
    planned.write_text(planned.read_text().replace("rank = 4", "rnak = 4").replace("batch = 4", "batch = 0"))
    with pytest.raises(InputError) as refused:
        read_plan(planned)
    assert len(refused.value.problems) == 2 and '"rank"' in str(refused.value)


def test_a_misspelt_plan_is_named(ready: Project, planned):
    with pytest.raises(RungError, match='"P-001"'):
        find_plan(ready, "P-01")


def test_without_advice_or_dataset_there_is_no_plan(ready: Project, plan_of):
    shutil.rmtree(ready.datasets)
    with pytest.raises(Refusal, match="dataset"):
        plan_of()
    ready.decision_file.unlink()
    with pytest.raises(Refusal, match="advice"):
        plan_of()


def test_every_value_has_a_reason_and_strange_ones_are_kept_and_warned_of(plan_of):
    strange = {"dropout": "0.5", "warmup": "0.6", "grad_norm": "9", "weight_decay": "0.4", "alpha": "500", "batch": "2"}
    plan = plan_of(**strange)
    assert plan.recipe.model_dump(exclude_defaults=True).keys() - plan.because.keys() == {"base", "precision"}
    assert plan.recipe.steps == 2 * math.ceil(plan.data.train / 2)
    for name, value in {**strange, "rank": "4"}.items():
        (warned,) = [note for note in plan.notes if note.startswith(f"{name} = {value} ")]
        assert ": " in warned and warned.endswith("]") and plan.because[name].by == "person"


def test_a_misspelt_value_is_named_with_the_nearest(plan_of):
    for name, value, nearest in (("targets", "q_prj", "q_proj"), ("report_to", '["tensorbored"]', "tensorboard")):
        with pytest.raises(InputError, match=f'"{nearest}"'):
            plan_of(**{name: value})


def test_the_values_of_the_sources_snippet_are_taken_as_they_are_in_silence(plan_of):
    own = {"method": "qlora", "rank": "16", "alpha": "32", "targets": "q_proj,k_proj,v_proj,o_proj", "dropout": "0.05",
           "epochs": "3", "batch": "4", "learning_rate": "2e-4", "evals": "1"}  # fmt: skip
    plan = plan_of(**own, warmup="0.05", schedule="linear", patience="3")
    recipe = plan.recipe
    assert (recipe.warmup, recipe.schedule, recipe.patience) == (0.05, "linear", 3)
    assert not any(note.startswith((*own, "warmup")) for note in plan.notes)
    assert (recipe.method, recipe.quantisation, recipe.rank, recipe.alpha) == ("qlora", "nf4", 16, 32)
    assert (recipe.targets, recipe.dropout, recipe.epochs) == ("q_proj,k_proj,v_proj,o_proj", 0.05, 3)
    assert (recipe.batch * recipe.accumulation, recipe.learning_rate, recipe.evals) == (4, 2e-4, 1)


def test_a_plan_for_a_card_elsewhere_takes_no_time_of_this_machine(plan_of):
    plan = plan_of(with_cards("24GB", 2), method="qlora")
    assert plan.recipe.method == "qlora" and plan.forecast.has == 24
    assert plan.forecast.seconds is None and plan.forecast.cost_usd is None and "24 GB" in plan.forecast.because
    with pytest.raises(InputError):
        with_cards("24 apples")
