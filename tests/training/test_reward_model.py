"""A trained reward model rewards the answers of another run, and stays the one that was planned with."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import taught

from curation.example import Example, chat_row
from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.split.freeze import freeze
from curation.split.manifest import newest_dataset
from training.gates.clearance import check_gates
from training.plan.plans import find_plan, read_plan
from training.plan.reward import is_run, reward_run
from training.runs import curve, read_run, write_run
from workspace.errors import InputError, RungError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings, load_settings

Rung = Callable[..., subprocess.CompletedProcess[str]]
SAMPLED = ("--set", "answer_tokens=4", "--set", "generations=4", "--set", "epochs=0.3")


def test_a_run_and_a_metric_are_told_apart() -> None:
    assert is_run("R-007") and not is_run("chrf") and not is_run("R-") and not is_run("metrics/R-1")


def test_only_a_finished_reward_model_rewards(ready: Project, cleared: Path) -> None:
    with pytest.raises(InputError, match="R-001 is no reward model \\(sft\\)"):
        reward_run(ready, "R-001")
    with pytest.raises(RungError, match="No run R-009"):
        reward_run(ready, "R-009")


def rows(count: int, seed: int) -> list[Example]:
    """Rows of which none is near another: every word is made up."""
    chance = random.Random(seed)
    word = lambda: "".join(chance.choices("abcdefghij", k=8))  # noqa: E731
    return [Example(chat_row(" ".join(word() for _ in range(6)), "E10 eye both")) for _ in range(count)]


def frozen_anew(project: Project, settings: Settings, role: str, seed: int) -> str:
    """The next version of the dataset, with six more rows of this role."""
    with closing(open_desk(project, settings).store) as store:
        store.add(rows(6, seed), role=role)  # type: ignore[arg-type]
    with closing((desk := open_desk(project, settings)).store):
        decide_all(desk, "dana", [(row.id, Ruling("approve")) for row in desk.store.rows()], kind="person")
    freeze(project, settings, actor="sam")
    folder = newest_dataset(project, complete=True)
    assert folder is not None
    return folder.name


def test_a_reward_model_that_learnt_from_rows_held_out_here_is_refused(
    rung: Rung, ready: Project, settings: Settings, cleared: Path
) -> None:
    weights = cleared / "adapter" / "adapter_model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    files = {weights.name: sha256_file(weights)}
    words = {"objective": "reward", "state": "finished", "adapter": f"{cleared.name}/adapter", "files": files}
    run = write_run(cleared, read_run(cleared), **words)

    def planned() -> subprocess.CompletedProcess[str]:
        return rung("plan", "--objective", "grpo", "--set", f"reward={run.id}", *SAMPLED, "--json")

    assert frozen_anew(ready, settings, "train", 11) == "v002"
    plan = read_plan(find_plan(ready, json.loads(planned().stdout)["id"]))
    assert (plan.dataset, plan.recipe.reward, run.dataset) == ("v002", run.id, "v001")
    assert check_gates(ready, settings, plan)[1].passed is True

    write_run(cleared, run, dataset="v009")
    gate = check_gates(ready, settings, plan)[1]
    assert gate.passed is False and "trained on v009, which holds out other rows than v002" in gate.fact

    write_run(cleared, run)
    assert frozen_anew(ready, settings, "test", 12) == "v003"
    done = planned()
    assert done.returncode == 1 and "R-001 was trained on v001, which holds out other rows than v003" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["grpo", "rloo"])
def test_a_reward_model_rewards_another_run(rung: Rung, ready: Project, settings: Settings, objective: str) -> None:
    taught.teach(ready, settings)

    def trained(*words: str) -> Path:
        plan = json.loads(rung("plan", *words, "--json").stdout)
        done = rung("train", plan["id"], timeout=600)
        folder = sorted(ready.runs.glob("R-*"))[-1]
        assert done.returncode == 0, done.stderr + (folder / "log.txt").read_text()
        return folder

    scores = trained("--objective", "reward", "--set", "learning_rate=1e-2")
    tuned = trained("--objective", objective, "--set", f"reward={scores.name}", *SAMPLED)
    assert read_run(tuned).state == "finished"
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
    assert gate.passed is False and "adapter_model.safetensors changed since it was trained" in gate.fact
