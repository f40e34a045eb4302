"""`rung evaluate` as a user types it: several trainings ruled on as one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from workspace.folder import Project

pytestmark = pytest.mark.slow
Rung = Callable[..., subprocess.CompletedProcess[str]]
OVERRIDE = ("--override", "decision", "--by", "dana", "--reason", "random weights")


def scores(folder: Path, arm: str) -> np.ndarray:
    """By item, of the form that counts (all arms here have one)."""
    rows = [json.loads(line) for line in (folder / "outputs.jsonl").read_text().splitlines()]
    found = {row["item"]: row["score"] for row in rows if row["split"] == "test" and row["arm"] == arm}
    return np.array([found[item] for item in sorted(found)])


def expected(every: np.ndarray, baseline: np.ndarray) -> tuple[float, float]:
    """The interval of docs/evaluation.md, written again: both errors, degrees of freedom by Satterthwaite."""
    differences = every - baseline
    padded = np.append(differences.mean(axis=0), [1.0, -1.0])
    items, trainings = padded.var(ddof=1) / len(padded), differences.mean(axis=1).var(ddof=1) / len(every)
    degrees = (items + trainings) ** 2 / (items**2 / (len(padded) - 1) + trainings**2 / (len(every) - 1))
    half = stats.t.ppf(0.975, degrees) * np.sqrt(items + trainings)
    return max(-1.0, padded.mean() - half), min(1.0, padded.mean() + half)


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
    folder = ready.evaluations / verdict["id"]
    every = np.array([scores(folder, arm) for arm in ("tuned", "tuned:R-002", "tuned:R-003")])
    baseline = scores(ready.evaluations / verdict["baseline_report"], verdict["chosen"])
    assert every.shape == (3, 30)
    assert (verdict["low"], verdict["high"]) == pytest.approx(expected(every, baseline))
    assert verdict["difference"] == pytest.approx((every.mean(axis=0) - baseline).mean())
    assert "3 training runs with different seeds" in (folder / "report.html").read_text()
