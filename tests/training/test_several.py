"""Runs on several processes: two on a CPU train as one does, one of them writes, and none trains in silence alone.

And several trainings of one recipe, which are ruled on as one.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import taught
from in_shell import rung
from lives import losses, wait_until

from training.gates.clearance import grant
from training.plan.memory_fit import Machine, fit_of
from training.run.processes import ALONE, World, in_turn, together, unshared, world
from training.runs import curve, is_alive, read_run
from workspace.artefact import revised
from workspace.errors import InputError, Refusal
from workspace.folder import Project
from workspace.settings import Settings

PLAIN = {"RUNG_TRAINING__DROPOUT": "0", "RUNG_TRAINING__PRECISION": "fp32", "RUNG_TRAINING__EPOCHS": "5"}
"""Without dropout, whose masks are each process's own."""
TWO = {**PLAIN, "RUNG_TRAINING__PROCESSES": "2"}
ROUNDING = 2e-4
"""Largest difference of a loss after 20 steps: the same sums in another order."""


def test_a_launcher_that_starts_another_number_is_refused(tmp_path):
    for place, processes in ((World(0, 3), 2), (World(1, 2), 1)):
        with pytest.raises(Refusal), together(tmp_path, place, processes):
            pass


@pytest.mark.parametrize(
    ("numbers", "place"),
    [
        ({}, World(0, 1, 0)),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, World(3, 4, 1)),
        ({"RANK": "1"}, None),
        ({"RANK": "4", "WORLD_SIZE": "4"}, None),
        ({"LOCAL_RANK": "2", "WORLD_SIZE": "2"}, None),
        ({"RANK": "first"}, None),
        ({"WORLD_SIZE": "-1"}, None),
    ],
)
def test_who_is_who_is_read_as_torchrun_writes_it_and_a_place_that_cannot_be_is_refused(monkeypatch, numbers, place):
    for name in ALONE:
        monkeypatch.delenv(name, raising=False)
    for name, value in numbers.items():
        monkeypatch.setenv(name, value)
    if place is None:
        with pytest.raises(Refusal, match=next(iter(numbers))):
            world()
    else:
        assert world() == place and world().leads is (place.rank == 0)


def test_the_rows_of_a_step_are_shared_and_stay_the_same(plan_of):
    one, two = plan_of(), plan_of(processes="2")
    assert one.recipe.processes == 1 and two.recipe.rows_a_step == one.recipe.rows_a_step
    assert two.recipe.steps == one.recipe.steps and two.recipe.alone().rows_a_step == one.recipe.rows_a_step
    alone, both = (fit_of(revised(two.recipe, processes=n), Machine(8.0), usable=0.9) for n in (1, 2))
    assert alone and both and both.expected == pytest.approx(2 * alone.expected) and both.has == alone.has
    with pytest.raises(InputError, match="4 "):
        plan_of(processes="3", batch="4")


def test_every_process_checks_on_each_row_once_and_what_was_shared_out_comes_back_in_order():
    """Rows that do not fill the last batch: accelerate would fill it with rows from the beginning."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

    rows = list(range(7))
    shards = [BatchSamplerShard(BatchSampler(SequentialSampler(rows), 3, False), 2, rank) for rank in range(2)]
    filled = [row for shard in shards for batch in shard for row in batch]
    assert len(filled) > len(rows)
    for shard in shards:
        seen = unshared(DataLoader(rows, batch_sampler=shard)).batch_sampler
        assert list(seen) == [[0, 1, 2], [3, 4, 5], [6]]
    assert in_turn([list(range(start, 11, 3)) for start in range(3)]) == list(range(11))


@pytest.fixture(scope="module")
def pair(built, tiny, tmp_path_factory):
    """The finished runs of one plan on one process and on two."""
    roots = [Path(shutil.copytree(built, tmp_path_factory.mktemp("pair") / "clinic")) for _ in range(2)]
    for root, variables in zip(roots, (PLAIN, TWO), strict=True):
        done = rung("train", cwd=root, RUNG_MODEL__BASE=str(tiny), **variables)
        assert done.returncode == 0, done.stderr
    return [root / "runs" / "R-001" for root in roots]


@pytest.mark.slow
def test_two_processes_train_as_one_and_one_of_them_writes(pair):
    one, two = pair
    assert read_run(two).state == "finished" and read_run(two).processes == 2
    assert len(losses(one)) == len(losses(two)) == 20
    for kind in ("step", "validation"):
        assert dict(losses(two, kind)) == pytest.approx(dict(losses(one, kind)), abs=ROUNDING)
    assert read_run(two).tokens == read_run(one).tokens
    kinds = [[(line["kind"], line.get("step")) for line in curve(folder)] for folder in pair]
    assert kinds[0] == kinds[1], "a line a step, written once"
    assert sorted(read_run(one).files) == sorted(read_run(two).files)
    newest = max(two.glob("checkpoints/checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= set(json.loads((newest / "complete.json").read_text()))


@pytest.mark.slow
def test_killed_and_resumed_two_end_as_two_unbroken(rung, ready: Project, pair):
    folder = ready.runs / "R-001"
    assert rung("train", "--detach", timeout=300, **TWO).returncode == 0
    wait_until(lambda: len(losses(folder)) >= 6)
    os.kill(read_run(folder).pid or 0, signal.SIGKILL)
    wait_until(lambda: not is_alive(folder))
    assert read_run(folder).state == "crashed"
    done = rung("train", timeout=300, **TWO)
    assert done.returncode == 0 and "from step" in done.stderr, done.stderr
    assert losses(folder) == losses(pair[1])
    assert read_run(folder).adapter_sha256 == read_run(pair[1]).adapter_sha256 != ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--objective", "dpo"),
        ("--objective", "reward"),
        ("--objective", "grpo", *taught.SAMPLED),
        ("--objective", "rloo", *taught.SAMPLED),
        ("--method", "qlora"),
        ("--method", "dora"),
        ("--method", "ia3"),
        ("--method", "adalora", "--set", "epochs=5"),
        ("--method", "full", "--packing"),
    ],
)
def test_other_ways_train_on_two_as_well(finished, ready: Project, settings: Settings, words):
    taught.teach(ready, settings)
    folder = finished(*words, "--set", "processes=2", "--set", "learning_rate=1e-2")
    assert read_run(folder).processes == 2 and losses(folder, "validation")


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node")
ACCELERATE = ("accelerate.commands.launch", "--cpu", "--num_processes")


def launched(folder, *words) -> subprocess.CompletedProcess[str]:
    """The run of this folder, started by a launcher."""
    command = [sys.executable, "-P", "-m", *words, "-m", "training.run", str(folder)]
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_a_launcher_starts_it_too_and_another_number_is_refused(
    rung, ready: Project, settings: Settings, pair, launcher
):
    """accelerate quietly starts one process on a CPU: the run starts its own."""
    plan = json.loads(rung("plan", "--json", **TWO).stdout)
    folder = grant(ready, settings, Path(plan["path"]), by="sam")
    if launcher == TORCHRUN:
        assert launched(folder, *launcher, "3").returncode != 0 and read_run(folder).state == "cleared"
    done = launched(folder, *launcher, "2")
    assert done.returncode == 0, done.stderr
    assert losses(folder) == losses(pair[1])


OVERRIDE = ("--override", "decision", "--by", "dana", "--reason", "random weights")


@pytest.mark.slow
def test_three_trainings_are_one_verdict_by_command(ready: Project, rung):
    def call(*words, **variables):
        return rung(*words, timeout=300, RUNG_EVALUATION__METRIC="chrf", **variables)

    measured = call("baseline", "--arms", "base,prompt")
    assert measured.returncode == 0, measured.stderr
    runs = []
    for seed in ("0", "1", "2"):
        assert call("plan", RUNG_TRAINING__SEED=seed).returncode in (0, 1)
        trained = call("train", *OVERRIDE, RUNG_TRAINING__SEED=seed)
        assert trained.returncode == 0, trained.stdout
        runs.append(f"R-00{int(seed) + 1}")
        if seed == "0":
            few = call("evaluate", "R-001", "--seeds", "3")
            assert few.returncode == 1 and "RUNG_TRAINING__SEED=1" in few.stderr
    done = call("evaluate", "R-001", "--seeds", "3", "--json")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert [(t["run"], t["seed"]) for t in verdict["trainings"]] == list(zip(runs, range(3), strict=True))
    scored = [training["score"] for training in verdict["trainings"]]
    assert verdict["tuned"] == pytest.approx(sum(scored) / 3)
