"""Starting the children that measure."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.memory.runs import RUNS

ROOT = Path(__file__).resolve().parents[2]


def start(spec: dict[str, Any], what: str, prefix: list[str]) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_OFFLINE": "1",
    }
    command = [
        *prefix,
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.memory",
        "--child",
        json.dumps(spec),
        "--what",
        what,
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def live_tensors(spec: dict[str, Any], prefix: list[str]) -> int | None:
    """Bytes from a fresh child; None where it failed (its error is shown)."""
    done = start(spec, "tensors", prefix)
    text, errors = done.communicate()
    if done.returncode:
        print(f"{spec['name']}: {errors.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return int(json.loads(text.strip().splitlines()[-1])["peak"])


class Residents:
    """A process that has imported everything and forks once for each run."""

    def __init__(self, prefix: list[str]) -> None:
        self.process = start(RUNS[0], "resident", prefix)

    def measure(self, spec: dict[str, Any], times: int) -> float | None:
        sound = []
        for _ in range(times):
            assert self.process.stdin and self.process.stdout
            self.process.stdin.write(json.dumps(spec) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            while line and not line.startswith('{"peak"'):
                line = self.process.stdout.readline()
            if line and (peak := json.loads(line)["peak"]):
                sound.append(peak)
        return statistics.median(sound) if sound else None
