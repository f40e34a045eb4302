"""CPU budgets of the commands that people type most. CPU seconds of the child, best of three: not wall time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.cold


def cpu_seconds(arguments: list[str], cwd: str) -> float:
    """User and system seconds of one run of rung."""
    before = os.times()
    subprocess.run([sys.executable, "-P", "-m", "rung", *arguments], cwd=cwd, check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.parametrize(
    ("arguments", "budget"), [(["--help"], 0.5), (["advise", "--answers", "answers.toml", "--json"], 0.7)]
)
def test_within_its_budget(arguments, budget, tmp_path):
    (tmp_path / "answers.toml").write_text('task = "classification"\nprompting = "partial"\nexamples = 300\n')
    assert min(cpu_seconds(arguments, str(tmp_path)) for _ in range(3)) <= budget
