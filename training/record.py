"""What a run is and how far it came: `runs/ID/run.json`, and the lines of `metrics.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from training.gate import Override
from workspace.artefact import Artefact, read_artefact, write_artefact
from workspace.errors import RungError, did_you_mean
from workspace.folder import Project, oldest_first
from workspace.lock import is_held

State = Literal["cleared", "starting", "running", "paused", "stopped", "finished", "failed", "crashed"]
LIVE: tuple[State, ...] = ("starting", "running", "paused")
RECORD = "run.json"
METRICS = "metrics.jsonl"
PREFLIGHT = "preflight.json"
LOCK = "run.lock"
CONTROL = "control"


class RunRecord(Artefact):
    """`runs/R-001/run.json`.

    `state` as the process that trains wrote it; `read_run` turns a live state without a live process into `crashed`.
    `ending` says in a sentence why it ended. `step` of `steps` is that of the last checkpoint or the end; `best_loss`
    the validation loss at `best_step`: the lowest, or where the metric chose, that with the highest `best_score`.
    `files` lists the saved adapter (or model) by name and SHA-256.
    `resolved` holds what was decided at the start (precision, threads), so that a resumed run decides the same.
    """

    id: str
    state: State
    plan: str
    plan_sha256: str
    clearance_sha256: str
    dataset: str
    base: str
    base_fingerprint: str = ""
    method: str
    objective: str = "sft"
    processes: int = 1
    system_prompt: str | None = None
    overrides: list[Override] = []
    by: str = ""
    pid: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    step: int = 0
    steps: int = 0
    best_step: int | None = None
    best_loss: float | None = None
    best_score: float | None = None
    ending: str = ""
    resolved: dict[str, Any] = Field(default_factory=dict)
    adapter: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    memory_mib: float | None = None
    tokens: int = 0

    @property
    def adapter_sha256(self) -> str:
        """SHA-256 of the trained weights, empty before the end."""
        return next((digest for name, digest in sorted(self.files.items()) if name.endswith(".safetensors")), "")


def read_run(folder: Path) -> RunRecord:
    """The record of one run; a run whose process is gone is `crashed`."""
    record = read_artefact(folder / RECORD, RunRecord)
    if record.state in LIVE and not is_alive(folder):
        return record.model_copy(update={"state": "crashed", "ending": "its process ended without a word"})
    return record


def write_run(folder: Path, record: RunRecord, **changes: Any) -> RunRecord:
    """Write the record with changes, and return it."""
    changed = RunRecord.model_validate({**record.model_dump(), **changes})
    write_artefact(folder / RECORD, changed)
    return changed


def read_runs(project: Project) -> list[RunRecord]:
    """All runs, the oldest first."""
    return [read_run(path.parent) for path in oldest_first(project.runs.glob(f"*/{RECORD}"))]


def find_run(project: Project, name: str | None = None) -> RunRecord:
    """The run of this name, or the newest.

    Raises RungError where there is none.
    """
    runs = read_runs(project)
    if name is None and runs:
        return runs[-1]
    for run in runs:
        if run.id == name:
            return run
    if not runs:
        raise RungError("No run yet.", "rung train")
    raise RungError(f"No run {name} in runs/.{did_you_mean(name or '', [run.id for run in runs])}", "rung runs list")


def newest_run(project: Project, *, finished: bool = True) -> RunRecord | None:
    """The newest run, by default only of those that finished."""
    runs = [run for run in read_runs(project) if not finished or run.state == "finished"]
    return runs[-1] if runs else None


def is_alive(folder: Path) -> bool:
    """Whether a process holds the run's lock at this moment."""
    return is_held(folder / LOCK)


def append_metric(folder: Path, line: dict[str, Any]) -> None:
    """Add one line to metrics.jsonl; a reader may see half of the last line, `read_metrics` skips it.

    Where a killed process left half a line, this one begins on the next.
    """
    data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
    descriptor = os.open(folder / METRICS, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        half = size and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, b"\n" + data if half else data)
    finally:
        os.close(descriptor)


def read_metrics(folder: Path, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Whole lines from byte `start` on, each with the byte after it; steps that a resumed run did again come twice.

    A line that a full disk cut, or that is no line of a run, is passed over: the figures after it still stand.
    """
    path = folder / METRICS
    if not path.is_file():
        return
    with path.open("rb") as file:
        file.seek(start)
        for raw in file:
            start += len(raw)
            line = _line(raw)
            if line is not None:
                yield start, line


def _line(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw) if raw.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    fits = isinstance(line, dict) and isinstance(line.get("kind"), str) and isinstance(line.get("step", 0), int)
    return line if fits else None


def curve(folder: Path) -> list[dict[str, Any]]:
    """The lines of the run as it stands: of steps done again after a crash only the later line."""
    lines: dict[tuple[str, int], dict[str, Any]] = {}
    for _, line in read_metrics(folder):
        key = (str(line["kind"]), int(line.get("step", 0)))
        lines.pop(key, None)
        lines[key] = line
    return list(lines.values())
