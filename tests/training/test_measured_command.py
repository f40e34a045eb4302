"""`rung evaluate` as a user types it: several trainings ruled on as one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from workspace.folder import Project

pytestmark = pytest.mark.slow
Rung = Callable[..., subprocess.CompletedProcess[str]]
OVERRIDE = ("--override", "decision", "--by", "dana", "--reason", "random weights")


def test_three_trainings_are_one_verdict_by_command(ready: Project, rung: Rung) -> None:
    def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        graded = {"RUNG_EVALUATION__METRIC": "chrf", "RUNG_EVALUATION__CLOSED_SET": "off"}
        return rung(*words, timeout=300, **graded, **variables)

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
            assert few.returncode == 1 and "RUNG_TRAINING__SEED=1 rung plan" in few.stderr
    done = call("evaluate", "R-001", "--seeds", "3", "--json")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert [(t["run"], t["seed"]) for t in verdict["trainings"]] == list(zip(runs, range(3), strict=True))
    scored = [training["score"] for training in verdict["trainings"]]
    assert verdict["tuned"] == pytest.approx(sum(scored) / 3)
    assert "3 training runs with different seeds" in (ready.evaluations / verdict["id"] / "report.html").read_text()
