"""Takes each lock out of a copy of the source, one at a time, and demands that a test outside it goes red."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training.gates.gate import ORDER

pytestmark = pytest.mark.slow  # `make mutants` puts such faults into these files too
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("advisor", "chat", "curation", "evaluation", "rules", "training", "workspace")
CLEARANCE = "training/gates/clearance.py"

LOCKS = {f"test_{name}_gate_is_wired": (CLEARANCE, f"        {name}_gate(case),\n", "") for name in ORDER} | {
    "test_a_changed_byte_in_a_split_is_refused": (
        CLEARANCE,
        "    _still_true(project, settings, plan, clearance, set_aside)\n",
        "",
    ),
    "test_a_used_clearance_with_its_record_reset_is_refused": (
        CLEARANCE,
        '    _unused(folder, record, started=any(e.kind == "started" for e in events))\n',
        "",
    ),
    "test_gates_that_are_open_but_differ_from_the_receipt_are_refused": (
        CLEARANCE,
        "    if [_essence(gate) for gate in gates] != [_essence(gate) for gate in clearance.gates]:\n",
        "    if False:\n",
    ),
    "test_the_function_called_from_python_asks_as_well": (
        "training/run/lifecycle.py",
        "        admitted = admit(folder)\n",
        "        return 0\n",
    ),
}
"""The test that must go red, the file, the line that is taken out, and what stands there instead."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source without its tests' caches; only this folder's locks are tested in it."""
    root = tmp_path_factory.mktemp("copy")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests" / "training").mkdir(parents=True)
    for name in ("conftest.py", "test_locks.py"):
        shutil.copyfile(ROOT / "tests" / "training" / name, root / "tests" / "training" / name)
    shutil.copytree(ROOT / "tests" / "shared", root / "tests" / "shared")
    shutil.copyfile(ROOT / "pyproject.toml", root / "pyproject.toml")
    return root


def run(copy: Path, built: Path, *names: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy), "RUNG_TEST_READY": str(built), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take longer to import than these tests
    places = [f"tests/training/test_locks.py::{name}" for name in names]
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=line", "-rf", *places]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=120)


def test_with_every_lock_in_place_the_copy_passes(copy: Path, built: Path) -> None:
    done = run(copy, built, *LOCKS)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_that_is_taken_out_is_missed(copy: Path, built: Path, name: str) -> None:
    file, line, instead = LOCKS[name]
    path = copy / file
    whole = path.read_text()
    assert whole.count(line) == 1, f"{file} no longer holds {line!r}"
    path.write_text(whole.replace(line, instead))
    try:
        done = run(copy, built, name)
    finally:
        path.write_text(whole)
    assert done.returncode == 1 and f"::{name}" in done.stdout, done.stdout[-2000:]
