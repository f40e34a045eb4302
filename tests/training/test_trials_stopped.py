"""A sweep that is told to end, or whose parent is killed: its child ends too, and what was measured stands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lives import wait_until

from training.trials.trials import read_points
from workspace.folder import Project

pytestmark = pytest.mark.cold

SWEEP = ("plan", "--sweep", "lr=1e-3,2e-3", "rank=4,8", "--set", "epochs=4")
Rung = Callable[..., subprocess.CompletedProcess[str]]


def children(folder: Path) -> list[int]:
    """Processes that train in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"training.trials" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_child_ends_with_it_and_what_is_done_stands(
    rung: Rung, ready: Project, tiny: Path, number: signal.Signals, code: int
) -> None:
    folder = ready.plans / "sweep-001"
    command = [sys.executable, "-P", "-m", "rung", *SWEEP]
    environment = {**os.environ, "RUNG_MODEL__BASE": str(tiny), "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen(command, cwd=ready.root, env=environment, stdout=subprocess.DEVNULL)
    wait_until(lambda: len(list(read_points(folder))) >= 1)
    assert children(folder)
    parent.send_signal(number)
    assert parent.wait(240) == code
    wait_until(lambda: not children(folder))
    kept = list(read_points(folder))
    done = rung(*SWEEP, timeout=600)
    assert done.returncode == 0, done.stderr
    assert kept and "Best on validation" in done.stdout and f"{kept[0].trial}" in done.stdout
