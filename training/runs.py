"""Runs: the record `runs/ID/run.json`, the lines of `metrics.jsonl`, and starting, following and controlling a run."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from training.gates.gate import GateOverride
from workspace.artefact import Artefact, ArtefactPart, read_artefact, revised, write_artefact
from workspace.errors import Refusal, RungError, did_you_mean
from workspace.files import append_lines, write_text
from workspace.folder import Project, oldest_first
from workspace.lock import is_held

State = Literal["cleared", "starting", "running", "paused", "stopped", "finished", "failed", "crashed"]
LIVE: tuple[State, ...] = ("starting", "running", "paused")
RECORD = "run.json"
METRICS = "metrics.jsonl"
MetricLine = dict[str, Any]
"""A line of metrics.jsonl: its `kind` (step, validation, checkpoint, loading, note) and the figures of that kind."""
PREFLIGHT = "preflight.json"
LOCK = "run.lock"
CONTROL = "control"


class Adoption(ArtefactPart):
    """Origin of a run that this project did not make.

    `source` is the folder's name, or a model by name at a host; `served` and `host` are set for the latter, which has
    no weights here. `rows` says which rows it was trained on, or `unknown`; `unchecked` holds a sentence for each
    thing that nobody could check.
    """

    source: str
    served: str = ""
    host: str = ""
    rows: str = "unknown"
    unchecked: list[str] = []


class Remote(ArtefactPart):
    """Machine of a run that does not train here: `name` of `[remotes]`, `root` of the project's copy there.

    `at_most` is in seconds from each start, 0 for no limit; `usd_per_hour` the price that rung.toml stated then.
    `home` is true when all of it was brought back and compared.
    """

    name: str
    host: str
    root: str
    at_most: int = 0
    usd_per_hour: float | None = None
    home: bool = False


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
    overrides: list[GateOverride] = []
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
    resolved: dict[str, str | int] = Field(default_factory=dict)
    adapter: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    memory_mib: float | None = None
    tokens: int = 0
    adopted: Adoption | None = None
    remote: Remote | None = None

    @property
    def adapter_sha256(self) -> str:
        """SHA-256 of the trained weights, empty before the end."""
        return next((digest for name, digest in sorted(self.files.items()) if name.endswith(".safetensors")), "")

    def usd(self, at: datetime) -> float | None:
        """Return the remote machine's US dollars, from the first start to the end or `at`, with pauses; or None."""
        if self.remote is None or self.remote.usd_per_hour is None or self.started_at is None:
            return None
        last = at if self.ended_at is None or self.state in LIVE else self.ended_at
        return self.remote.usd_per_hour * (last - self.started_at).total_seconds() / 3600


def read_run(folder: Path) -> RunRecord:
    """Return the record of one run; a run whose process is gone is `crashed`."""
    record = read_artefact(folder / RECORD, RunRecord)
    if record.state in LIVE and not is_alive(folder):
        lost = f"nobody follows it here; it may still train on {record.remote.name}" if record.remote else ""
        return revised(record, state="crashed", ending=lost or "its process ended without a word")
    return record


def write_run(folder: Path, record: RunRecord, **changes: Any) -> RunRecord:
    """Write the record with changes, and return it."""
    made = revised(record, **changes)
    write_artefact(folder / RECORD, made)
    return made


def read_runs(project: Project) -> list[RunRecord]:
    """Return all runs, the oldest first."""
    return [read_run(path.parent) for path in oldest_first(project.runs.glob(f"*/{RECORD}"))]


def find_run(project: Project, name: str | None = None) -> RunRecord:
    """Return the run of this name, or the newest. Raises RungError if there is none."""
    runs = read_runs(project)
    if name is None and runs:
        return runs[-1]
    for run in runs:
        if run.id == name:
            return run
    if not runs:
        raise RungError("No run yet.", "rung train")
    raise RungError(f"No run {name} in runs/.{did_you_mean(name or '', [run.id for run in runs])}", "rung runs list")


def newest_run(project: Project) -> RunRecord | None:
    """Return the newest run that finished."""
    return next((run for run in reversed(read_runs(project)) if run.state == "finished"), None)


def is_alive(folder: Path) -> bool:
    """True if a process holds the run's lock now."""
    return is_held(folder / LOCK)


def append_metric(folder: Path, line: MetricLine) -> None:
    """Add one line to metrics.jsonl; a reader may see half of the last line, `read_metrics` skips it."""
    append_lines(folder / METRICS, [line], sync=False)


def read_metrics(folder: Path, start: int = 0) -> Iterator[tuple[int, MetricLine]]:
    """Yield whole lines from byte `start` on, each with the byte after it; a resumed run's repeated steps come twice.

    A line that a full disk cut, or that is no line of a run, is passed over: the figures after it still count.
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


def _line(raw: bytes) -> MetricLine | None:
    try:
        line = json.loads(raw) if raw.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    fits = isinstance(line, dict) and isinstance(line.get("kind"), str) and isinstance(line.get("step", 0), int)
    return line if fits else None


def curve(folder: Path) -> list[MetricLine]:
    """Return the lines of the run as it went: of steps done again after a crash only the later line."""
    lines: dict[tuple[str, int], MetricLine] = {}
    for _, line in read_metrics(folder):
        key = (str(line["kind"]), int(line.get("step", 0)))
        lines.pop(key, None)
        lines[key] = line
    return list(lines.values())


LOG = "log.txt"
POLL = 0.2
REFUSED = 3
"""Exit code of a process that was not admitted: run.json is as it was."""


def start(project: Project, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start the process that trains this run, or that follows it where it trains elsewhere; it outlives the terminal.

    The lock that it holds tells who trains. `words` are more arguments of the process that follows.
    """
    (folder / CONTROL).unlink(missing_ok=True)
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "training.run", str(folder), *words],
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def is_unfollowed(folder: Path) -> bool:
    """True if a run trained on another machine when last seen, and no process here follows it."""
    record = read_artefact(folder / RECORD, RunRecord)
    return record.remote is not None and record.state in LIVE and not is_alive(folder)


def reconnect(project: Project, folder: Path) -> None:
    """Follow such a run again; returns when the process that does so holds its lock, or has ended."""
    process = start(project, folder, "--follow")
    while process.poll() is None and not is_alive(folder):
        time.sleep(POLL / 4)


def run_of(project: Project, plan_sha256: str) -> RunRecord | None:
    """Return the newest run of this very plan made here, unless it failed: an unfinished run is resumed."""
    for run in reversed(read_runs(project)):
        if run.plan_sha256 == plan_sha256 and run.adopted is None:
            return run if run.state != "failed" else None
    return None


def live_run(project: Project) -> RunRecord | None:
    """Return the run that is training now, if any."""
    return next((run for run in reversed(read_runs(project)) if run.state in LIVE), None)


def tell(project: Project, name: str | None, word: str) -> RunRecord:
    """Ask a live run to `pause`, to go on (""), or to `stop` with its work saved. Raises Refusal if it is not live."""
    run = find_run(project, name) if name else (live_run(project) or find_run(project))
    if run.state not in LIVE:
        raise Refusal(f"{run.id} is not training: {run.state}.", f"rung runs resume {run.id}")
    write_text(project.runs / run.id / CONTROL, word + "\n")
    return run


def follow(folder: Path, process: subprocess.Popen[bytes] | None = None) -> Iterator[MetricLine | None]:
    """Yield new lines of metrics.jsonl as they come, None while there is none; ends when the run no longer lives."""
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
    """Return the refusal or the last line that the process left in its log."""
    try:
        lines = (folder / LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-2:]) if len(lines) > 1 and lines[-1].startswith("->") else (lines[-1] if lines else "")


def wait_until_live(folder: Path, process: subprocess.Popen[bytes], seconds: float = 60.0) -> RunRecord:
    """Return the record once the process has said that it began, or has ended: after that it needs nobody."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        if read_run(folder).state in LIVE:
            break
        time.sleep(POLL / 4)
    return read_run(folder)
