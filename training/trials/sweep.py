"""`rung plan sweep`: which values do best on validation, by successive halving. The test set is never read."""

import itertools
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from chat.protocols import Tokenizer
from curation.store import open_store
from training.gates.clearance import Locked, check_gates
from training.gates.gate import GateOverride
from training.plan.planning import make_plan
from training.plan.plans import Plan, read_plan
from training.plan.recipe import Recipe
from training.run.processes import LEADER
from training.runs import LOG, POLL, last_words
from workspace.artefact import Artefact, ArtefactPart, hashes, read_artefact, revised, write_artefact
from workspace.counted import counted
from workspace.errors import InputError, Problem, Refusal, did_you_mean
from workspace.files import append_lines, read_lines, sha256_file
from workspace.folder import Project, next_id
from workspace.interrupt import terminated_as_interrupted
from workspace.settings import Settings, TrainingSettings, load_settings

SPEC = "spec.json"
RESULTS = "results.jsonl"
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
        """Return the identity of the work: a stopped one with the same identity is resumed."""
        return self.model_dump(include={"kind", "plan_sha256", "trials", "rungs"})


class Point(ArtefactPart):
    """Result of one trial at `step`: validation loss (None: no number) with its standard error over rows."""

    trial: str
    rung: int
    step: int
    loss: float | None
    error: float = 0.0
    seconds: float = 0.0


def begin(project: Project, spec: Spec) -> Path:
    """Return the folder of an unfinished piece of the same work, else a new one with the spec in it."""
    for path in sorted(project.plans.glob(f"{spec.kind}-*/{SPEC}")):
        if read_artefact(path, Spec).essence() == spec.essence():
            return path.parent
    folder = project.plans / next_id(project.plans, spec.kind)
    write_artefact(folder / SPEC, revised(spec, id=folder.name))
    return folder


def cleared(project: Project, settings: Settings, plan_file: Path, overrides: Sequence[GateOverride]) -> Plan:
    """Return the plan, if every gate is open for it. Raises Locked if one is closed: trials are training."""
    plan = read_plan(plan_file)
    gates = check_gates(project, settings, plan, overrides=overrides)
    if not all(gate.opens for gate in gates):
        raise Locked(gates)
    return plan


def admit_trials(project: Project, settings: Settings, folder: Path) -> Spec:
    """Check every gate again in the child, for the plan of the spec, with overrides from the log."""
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
    Raises Refusal if the child refuses or fails, KeyboardInterrupt for SIGTERM.
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
        said = last_words(folder) or "it ended without a word"
        raise Refusal(f"{folder.name} stopped: {said}", "rerun the command to continue it")
    return read_points(folder)


def read_points(folder: Path) -> list[Point]:
    """Return the complete lines of the results, in the order of measurement. Raises InputError if one is damaged."""
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
    """Report the progress; False if the budget was spent and the child was ended."""
    seen, started = -1, time.monotonic()
    while True:
        ended = child.poll() is not None
        points = read_points(folder)
        if len(points) != seen:
            seen = len(points)
            told = "loading"
            if points:
                last = points[-1]
                loss = "no number" if last.loss is None else f"{last.loss:.3f}"
                told = f"{last.trial} step {last.step}, validation {loss}"
            progress(seen, total, told)
        if ended:
            return True
        if budget_seconds is not None and time.monotonic() - started > budget_seconds:
            child.terminate()
            child.wait()
            return False
        time.sleep(POLL)


ALIASES = {"lr": "learning_rate", "r": "rank", "bs": "batch"}
"""Short names that people use."""
FIXED = ("objective", "system_prompt", "report_to", "precision", "choose_by", "reward")
"""Settings that are no matter of trying: they change what is learnt or how it is reported."""
HALF = 2
LEAST_STEPS = 8
"""Fewer steps say nothing about a setting."""
MOST = 64
"""Combinations in one sweep."""


class SweepResult(ArtefactPart):
    """One combination in the result: its values, the losses at each rung, and how far it was taken."""

    name: str
    values: dict[str, Any]
    losses: list[float | None]
    steps: int


class Sweep(Artefact):
    """`plans/sweep-001.json`: the combinations, the best first. `told_apart`: its lead is over its standard error."""

    plan: str
    space: dict[str, list[Any]]
    rungs: list[Rung]
    standings: list[SweepResult]
    told_apart: bool
    seconds: float
    steps: int
    stopped: str = ""

    @property
    def best(self) -> SweepResult:
        """The winner."""
        return self.standings[0]


def parse_space(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return `["lr=1e-4,2e-4", "rank=8,16"]` as values by setting. Raises InputError with every wrong text or name."""
    found: dict[str, list[str]] = {}
    problems = []
    known = [name for name in TrainingSettings.model_fields if name not in FIXED]
    for text in texts:
        name, sign, values = text.partition("=")
        name = ALIASES.get(name.strip(), name.strip())
        split = [value.strip() for value in values.split(",") if value.strip()]
        if not sign or not split:
            problems.append(Problem("not NAME=VALUE,VALUE, as in lr=1e-4,2e-4.", text))
        elif name not in known:
            problems.append(Problem(f'"{name}" cannot be swept.{did_you_mean(name, known)}', text))
        elif name in found:
            problems.append(Problem(f'"{name}" is named twice.', text))
        else:
            found[name] = list(dict.fromkeys(split))
    count = math.prod(len(values) for values in found.values())
    if not problems and not 2 <= count <= MOST:
        problems.append(Problem(f"{counted(count, 'combination')}; 2 to {MOST} can be compared.", "sweep"))
    if problems:
        raise InputError(problems, "rung plan sweep lr=1e-4,2e-4,5e-4 rank=8,16")
    return found


def lay_out(
    project: Project,
    settings: Settings,
    plan_file: Path,
    plan: Plan,
    space: Mapping[str, list[str]],
    tokenizer: Tokenizer,
) -> Spec:
    """Return a recipe for each combination, worked out as its own plan would be, and the rungs of the halving.

    Raises InputError with every value that does not fit its setting.
    """
    read = _values_of(project, space)
    trials = []
    for number, combination in enumerate(itertools.product(*read.values()), 1):
        values = dict(zip(read, combination, strict=True))
        made = make_plan(project, revised(settings, training=revised(settings.training, **values)), tokenizer)
        trials.append(Trial(name=f"t{number:02d}", values=values, recipe=made.recipe))
    return Spec(
        made_from=hashes(project.root, plan_file),
        id="",
        kind="sweep",
        plan=plan.id,
        plan_sha256=sha256_file(plan_file),
        trials=trials,
        rungs=halving(len(trials), min(trial.recipe.steps for trial in trials)),
    )


def _values_of(project: Project, space: Mapping[str, list[str]]) -> dict[str, list[Any]]:
    """Return the values by setting, read as those in rung.toml are."""
    problems: list[Problem] = []
    found: dict[str, list[Any]] = {name: [] for name in space}
    for name, values in space.items():
        for value in values:
            named = {f"RUNG_TRAINING__{name.upper()}": value}
            try:
                read = load_settings(project.settings_file, {**os.environ, **named})
            except InputError as error:
                problems += [Problem(p.text, f"{name}={value}", p.expected, p.found) for p in error.problems]
            else:
                found[name].append(getattr(read.training, name))
    if problems:
        raise InputError(problems, "rung plan sweep lr=1e-4,2e-4,5e-4 rank=8,16")
    return found


def halving(count: int, steps: int) -> list[Rung]:
    """Return rungs from the most trials with the fewest steps to the last ones with all: each keeps the better half."""
    counts = [count]
    while counts[-1] > 1 and steps / HALF ** len(counts) >= LEAST_STEPS:
        counts.append(max(1, counts[-1] // HALF))
    last = len(counts) - 1
    return [Rung(share=1 / HALF ** (last - place), count=n) for place, n in enumerate(counts)]


def steps_at(trial: Trial, rung: Rung) -> int:
    """Optimiser steps that a trial has made when it leaves the rung."""
    return max(1, math.ceil(trial.recipe.steps * rung.share))


def budget(spec: Spec) -> tuple[int, int]:
    """(steps that the halving takes, steps that training every combination in full would take)."""
    whole = sum(trial.recipe.steps for trial in spec.trials)
    mean, taken, before = whole / len(spec.trials), 0.0, 0.0
    for rung in spec.rungs:
        taken += rung.count * (rung.share - before) * mean
        before = rung.share
    return math.ceil(taken), whole


def survivors(points: Sequence[Point], rung: int, count: int) -> list[str]:
    """Names of the `count` trials with the lowest loss at a rung; a loss that is no number comes last."""
    here = [point for point in points if point.rung == rung]
    return [p.trial for p in sorted(here, key=lambda p: (p.loss is None, p.loss or 0.0, p.trial))[:count]]


def outcome(spec: Spec, space: Mapping[str, Sequence[Any]], points: Sequence[Point], stopped: str = "") -> Sweep:
    """Return the result: who came furthest, and of those who did best. Deterministic in its inputs."""
    found = {trial.name: [p for p in points if p.trial == trial.name] for trial in spec.trials}
    ends = {name: own[-1] for name, own in found.items() if own}
    values = {trial.name: trial.values for trial in spec.trials}
    order = sorted(ends, key=lambda name: (-ends[name].rung, ends[name].loss is None, ends[name].loss or 0.0))
    standings = [
        SweepResult(name=n, values=values[n], losses=[point.loss for point in found[n]], steps=ends[n].step)
        for n in order
    ]
    return Sweep(
        made_from=spec.made_from,
        plan=spec.plan,
        space={name: list(values) for name, values in space.items()},
        rungs=spec.rungs,
        standings=standings,
        told_apart=_told_apart(points, order[0]),
        seconds=round(sum(point.seconds for point in points), 1),
        steps=sum(end.step for end in ends.values()),
        stopped=stopped,
    )


def _told_apart(points: Sequence[Point], best: str) -> bool:
    """True if the winner leads the next trial by more than its standard error, at the last rung that both reached."""
    for point in reversed([p for p in points if p.trial == best]):
        others = [p.loss for p in points if p.rung == point.rung and p.trial != best and p.loss is not None]
        if others:
            return point.loss is not None and min(others) - point.loss > point.error
    return False
