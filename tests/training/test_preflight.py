"""Short trainings: what is wrong with rows is found before money is spent, the estimate held to; sweeps by halving."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import taught
from counting import Words
from later import dry_steps
from lives import processes, wait_until

from curation.example import Example, chat_row
from training.gates.clearance import Locked, grant, override
from training.plan.planning import seconds_for
from training.plan.plans import read_plan
from training.run.base_model import load_tokenizer
from training.run.inputs import answers
from training.run.tokens import IGNORED, EncodedRows, Tokens
from training.trials import sweep
from training.trials.dry_run import DryRunFigures, _dry_run, _findings, _forecast, place_of, preflight, read_preflight
from workspace.artefact import revised, write_artefact
from workspace.errors import InputError, Refusal
from workspace.folder import Project
from workspace.settings import Settings, load_settings

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


@pytest.fixture
def small(own: Project) -> Project:
    """The project with the tiny model and 32 steps."""
    own.settings_file.write_text(own.settings_file.read_text().replace("epochs = 2", "epochs = 8"))
    return own


@pytest.fixture
def laid_out(small: Project, settings: Settings, planned) -> Callable[..., sweep.Spec]:
    """`laid_out("rank=4,8")`: the sweep over these values, with the settings of rung.toml or others."""
    plan = read_plan(planned)
    return lambda *texts, by=settings: sweep.lay_out(small, by, planned, plan, sweep.parse_space(texts), Words())


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
    disk = {"needed": 1, "free": 2, **found}
    told = {name: value for name, value in found.items() if name not in ("needed", "free")}
    (said,) = _findings(measured(**told), ESTIMATE, disk["needed"], disk["free"])
    assert said.level == level and re.findall(r"\d[\d.]*\b", said.text) == figures.split()


def test_time_comes_from_the_mean_and_its_span_from_the_quickest_and_the_slowest_step(planned):
    plan = read_plan(planned)
    work = plan.data.tokens * plan.recipe.epochs
    work += plan.recipe.evals * plan.recipe.epochs * plan.data.validation * plan.data.tokens / plan.data.train / 3
    forecast = _forecast(plan, measured())
    assert forecast.seconds == pytest.approx(2 + work / (200 / 3), abs=0.1)
    assert forecast.seconds_low == pytest.approx(2 + work / 100, abs=0.1)
    assert forecast.seconds_high == pytest.approx(2 + work / 50, abs=0.1)
    assert forecast.expected == plan.forecast.expected


def test_a_dry_run_of_a_like_plan_gives_the_next_one_its_time(ready: Project, planned):
    plan = read_plan(planned)
    assert seconds_for(ready, plan.recipe, plan.data) is None
    found = _dry_run(ready, planned, plan, measured(), plan.forecast)
    assert found.disk_needed == 1000 * (plan.recipe.keep_last + 2), "the newest, the best and the one that is written"
    write_artefact(place_of(ready, plan.id), found)
    longer = revised(plan.recipe, epochs=4.0)
    assert seconds_for(ready, longer, plan.data) == pytest.approx(2.0 + plan.data.tokens * 4 / (200 / 3), abs=0.1)
    assert seconds_for(ready, revised(longer, batch=2), plan.data) is None


def test_rows_whose_answer_is_not_trained_whole_are_listed(tiny, tmp_path):
    tokenizer = load_tokenizer(str(tiny))
    rows = [Example(chat_row("DM2", "E11 none none")), Example(chat_row("DM1", "E10 eye both"))]
    encoded = answers(tokenizer, rows, None, 256, tmp_path).encoded
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


def test_the_dry_run_measures_steps_memory_and_a_checkpoint(small: Project, planned):
    found = dry_steps.measure(small.root, planned)
    assert len(found["steps"]) == 3 and all(s["seconds"] > 0 and s["tokens"] > 0 for s in found["steps"])
    assert found["steps"][0]["tokens"] == max(s["tokens"] for s in found["steps"]), "the longest rows come first"
    assert found["checkpoint_bytes"] > 4 * found["trained_parameters"] > 0
    assert found["peak_gib"] >= 0 and len(found["rows"]["shown"]) == 5
    assert not list(small.plans.glob(".dry-*"))


@pytest.mark.slow
def test_a_plan_that_has_a_run_keeps_its_bytes(small: Project, settings: Settings, planned):
    grant(small, settings, planned, by="sam")
    before = planned.read_bytes()
    preflight(small, planned)
    assert planned.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--objective", "dpo"),
        ("--objective", "grpo", *taught.SAMPLED),
        ("--method", "prefix"),
        (),
    ],
)
def test_every_method_and_objective_is_tried_and_the_plan_gets_its_time(
    rung, ready: Project, settings: Settings, words
):
    taught.teach(ready, settings)
    done = rung("plan", "--preflight", *words, "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["steps"]) == 3 and found["tokens_per_second"] > 0 and found["checkpoint_bytes"] > 0
    plan, kept = read_plan(ready.plans / f"{found['plan']}.toml"), read_preflight(ready, found["plan"])
    assert kept and plan.forecast == kept.forecast and kept.forecast.seconds == found["forecast"]["seconds"] > 0


# --- the space and the halving ---------------------------------------------------------------------------------------


def test_everything_that_is_wrong_with_a_sweep_is_said_at_once():
    with pytest.raises(InputError) as refused:
        sweep.parse_space(["lr", "rnak=8,16", "lr=1,2", "learning_rate=3", "objective=sft,dpo"])
    assert len(refused.value.problems) == 4 and '"rank"' in str(refused.value)
    with pytest.raises(InputError):
        sweep.parse_space(["lr=1e-4"])


def test_a_loss_that_is_no_number_comes_last():
    points = [
        sweep.Point(trial=name, rung=0, step=8, loss=loss) for name, loss in (("a", None), ("b", 2.0), ("c", 1.0))
    ]
    assert sweep.survivors(points, 0, 2) == ["c", "b"] and sweep.survivors(points, 0, 3)[-1] == "a"


def test_each_combination_is_worked_out_as_its_own_plan(small: Project, laid_out):
    spec = laid_out("lr=1e-4,1e-3", "rank=4,64")
    assert [t.values for t in spec.trials][1] == {"learning_rate": 1e-4, "rank": 64}
    high = spec.trials[1].recipe
    assert high.rank == 64 and high.rslora and high.alpha == 32
    taken, whole = sweep.budget(spec)
    assert whole == 4 * 32 and taken == 4 * 8 + 2 * 8 + 16
    halved = [(rung.count, rung.share) for rung in sweep.halving(6, 400)]
    assert halved == [(6, 0.25), (3, 0.5), (1, 1.0)] and len(sweep.halving(6, 9)) == 1
    others = load_settings(small.settings_file, {"RUNG_TRAINING__EPOCHS": "2", "RUNG_TRAINING__DROPOUT": "0.0"})
    alone = laid_out("rank=4,8", by=others)
    assert [(t.recipe.epochs, t.recipe.dropout, t.recipe.rank) for t in alone.trials] == [(2, 0.0, 4), (2, 0.0, 8)]
    with pytest.raises(InputError) as refused:
        laid_out("lr=fast,1e-3", "rank=0,8")
    assert {p.where for p in refused.value.problems} == {"learning_rate=fast", "rank=0"}


def test_a_closed_gate_stops_trials_before_they_begin(small: Project, settings: Settings, planned):
    small.decision_file.write_text(small.decision_file.read_text().replace('"fine_tune"', '"few_shot"'))
    with pytest.raises(Locked):
        sweep.cleared(small, settings, planned, [])
    assert sweep.cleared(small, settings, planned, [override("decision", "priya", "contract")]).id == "P-001"


def test_the_child_asks_the_gates_itself(small: Project, settings: Settings, planned, laid_out):
    folder = sweep.begin(small, laid_out("lr=1e-4,1e-3"))
    train = small.datasets / "v001" / "train.jsonl"
    train.write_text(train.read_text().replace("E10", "E11", 1))
    with pytest.raises(Locked, match="dataset"):
        dry_steps.work(small, settings, folder)
    planned.write_text(planned.read_text().replace("rank = 4", "rank = 5"))
    with pytest.raises(Refusal):
        dry_steps.work(small, settings, folder)
    assert not sweep.read_points(folder)


def test_a_sweep_halves_goes_on_from_checkpoints_and_never_measures_a_point_twice(
    small: Project, settings: Settings, laid_out
):
    spec = laid_out("lr=1e-6,1e-2", "epochs=4")
    folder = sweep.begin(small, spec)
    dry_steps.work(small, settings, folder)
    points = list(sweep.read_points(folder))
    assert [(p.rung, p.step) for p in points] == [(0, 8)] * 2 + [(1, 16)]
    dry_steps.work(small, settings, folder)
    assert list(sweep.read_points(folder)) == points and sweep.begin(small, spec) == folder
    found = sweep.outcome(spec, sweep.parse_space(["lr=1e-6,1e-2", "epochs=4"]), points)
    losses = {s.values["learning_rate"]: s.losses for s in found.standings}
    assert found.best.values["learning_rate"] == 1e-2 and len(found.best.losses) == 2
    assert found.best.losses[-1] < losses[1e-6][0] and len(losses[1e-6]) == 1
    assert sweep.put_away(folder, found).is_file() and not folder.exists()


@pytest.mark.slow
def test_going_on_from_a_checkpoint_gives_the_losses_of_an_unbroken_run(small: Project, settings, planned):
    plan = read_plan(planned)
    ground, train_trial = dry_steps.ground_of(small, settings, plan), dry_steps.train_trial
    trial = sweep.Trial(name="t01", recipe=plan.recipe)
    half, whole = sweep.Rung(share=0.5, count=1), sweep.Rung(share=1.0, count=1)
    train_trial(ground, small.plans / "broken", trial, half, 0, keep=True)
    broken = train_trial(ground, small.plans / "broken", trial, whole, 1, keep=False)
    unbroken = train_trial(ground, small.plans / "unbroken", trial, whole, 0, keep=False)
    assert (broken.loss, broken.step) == (unbroken.loss, unbroken.step)


def test_the_lead_is_told_apart_only_over_its_standard_error(laid_out):
    spec = laid_out("rank=4,8")

    def found(gap):
        points = [
            sweep.Point(trial=name, rung=rung, step=9, loss=1.0 + gap * (name == "t02"), error=0.1)
            for rung, names in enumerate((["t01", "t02"], ["t01"]))
            for name in names
        ]
        return sweep.outcome(spec, sweep.parse_space(["rank=4,8"]), points).told_apart

    assert found(0.2) and not found(0.05)


SWEEP = ("plan", "--sweep", "lr=1e-3,2e-3", "rank=4,8", "--set", "epochs=4")


@pytest.mark.slow
@pytest.mark.cold  # the parent is sent a signal
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_child_ends_with_it_and_what_is_done_stands(rung, ready: Project, tiny, number: signal.Signals, code):
    folder = ready.plans / "sweep-001"
    command = [sys.executable, "-P", "-m", "rung", *SWEEP]
    environment = {**os.environ, "RUNG_MODEL__BASE": str(tiny), "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen(command, cwd=ready.root, env=environment, stdout=subprocess.DEVNULL)
    wait_until(lambda: len(list(sweep.read_points(folder))) >= 1)
    assert processes("training.trials", str(folder))
    parent.send_signal(number)
    assert parent.wait(240) == code
    wait_until(lambda: not processes("training.trials", str(folder)))
    kept = list(sweep.read_points(folder))
    done = rung(*SWEEP, "--json", timeout=600)
    assert done.returncode == 0, done.stderr
    assert kept and json.loads(done.stdout)["standings"][0]["values"].keys() == {"learning_rate", "rank"}
    assert rung("plan", "--sweep", "lr=1e-4,1e-2", "--budget", "0.01", timeout=300).returncode in (1, 2)
