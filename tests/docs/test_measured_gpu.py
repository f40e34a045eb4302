"""The page of figures from a GPU says in its first line whether there are any; its script runs, tiny, on a CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_case_runs_on_a_tiny_model_or_names_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--tiny", "--page", str(tmp_path / "page.md")]
    subprocess.run(command, cwd=TOP, check=True, timeout=1200)
    lines = (tmp_path / "page.md").read_text(encoding="utf-8").splitlines()
    cases = [line for line in lines if line.startswith(("| 8B", "| 0.6B", "| embedded"))]
    assert lines[0].startswith("Run on ") and len(cases) == 13
    assert not [line for line in cases if "failed" in line]
