"""Checks before money is spent: the rows as they will be trained, and a dry run compared with the estimate."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from training.gates.gate import policy_of
from training.plan.hyperparameters import FORWARD
from training.plan.memory_fit import fit_of
from training.plan.plans import Forecast, Plan, read_plan, write_plan
from training.run.tokens import TokenCheck
from training.runs import read_runs
from workspace.artefact import Artefact, ArtefactPart, hashes, read_artefact, revised, write_artefact
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.interrupt import ending_with_us

MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""The C library's defaults count freed memory as held, 12 to 21% of it."""
SPARE = 2
"""Checkpoints beside the newest ones: the best, and the one that is being written."""
ROUND = 0.15
"""Difference of the measured peak from the expected one that is not reported."""


class DryRunFinding(ArtefactPart):
    """`blocks`: the run would fail or learn the wrong thing. `look`: a person should know."""

    level: Literal["blocks", "look"]
    text: str


class DryRunStep(ArtefactPart):
    """One optimiser step of the dry run."""

    seconds: float
    tokens: int


class DryRunFigures(ArtefactPart):
    """Measurements of the child process's steps. Memory in GiB above the imports, disk in bytes.

    The first of `steps` held the longest rows. `answer_lost` lists train lines whose trained tokens do not hold the
    whole answer, `lost_tokens` counts trained tokens of rows left out.
    """

    rows: TokenCheck
    template_sha256: str
    answer_lost: list[int]
    double_start: int
    lost_tokens: int
    precision: str
    loading_seconds: float
    steps: list[DryRunStep]
    trained_parameters: int
    peak_gib: float
    reserved_gib: float | None
    imports_gib: float
    checkpoint_bytes: int

    @property
    def timed(self) -> list[DryRunStep]:
        """The steps that tell the speed: all but the first, which warms up."""
        return self.steps[1:]


class DryRun(Artefact, DryRunFigures):
    """`plans/P-001.preflight.json`: the figures, with the estimate and what a person should know."""

    plan: str
    tokens_per_second: float
    estimate: dict[str, float] | None
    disk_needed: int
    disk_free: int
    forecast: Forecast
    findings: list[DryRunFinding]

    @property
    def blocked(self) -> bool:
        """True if something must be fixed first."""
        return any(finding.level == "blocks" for finding in self.findings)


def preflight(project: Project, plan_file: Path) -> DryRun:
    """Run the steps in a child process, judge them and keep the result beside the plan.

    The plan takes over the measured forecast, unless a run was made from it already. Raises Refusal if no row can
    train, RungError where the child fails.
    """
    plan = read_plan(plan_file)
    measured = _measured(project, plan_file)
    forecast = _forecast(plan, measured)
    if sha256_file(plan_file) not in {run.plan_sha256 for run in read_runs(project)}:
        write_plan(plan_file, revised(plan, forecast=forecast))
    found = _dry_run(project, plan_file, plan, measured, forecast)
    write_artefact(place_of(project, plan.id), found)
    return found


def place_of(project: Project, plan: str) -> Path:
    """Return the path of a plan's pre-flight."""
    return project.plans / f"{plan}.preflight.json"


def read_preflight(project: Project, plan: str) -> DryRun | None:
    """Return the kept pre-flight of a plan, None if there is none."""
    path = place_of(project, plan)
    return read_artefact(path, DryRun) if path.is_file() else None


def _measured(project: Project, plan_file: Path) -> DryRunFigures:
    with tempfile.TemporaryDirectory(prefix=".dry-", dir=project.plans) as folder:
        out = Path(folder) / "found.json"
        words = ["training.trials", "dry-run", str(project.root), str(plan_file), str(out)]
        command = [sys.executable, "-P", "-m", *words]
        environment = {**os.environ, **MALLOC}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, preexec_fn=ending_with_us()
        )
        if not out.is_file():
            last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            hint = "rung estimate   (what fits)" if done.returncode < 0 else "rung doctor"
            raise RungError(f"The dry run of {plan_file.stem} failed: {last}", hint)
        found = json.loads(out.read_text())
    if "error" in found:
        raise Refusal(found["error"], found["hint"])
    return DryRunFigures.model_validate(found)


def _speed(found: DryRunFigures) -> float:
    return sum(step.tokens for step in found.timed) / max(1e-9, sum(step.seconds for step in found.timed))


def _dry_run(project: Project, plan_file: Path, plan: Plan, measured: DryRunFigures, forecast: Forecast) -> DryRun:
    alone = plan.recipe.alone()  # as the dry run trains, whatever the plan's processes
    fit = fit_of(alone, answer=plan.data.answer, usable=policy_of(project).memory)
    estimate = {"low": fit.low, "expected": fit.expected, "high": fit.high} if fit else None
    free = shutil.disk_usage(project.plans).free
    needed = measured.checkpoint_bytes * (plan.recipe.keep_last + SPARE)
    return DryRun(
        **dict(measured),
        made_from=hashes(project.root, plan_file),
        plan=plan.id,
        tokens_per_second=round(_speed(measured), 1),
        estimate=estimate,
        disk_needed=needed,
        disk_free=free,
        forecast=forecast,
        findings=list(_findings(measured, estimate, needed, free)),
    )


def _forecast(plan: Plan, measured: DryRunFigures) -> Forecast:
    """Time by the quickest, the mean and the slowest timed step; validation counts a third of training."""
    rates = [step.tokens / max(1e-9, step.seconds) for step in measured.timed]
    recipe, data = plan.recipe, plan.data
    each = data.tokens / max(1, data.train - len(data.left_out))
    checks = recipe.evals * recipe.epochs * data.validation * each * FORWARD
    work = data.tokens * recipe.epochs + checks
    speeds = (max(rates), _speed(measured), min(rates))
    low, middle, high = (measured.loading_seconds + work / rate for rate in speeds)
    return revised(
        plan.forecast,
        seconds=round(middle, 1),
        seconds_low=round(low, 1),
        seconds_high=round(high, 1),
        measured_gib=round(measured.peak_gib, 2),
        because=f"{len(measured.timed)} dry steps on this machine",
    )


def _findings(
    found: DryRunFigures, estimate: dict[str, float] | None, needed: int, free: int
) -> Iterator[DryRunFinding]:
    rows = found.rows
    if found.answer_lost:
        yield _rows_say("blocks", found.answer_lost, "train less than their whole answer")
    if rows.eos_trained < rows.rows:
        count = rows.rows - rows.eos_trained
        yield DryRunFinding(level="look", text=f"{count} rows do not train the end token: the model may not stop")
    if rows.masked:
        yield _rows_say("look", rows.masked, "have no trained token and are left out")
    if rows.too_long:
        lost = f"are too long and left out, with {found.lost_tokens:,} answer tokens"
        yield _rows_say("look", rows.too_long, lost)
    if found.double_start:
        yield DryRunFinding(level="look", text=f"{found.double_start} rows begin with the start token twice")
    if needed > free:
        text = f"checkpoints need {needed / 1e9:.1f} GB on disk, {free / 1e9:.1f} GB are free"
        yield DryRunFinding(level="blocks", text=text)
    close = estimate and abs(found.peak_gib / estimate["expected"] - 1) <= ROUND
    if estimate and not close and not estimate["low"] <= found.peak_gib <= estimate["high"]:
        text = f"the dry run held {found.peak_gib:.2f} GiB, the estimate said {estimate['expected']:.2f}"
        yield DryRunFinding(level="look", text=f"{text} ({estimate['low']:.2f} to {estimate['high']:.2f})")


def _rows_say(level: Literal["blocks", "look"], lines: list[int], what: str) -> DryRunFinding:
    some = ", ".join(map(str, lines[:5])) + (" ..." if len(lines) > 5 else "")
    return DryRunFinding(level=level, text=f"{len(lines)} rows {what}: train line {some}")
