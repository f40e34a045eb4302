"""`rung evaluate --open-sealed` as a user types it: a sealed part stays out of all else, and is the last word, once."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from workspace.folder import Project

pytestmark = pytest.mark.slow
Rung = Callable[..., subprocess.CompletedProcess[str]]


def asked(folder: Path) -> set[int]:
    """Numbers of the test items that were answered there."""
    rows = [json.loads(line) for line in (folder / "outputs.jsonl").read_text().splitlines()]
    return {int(row["item"]) for row in rows if row["split"] == "test"}


def done(ran: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert ran.returncode in (0, 1) and "Traceback" not in ran.stderr, ran.stderr
    return ran


def test_the_sealed_part_is_measured_once_by_command(ready: Project, rung: Rung) -> None:
    shutil.rmtree(ready.evaluations)
    text = ready.settings_file.read_text()
    part = "[evaluation]\nsealed = 0.4\n"
    ready.settings_file.write_text(text.replace("[evaluation]\n", part) if "[evaluation]" in text else text + part)
    assert rung("evaluate", "--open-sealed").returncode == 1
    done(rung("baseline", "--arms", "base,prompt"))
    open_part = asked(ready.evaluations / "E-001")
    assert len(open_part) == 18
    assert json.loads(rung("evaluate", "--power", "--json").stdout)["n"] == 18
    done(rung("plan"))
    override = ("--override", "decision", "--by", "dana", "--reason", "random weights")
    trained = rung("train", *override, timeout=300)
    assert trained.returncode == 0, trained.stdout
    first = done(rung("evaluate", "R-001", "--json"))
    assert json.loads(first.stdout)["n"] == 18 and asked(ready.evaluations / "E-002") == open_part
    opened = done(rung("evaluate", "R-001", "--open-sealed", "--json"))
    verdict = json.loads(opened.stdout)
    assert (verdict["n"], verdict["place"], verdict["planned_runs"]) == (12, 1, 1)
    sealed = asked(ready.evaluations / verdict["id"])
    assert len(sealed) == 12 and not sealed & open_part
    assert asked(ready.evaluations / verdict["baseline_report"]) == sealed
    measured = len(list(ready.evaluations.glob("*/report.json")))
    again = json.loads(done(rung("evaluate", "R-001", "--open-sealed", "--json")).stdout)
    assert again["place"] == 1 and again["baseline_report"] == verdict["baseline_report"]
    assert len(list(ready.evaluations.glob("*/report.json"))) == measured + 1
    assert "sealed test items, opened for this" in (ready.evaluations / verdict["id"] / "report.md").read_text()
