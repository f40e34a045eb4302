"""FSDP on two CPU processes: each holds the share that the estimator says, and they compute what one would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.sizing.setup import Setup, shards_of


def run(kind: str) -> dict[str, float | list[float]]:
    script = Path(__file__).with_name("fsdp_child.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    done = subprocess.run(
        [*command, kind], capture_output=True, text=True, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, float | list[float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.mark.slow
def test_each_process_holds_its_share_and_the_steps_are_those_of_one() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    whole, shared = run("whole"), run("fsdp")
    assert shared["losses"] == pytest.approx(whole["losses"], abs=1e-4)
    shards = shards_of(Setup(method="full", gpus=2, strategy="fsdp"))
    for part in ("weights", "gradients", "optimizer"):
        alone, held = whole[part], shared[part]
        assert isinstance(alone, int) and isinstance(held, int)
        assert held == pytest.approx(alone / getattr(shards, part), rel=0.02), part
