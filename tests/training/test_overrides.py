"""Single values and cards: what a person sets is kept, a strange one is warned of, all errors come at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from counting import Words

from rung.text.training_text import explain_lines
from training.gates.clearance import check_gates, override
from training.plan.machine import Machine, with_cards
from training.plan.planning import make_plan, seconds_for
from training.plan.plans import Plan, read_plan
from training.trials.dry_run import DryRun, place_of
from workspace.artefact import write_artefact
from workspace.errors import InputError
from workspace.folder import Project
from workspace.settings import Settings, load_settings

FIGURES: dict[str, Any] = {
    "rows": {"rows": 1, "tokens": 1, "trained": 1, "longest": 1, "eos_trained": 1},
    "template_sha256": "", "answer_lost": [], "double_start": 0, "lost_tokens": 0, "precision": "fp32",
    "loading_seconds": 2.0, "steps": [], "tokens_per_second": 50.0, "trained_parameters": 1, "peak_gib": 1.0,
    "reserved_gib": None, "imports_gib": 0.1, "estimate": None, "checkpoint_bytes": 1, "disk_needed": 1, "disk_free": 2,
    "findings": [],
}  # fmt: skip


def plan_of(project: Project, machine: Machine | None = None, **values: str) -> Plan:
    named = {f"RUNG_TRAINING__{name.upper()}": value for name, value in values.items()}
    return make_plan(project, load_settings(project.settings_file, named), Words(), machine=machine)


def test_where_nothing_fits_processes_share_the_rows_of_a_step_all_the_same(ready: Project) -> None:
    made = plan_of(ready, Machine(ram_gib=1e-6, cores=2), processes="2", batch="8")
    assert (made.recipe.batch, made.recipe.processes, made.recipe.rows_a_step) == (4, 2, 8)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("dropout", "0.5", "dropout = 0.5 is outside 0 to 0.1"),
        ("warmup", "0.6", "warmup = 0.6 is outside 0 to 0.2"),
        ("grad_norm", "9", "grad_norm = 9 is outside 0.3 to 2"),
        ("weight_decay", "0.4", "weight_decay = 0.4 is outside 0 to 0.1"),
        ("alpha", "500", "alpha = 500 is outside"),
        ("batch", "2", "batch = 2 is outside 4 to 32"),
    ],
)
def test_a_strange_value_is_kept_and_warned_of_with_its_reason(
    ready: Project, name: str, value: str, said: str
) -> None:
    plan = plan_of(ready, **{name: value})
    warned = [note for note in plan.notes if said in note]
    assert len(warned) == 1 and ": " in warned[0] and warned[0].endswith("]")
    assert plan.because[name].by == "person"


def test_ordinary_values_are_kept_in_silence(ready: Project) -> None:
    plan = plan_of(
        ready, dropout="0.1", warmup="0.05", targets="q_proj,v_proj", schedule="linear", evals="1", patience="3"
    )
    recipe = plan.recipe
    assert (recipe.dropout, recipe.targets, recipe.schedule, recipe.evals) == (0.1, "q_proj,v_proj", "linear", 1)
    assert recipe.patience == 3 and not any("dropout" in n or "warmup" in n for n in plan.notes)


def test_a_target_that_the_model_does_not_have_is_named(ready: Project) -> None:
    with pytest.raises(InputError, match='Did you mean "q_proj"'):
        plan_of(ready, targets="q_prj")


def test_the_values_of_the_sources_snippet_are_taken_as_they_are(ready: Project) -> None:
    own = {"method": "qlora", "rank": "16", "alpha": "32", "targets": "q_proj,k_proj,v_proj,o_proj", "dropout": "0.05",
           "epochs": "3", "batch": "4", "learning_rate": "2e-4", "evals": "1"}  # fmt: skip
    recipe = plan_of(ready, **own).recipe
    assert (recipe.method, recipe.quantisation, recipe.rank, recipe.alpha) == ("qlora", "nf4", 16, 32)
    assert (recipe.targets, recipe.dropout, recipe.epochs) == ("q_proj,k_proj,v_proj,o_proj", 0.05, 3)
    assert (recipe.batch * recipe.accumulation, recipe.learning_rate, recipe.evals) == (4, 2e-4, 1)


def test_a_plan_for_a_card_elsewhere_takes_no_time_of_this_machine(ready: Project) -> None:
    plan = plan_of(ready, with_cards("24GB", 2), method="qlora")
    assert plan.recipe.method == "qlora" and plan.forecast.has == 24 and plan.forecast.where == "on the card"
    assert plan.forecast.seconds is None and plan.forecast.cost_usd is None and "24 GB" in plan.forecast.because
    with pytest.raises(InputError):
        with_cards("24 apples")


def test_a_dry_run_of_a_like_plan_gives_the_next_one_its_time(ready: Project, planned: Path) -> None:
    plan = read_plan(planned)
    assert seconds_for(ready, plan.recipe, plan.data) is None
    write_artefact(place_of(ready, plan.id), DryRun(plan=plan.id, forecast=plan.forecast, **FIGURES))
    longer = plan.recipe.model_copy(update={"epochs": 4.0})
    expected = 2.0 + plan.data.tokens * 4 / 50
    assert seconds_for(ready, longer, plan.data) == pytest.approx(expected, abs=0.1)
    assert seconds_for(ready, longer.model_copy(update={"batch": 2}), plan.data) is None


def test_explain_lists_every_gate_with_evidence_and_policy(
    ready: Project, settings: Settings, replan: Callable[[], Path]
) -> None:
    plan = read_plan(replan())
    ready.decision_file.write_text(ready.decision_file.read_text().replace('"fine_tune"', '"few_shot"'))
    aside = override("decision", "priya", "contract")
    text = "\n".join(explain_lines(plan, check_gates(ready, settings, plan, overrides=[aside]), settings.gates))
    order = [text.index(f" {name} ") for name in ("decision", "dataset", "review", "leakage", "baseline", "machine")]
    assert order == sorted(order) and text.count("policy    cannot be overridden") == 3
    assert "override  priya" in text and "opens by" not in text.split("! decision")[1].split("dataset")[0]
    assert text.count("evidence  sha256 = ") >= 2 and "[learning_rate]" not in text.split("Gates")[1]
