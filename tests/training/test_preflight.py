"""Before money is spent: what is wrong with rows is found, and the dry run is held against the estimate."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
import taught
from later import dry_steps

from curation.example import Example, chat_row
from training.gates.clearance import grant
from training.plan.plans import read_plan
from training.run.tokens import IGNORED, EncodedRows, Tokens, encode
from training.trials.dry_run import DryRunFigures, _dry_run, _findings, _forecast, preflight, read_preflight
from workspace.folder import Project
from workspace.settings import Settings

ROWS = {"rows": 10, "tokens": 400, "trained": 60, "longest": 40, "eos_trained": 10, "too_long": [], "masked": []}
FOUND: dict[str, Any] = {
    "rows": {**ROWS, "shown": []},
    "template_sha256": "ab" * 32,
    "answer_lost": [],
    "double_start": 0,
    "lost_tokens": 0,
    "precision": "fp32",
    "loading_seconds": 2.0,
    "steps": [{"seconds": 9.0, "tokens": 99}, {"seconds": 1.0, "tokens": 100}, {"seconds": 2.0, "tokens": 100}],
    "checkpoint_bytes": 1000,
    "trained_parameters": 7,
    "peak_gib": 1.0,
    "reserved_gib": None,
    "imports_gib": 0.4,
}
ESTIMATE = {"low": 0.9, "expected": 1.0, "high": 1.2}


def measured(**found) -> DryRunFigures:
    return DryRunFigures.model_validate({**FOUND, **found})


def texts(found, needed=1, free=2):
    return [f"{f.level}: {f.text}" for f in _findings(measured(**found), ESTIMATE, needed, free)]


def test_a_sound_dry_run_finds_nothing():
    assert texts({}) == []


@pytest.mark.parametrize(
    ("found", "level", "figures"),
    [
        ({"answer_lost": [3, 4]}, "blocks", "2 3 4"),
        ({"rows": {**ROWS, "eos_trained": 7}}, "look", "3"),
        ({"rows": {**ROWS, "masked": [5]}}, "look", "1 5"),
        ({"rows": {**ROWS, "too_long": [8]}, "lost_tokens": 12}, "look", "1 12 8"),
        ({"double_start": 2}, "look", "2"),
        ({"peak_gib": 2.0}, "look", "2.00 1.00 0.90 1.20"),
        ({"needed": 3_000_000_000, "free": 1_000_000_000}, "blocks", "3.0 1.0"),
    ],
)
def test_each_fault_is_said_with_its_rows(found, level, figures):
    """Too little disk for the checkpoints is one."""
    disk = {name: found.pop(name) for name in ("needed", "free") if name in found}
    (said,) = texts(found, **disk)
    assert said.startswith(level) and re.findall(r"\d[\d.]*\b", said) == figures.split()


def test_time_comes_from_the_mean_and_its_span_from_the_quickest_and_the_slowest_step(planned):
    plan = read_plan(planned)
    work = plan.data.tokens * plan.recipe.epochs
    work += plan.recipe.evals * plan.recipe.epochs * plan.data.validation * plan.data.tokens / plan.data.train / 3
    forecast = _forecast(plan, measured())
    assert forecast.seconds == pytest.approx(2 + work / (200 / 3), abs=0.1)
    assert forecast.seconds_low == pytest.approx(2 + work / 100, abs=0.1)
    assert forecast.seconds_high == pytest.approx(2 + work / 50, abs=0.1)
    assert forecast.expected == plan.forecast.expected


def test_disk_counts_the_newest_the_best_and_the_one_that_is_written(ready: Project, planned):
    plan = read_plan(planned)
    one = _dry_run(ready, planned, plan, measured(), plan.forecast)
    assert one.disk_needed == 1000 * (plan.recipe.keep_last + 2)
    two = plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"processes": 2})})
    assert _dry_run(ready, planned, two, measured(), two.forecast).estimate == one.estimate


def test_the_first_step_takes_the_longest_rows_and_small_sets_go_round():
    columns = [{"input_ids": [0] * n} for n in (3, 9, 5, 7)]
    lengths = [len(c["input_ids"]) for c in dry_steps._order(columns, 2)]
    assert lengths[:2] == [9, 7] and len(lengths) == 6
    assert len(dry_steps._order(columns[:1], 4)) == 12


def test_rows_whose_answer_is_not_trained_whole_are_listed(tiny):
    from training.run.base_model import load_tokenizer

    tokenizer = load_tokenizer(str(tiny))
    rows = [Example(chat_row("DM2", "E11 none none")), Example(chat_row("DM1", "E10 eye both"))]
    encoded = encode(tokenizer, rows, None, 256)
    first = encoded.rows[0]
    cut = next(i for i, label in enumerate(first.labels) if label != IGNORED)
    short = Tokens(1, first.ids, [IGNORED] * (cut + 2) + first.labels[cut + 2 :])
    recipe = SimpleNamespace(system_prompt=None, objective="sft", loss="last")

    def lost(rows_now: list[Tokens]):
        ground = SimpleNamespace(tokenizer=tokenizer, recipe=recipe, items=None, train=rows)
        ground.items = SimpleNamespace(encoded=EncodedRows(rows_now, [2]))
        found = dry_steps._rendering(ground)
        assert found["lost_tokens"] == encoded.rows[1].trained
        return list(found["answer_lost"])

    assert lost([short, encoded.rows[1]]) == [1] and lost(encoded.rows) == []


def test_the_dry_run_measures_steps_memory_and_a_checkpoint(ready: Project, settings: Settings, tiny, planned):
    planned.write_text(planned.read_text().replace('base = "embedded"', f'base = "{tiny}"'))
    planned.write_text(re.sub(r"max_length = \d+", "max_length = 256", planned.read_text()))
    found = dry_steps.measure(ready.root, planned)
    assert len(found["steps"]) == 3 and all(s["seconds"] > 0 and s["tokens"] > 0 for s in found["steps"])
    assert found["checkpoint_bytes"] > 4 * found["trained_parameters"] > 0
    assert found["peak_gib"] >= 0 and len(found["rows"]["shown"]) == 5
    assert not list(ready.plans.glob(".dry-*"))


@pytest.mark.slow
def test_preflight_as_a_user_runs_it_gives_the_plan_its_time(rung, ready: Project, tmp_path):
    done = rung("plan", "--preflight", "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    plan = read_plan(ready.plans / f"{document['plan']}.toml")
    assert plan.forecast.seconds == document["forecast"]["seconds"] > 0
    kept = read_preflight(ready, plan.id)
    assert kept is not None and kept.tokens_per_second > 0


@pytest.mark.slow
def test_a_plan_that_has_a_run_keeps_its_bytes(rung, ready: Project, settings: Settings, tiny):
    path = ready.root / json.loads(rung("plan", "--json").stdout)["path"]
    model = settings.model.model_copy(update={"base": str(tiny)})
    grant(ready, settings.model_copy(update={"model": model}), path, by="sam")
    before = path.read_bytes()
    preflight(ready, path)
    assert path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--objective", "dpo"),
        ("--objective", "grpo", "--set", "reward=chrf", "--set", "answer_tokens=4", "--set", "generations=2"),
        ("--method", "prefix"),
    ],
)
def test_other_methods_and_objectives_are_tried_as_well(rung, ready: Project, settings: Settings, words):
    taught.teach(ready, settings)
    done = rung("plan", "--preflight", *words, "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["steps"]) == 3 and found["tokens_per_second"] > 0 and found["checkpoint_bytes"] > 0
