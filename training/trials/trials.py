"""A sweep seen from the parent: what it asks of the child that trains."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from curation.store import open_store
from training.gates.clearance import Locked, check_gates
from training.gates.gate import GateOverride
from training.plan.plans import Plan, read_plan
from training.plan.recipe import Recipe
from training.run.processes import LEADER
from workspace.appended import append_lines, read_lines
from workspace.artefact import Artefact, ArtefactPart, read_artefact, revised, write_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project, next_id
from workspace.interrupt import terminated_as_interrupted
from workspace.settings import Settings

SPEC = "spec.json"
RESULTS = "results.jsonl"
LOG = "log.txt"
POLL = 0.2
Progress = Callable[[int, int, str], None]


class Trial(ArtefactPart):
    """One training: a recipe. `name` is unique in its spec."""

    name: str
    values: dict[str, Any] = {}
    recipe: Recipe


class Rung(ArtefactPart):
    """`count` trials train up to `share` of their steps."""

    share: float
    count: int


class Spec(Artefact):
    """`plans/sweep-001/spec.json`: what the child does."""

    id: str
    kind: Literal["sweep"]
    plan: str
    plan_sha256: str
    trials: list[Trial]
    rungs: list[Rung]

    def essence(self) -> dict[str, object]:
        """What makes it the same work: a stopped one is gone on with."""
        return self.model_dump(include={"kind", "plan_sha256", "trials", "rungs"})


class Point(ArtefactPart):
    """What one trial came to at `step`: validation loss (None: no number) with its standard error over rows."""

    trial: str
    rung: int
    step: int
    loss: float | None
    error: float = 0.0
    seconds: float = 0.0


def begin(project: Project, spec: Spec) -> Path:
    """The folder of an unfinished piece of the same work, else a new one with the spec in it."""
    for path in sorted(project.plans.glob(f"{spec.kind}-*/{SPEC}")):
        if read_artefact(path, Spec).essence() == spec.essence():
            return path.parent
    folder = project.plans / next_id(project.plans, spec.kind)
    write_artefact(folder / SPEC, revised(spec, id=folder.name))
    return folder


def cleared(project: Project, settings: Settings, plan_file: Path, overrides: Sequence[GateOverride]) -> Plan:
    """The plan, if every gate is open for it. Raises Locked where one is closed: trials are training."""
    plan = read_plan(plan_file)
    gates = check_gates(project, settings, plan, overrides=overrides)
    if not all(gate.opens for gate in gates):
        raise Locked(gates)
    return plan


def admit_trials(project: Project, settings: Settings, folder: Path) -> Spec:
    """What the child asks first: every gate again, for the very plan of the spec, with overrides from the log."""
    spec = read_artefact(folder / SPEC, Spec)
    plan_file = project.plans / f"{spec.plan}.toml"
    if sha256_file(plan_file) != spec.plan_sha256:
        raise Refusal(f"{folder.name}: {spec.plan} changed since the work was laid out.", "rung plan")
    with open_store(project, settings) as store:
        events = store.events(ref=folder.name)
    cleared(
        project, settings, plan_file, [GateOverride.model_validate(e.detail) for e in events if e.kind == "override"]
    )
    return spec


def run_trials(
    project: Project,
    settings: Settings,
    folder: Path,
    overrides: Sequence[GateOverride],
    progress: Progress,
    budget_seconds: float | None = None,
) -> list[Point]:
    """Start the child, follow it to its end or that of the budget, and return its points.

    Ctrl-C and SIGTERM end it, and it ends with this process however that ends; a rerun continues with what is done.
    Raises Refusal where the child refuses or fails, KeyboardInterrupt for SIGTERM.
    """
    with open_store(project, settings) as store:
        for item in overrides:
            store.event("override", item.by, folder.name, item.model_dump(mode="json"))
        store.event(read_artefact(folder / SPEC, Spec).kind, settings.project.person, folder.name, {})
    total = sum(rung.count for rung in read_artefact(folder / SPEC, Spec).rungs)
    with terminated_as_interrupted():
        child = _start(project, folder)
        try:
            ended = _follow(folder, child, total, progress, budget_seconds)
        except BaseException:
            child.terminate()
            child.wait()
            raise
    if ended and child.returncode:
        raise Refusal(f"{folder.name} stopped: {_last_words(folder)}", "rerun the command to continue it")
    return read_points(folder)


def read_points(folder: Path) -> list[Point]:
    """Whole lines of the results, in the order they were measured. Raises InputError where one is damaged."""
    return read_lines(folder / RESULTS, Point.model_validate, "measured point")


def append_point(folder: Path, point: Point) -> None:
    """Add a line, flushed to disk; half a line that a kill left makes room for it."""
    append_lines(folder / RESULTS, [point.model_dump(mode="json")])


def put_away(folder: Path, result: Artefact) -> Path:
    """Write the result beside the folder and remove the folder with its checkpoints."""
    path = folder.with_suffix(".json")
    write_artefact(path, result)
    shutil.rmtree(folder, ignore_errors=True)
    return path


def _start(project: Project, folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, LEADER: str(os.getpid())}
    with (folder / LOG).open("ab") as log:
        command = [sys.executable, "-P", "-m", "training.trials", "trials", str(folder)]
        return subprocess.Popen(
            command, cwd=project.root, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def _follow(
    folder: Path, child: subprocess.Popen[bytes], total: int, progress: Progress, budget_seconds: float | None
) -> bool:
    """Tell how far it is; False where the budget was spent and the child was ended for it."""
    seen, started = -1, time.monotonic()
    while True:
        ended = child.poll() is not None
        points = read_points(folder)
        if len(points) != seen:
            seen = len(points)
            last = points[-1] if points else None
            progress(seen, total, f"{last.trial} step {last.step}, validation {_loss(last)}" if last else "loading")
        if ended:
            return True
        if budget_seconds is not None and time.monotonic() - started > budget_seconds:
            child.terminate()
            child.wait()
            return False
        time.sleep(POLL)


def _loss(point: Point) -> str:
    return "no number" if point.loss is None else f"{point.loss:.3f}"


def _last_words(folder: Path) -> str:
    lines = (folder / LOG).read_text(errors="replace").strip().splitlines() if (folder / LOG).is_file() else []
    refusal = next((json.loads(line)["refused"] for line in reversed(lines) if line.startswith('{"refused"')), None)
    return str(refusal or (lines[-1] if lines else "it ended without a word"))
