"""Starting the process that trains, finding it again, and telling it to pause, go on or stop."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.record import CONTROL, LIVE, RunRecord, find_run, is_alive, read_metrics, read_run, read_runs
from workspace.errors import Refusal
from workspace.files import write_text
from workspace.folder import Project

LOG = "log.txt"
POLL = 0.2
REFUSED = 3
"""Exit code of a process that was not admitted: run.json is as it was."""


def start(project: Project, folder: Path) -> subprocess.Popen[bytes]:
    """Start the process that trains this run; it outlives the terminal. The lock that it holds tells who trains."""
    (folder / CONTROL).unlink(missing_ok=True)
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "training.run", str(folder)],
            cwd=project.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def run_of(project: Project, plan_sha256: str) -> RunRecord | None:
    """The newest run of this very plan, unless it failed: what was begun is gone on with, not begun again."""
    for run in reversed(read_runs(project)):
        if run.plan_sha256 == plan_sha256:
            return run if run.state != "failed" else None
    return None


def live_run(project: Project) -> RunRecord | None:
    """The run that is training now, if any."""
    return next((run for run in reversed(read_runs(project)) if run.state in LIVE), None)


def tell(project: Project, name: str | None, word: str) -> RunRecord:
    """Ask a live run to `pause`, to go on (an empty word), or to `stop` with its work saved.

    Raises Refusal where the run does not live.
    """
    run = _live(project, name)
    write_text(project.runs / run.id / CONTROL, word + "\n")
    return run


def _live(project: Project, name: str | None) -> RunRecord:
    run = find_run(project, name) if name else (live_run(project) or find_run(project))
    if run.state not in LIVE:
        raise Refusal(f"{run.id} is not training: {run.state}.", f"rung runs resume {run.id}")
    return run


def follow(folder: Path, process: subprocess.Popen[bytes] | None = None) -> Iterator[dict[str, Any] | None]:
    """Lines of metrics.jsonl as they come, None while there is none; ends when the run no longer lives.

    Lines that stood there before are left out.
    """
    place = (folder / "metrics.jsonl").stat().st_size if (folder / "metrics.jsonl").is_file() else 0
    while True:
        ended = process.poll() is not None if process else not is_alive(folder)
        for after, line in read_metrics(folder, place):
            place = after
            yield line
        if ended:
            return
        yield None
        time.sleep(POLL)


def last_words(folder: Path) -> str:
    """The refusal or the last line that the process left in its log."""
    try:
        lines = (folder / LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-2:]) if len(lines) > 1 and lines[-1].startswith("->") else (lines[-1] if lines else "")


def wait_until_live(folder: Path, process: subprocess.Popen[bytes], seconds: float = 60.0) -> RunRecord:
    """The record once the process has said that it began, or has ended: after that it needs nobody."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        if read_run(folder).state != "cleared":
            break
        time.sleep(POLL / 4)
    return read_run(folder)
