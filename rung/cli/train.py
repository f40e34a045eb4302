"""`rung train` and `rung runs`: start a run, follow it to its end, pause, stop, resume or adopt one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import By, Json, Reason, at_most_one, duration, goes_with
from rung.cli.output import emit, manner, note, show, show_locked, show_progress
from rung.cli.remote import AtProvider, is_provider, reached
from workspace.errors import Refusal, RungError
from workspace.extras import installed
from workspace.files import sha256_file
from workspace.folder import require_project
from workspace.settings import load_settings, opened_project

if TYPE_CHECKING:
    import subprocess

    from training.gates.gate import Gate, GateOverride
    from training.plan.memory_fit import Machine
    from training.plan.plans import Plan
    from training.runs import MetricLine, RunRecord
    from workspace.folder import Project
    from workspace.settings import Settings


def train(
    plan_name: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="A plan (P-001) or its file.")] = None,
    override: Annotated[list[str] | None, typer.Option(help="Override a gate: decision, review or machine.")] = None,
    by: By = "",
    reason: Reason = "",
    detach: Annotated[bool, typer.Option("--detach", help="Return as soon as training has started.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Train again even if this plan already has a finished run.")
    ] = False,
    on: Annotated[
        str, typer.Option(metavar="NAME", help="Train at [remotes.NAME]: a machine over ssh, or a provider.")
    ] = "",
    at_most: Annotated[
        str, typer.Option(metavar="TIME", help="With --on: end the run there after this time, e.g. 3h or 90m.")
    ] = "",
    cancel: Annotated[bool, typer.Option("--cancel", help="With --on a provider: end the job there.")] = False,
    as_json: Json = False,
) -> None:
    """Train, if all six gates are open. Continues an interrupted run of the same plan."""
    from training.gates.clearance import check_gates, grant
    from training.gates.clearance import override as named_override
    from training.gates.gate import policy_of
    from training.plan.plans import newest_plan, read_plan
    from training.runs import run_of, start

    goes_with("--on", on, "rung train --on NAME", {"--at-most": at_most, "--cancel": cancel})
    limit = duration("--at-most", at_most) if at_most else 0
    project, settings = opened_project()
    overrides = [named_override(name, by, reason, policy_of(project)) for name in override or []]
    before, known = newest_plan(project), {*project.plans.glob("P-*.toml")}
    if is_provider(settings, on):
        AtProvider.refuse({"--at-most": at_most, "--again": again}, on)
        there = AtProvider(project, settings, on, as_json)
        if cancel:
            return there.cancel(plan_name)
        path = _plan_or_locked(project, settings, plan_name, overrides, as_json, None)
        with _kept_if_open(path, known):
            folder = there.job(path, overrides, by)
        return there.train(folder, detach=detach)
    if cancel and on in settings.remotes:
        raise Refusal(f"--cancel: {on} is a machine, not a provider.", "rung runs stop", where="--cancel")
    box, machine = reached(project, settings, on) if on else (None, None)
    path = _plan_or_locked(project, settings, plan_name, overrides, as_json, machine)
    if plan_name is None and before is not None and before != path and run_of(project, sha256_file(before)) is None:
        note(f"{path.stem} is the plan that rung.toml asks for. The one made last: rung train {before.stem}")
    if _goes_on(project, path, again, detach, as_json):
        return
    plan = read_plan(path)
    if box is not None:
        from training.remote.following import prepare

        with _kept_if_open(path, known):
            folder = prepare(project, settings, path, box, overrides=overrides, by=by, at_most=limit)
        note(f"{folder.name}: trains on {on}, {path.stem}. Sending what it needs.")
        return watch_run(folder, start(project, folder), detach, as_json)
    with _kept_if_open(path, known):
        gates = check_gates(project, settings, plan, overrides=overrides)
        if not all(gate.opens for gate in gates):
            show_locked(gates, as_json)
    _tell_otherwise(project, settings, plan, gates)
    folder = grant(project, settings, path, overrides=overrides, by=by or settings.project.person)
    note(f"{folder.name}: cleared by all gates, {path.stem}. Loading {settings.model.base}.")
    watch_run(folder, start(project, folder), detach, as_json)


def _goes_on(project: Project, plan_file: Path, again: bool, detach: bool, as_json: bool) -> bool:
    """Resume or show this plan's run; False if there is none. Raises Refusal while another plan's run trains."""
    from training.runs import live_run, run_of

    found = None if again else run_of(project, sha256_file(plan_file))
    if found is None:
        if (other := live_run(project)) is not None:
            raise Refusal(
                f"{other.id} is training another plan ({other.plan}); one at a time.", f"rung runs watch {other.id}"
            )
        return False
    if found.state == "finished":
        note(f"{found.id} trained this very plan. The same again: rung train --again")
        say_end(project.runs / found.id, as_json)
    else:
        go_on(project, found, detach, as_json)
    return True


@contextmanager
def _kept_if_open(path: Path, known: Collection[Path]) -> Iterator[None]:
    """Remove the plan that was made for this command alone, if the gates are locked."""
    try:
        yield
    except (Refusal, typer.Exit):
        if path not in known:
            path.unlink()
        raise


def _tell_otherwise(project: Project, settings: Settings, plan: Plan, gates: Sequence[Gate]) -> None:
    """Warn before hours of training that the verdict will need a baseline with this run's settings."""
    from evaluation.measurement_report import read_report
    from evaluation.outcomes import asked_otherwise

    name = next(str(gate.evidence["report"]) for gate in gates if gate.name == "baseline")
    _, report = read_report(project, name)
    if told := asked_otherwise(settings, report, plan.recipe.base):
        note(f"{told} Before rung evaluate: rung baseline")


def _plan_or_locked(
    project: Project,
    settings: Settings,
    name: str | None,
    overrides: list[GateOverride],
    as_json: bool,
    machine: Machine | None,
) -> Path:
    """Return the plan's file. Where none can be worked out, the gates say what is missing."""
    from rung.cli.planned import work_out
    from training.gates.clearance import check_gates
    from training.plan.plans import find_plan

    if name is not None:
        return find_plan(project, name)
    try:
        return work_out(project, settings, machine=machine)[0]
    except RungError as error:  # a missing extra, too: nobody should install 1.7 GB to read that a gate is closed
        if not isinstance(error, Refusal) and installed("torch"):
            raise
        gates = check_gates(project, settings, overrides=overrides)
        if all(gate.opens for gate in gates):
            raise
        show_locked(gates, as_json)


STARTING, SENDING = 60.0, 86_400.0
"""Seconds that a process may take to begin: here, and where it first sends the rows to another machine."""
runs_app = typer.Typer(help="Runs: list, watch, pause, stop, resume, adopt.", no_args_is_help=True)
Name = Annotated[str | None, typer.Argument(help="Run, e.g. R-001 (default: the newest).")]


@runs_app.command("list")
def list_runs(as_json: Json = False) -> None:
    """List every run, the oldest first."""
    from rung.status.stages import next_step
    from rung.text.training_text import run_line
    from training.runs import read_runs

    project = require_project()
    load_settings(project.settings_file)
    runs = read_runs(project)
    lines = [run_line(run) for run in runs] or [f"No run yet.  Next: {next_step(project)}"]
    show(as_json, [run.model_dump(mode="json") for run in runs], lines)


@runs_app.command("watch")
def watch(run: Name = None, as_json: Json = False) -> None:
    """Follow a run until it ends. Ctrl-C stops following; the run continues."""
    from training.runs import curve, find_run, is_unfollowed, start

    project, _ = opened_project()
    found = find_run(project, run)
    folder = project.runs / found.id
    if not as_json and is_unfollowed(folder):
        return watch_run(folder, start(project, folder, "--follow"), False, False)
    if as_json:
        return emit({**found.model_dump(mode="json"), "curve": curve(folder)})
    watch_run(folder, None, False, False)


@runs_app.command("pause")
def pause(run: Name = None, as_json: Json = False) -> None:
    """Save and pause a run; `rung runs resume` continues it."""
    _tell(run, "pause", "saves and waits", as_json)


@runs_app.command("stop")
def stop(run: Name = None, as_json: Json = False) -> None:
    """Save and stop a run; `rung runs resume` can continue it later."""
    _tell(run, "stop", "saves and ends", as_json)


@runs_app.command("resume")
def resume(
    run: Name = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once instead of following the run.")] = False,
    as_json: Json = False,
) -> None:
    """Continue a paused, stopped or crashed run."""
    from training.runs import find_run

    project, _ = opened_project()
    go_on(project, find_run(project, run), detach, as_json)


@runs_app.command("adopt")
def adopt(
    folder: Annotated[
        Path | None, typer.Argument(help="Adapter or merged model that was trained elsewhere.", show_default=False)
    ] = None,
    served: Annotated[str, typer.Option(help="A tuned model by its name on the server of [model].")] = "",
    base: Annotated[str, typer.Option(metavar="URL", help="With --served: address of that server.")] = "",
    by: Annotated[str, typer.Option(help="Who adopts it (default: rung.toml's person).")] = "",
    as_json: Json = False,
) -> None:
    """Make a model that was trained elsewhere a run of this project, to evaluate and release it as any run."""
    from rung.text.training_text import ending_lines
    from training.remote.adoption import adopt_folder, adopt_served

    at_most_one({"FOLDER": folder, "--served": served})
    goes_with("--served", bool(served), "rung runs adopt --served NAME", {"--base": base})
    if folder is None and not served:
        raise RungError("Name a folder, or a model on a server.", "rung runs adopt FOLDER, or --served NAME")
    project, settings = opened_project()
    if folder is not None:
        run = adopt_folder(project, settings, folder, by)
    else:
        run = adopt_served(project, settings, served, base, by)
    show(as_json, run.model_dump(mode="json"), ending_lines(run))


def go_on(project: Project, run: RunRecord, detach: bool, as_json: bool) -> None:
    """Watch a run that lives; start the process again for one that was interrupted. Refuses one that ended."""
    from training.runs import LIVE, start, tell

    folder = project.runs / run.id
    if run.state in LIVE:
        tell(project, run.id, "")
        note(f"{run.id} is already training, started {run.started_at:%Y-%m-%d %H:%M} UTC by {run.by}.")
        return watch_run(folder, None, detach, as_json)
    if run.state in ("finished", "failed"):
        raise Refusal(f"{run.id} has {run.state}; it cannot continue.", "rung train")
    note(f"{run.id} continues from step {run.step} of {run.steps}.")
    watch_run(folder, start(project, folder), detach, as_json)


def _tell(name: str | None, word: str, words: str, as_json: bool) -> None:
    from rung.status.stages import after_run
    from training.runs import find_run, is_unfollowed, reconnect, tell

    project = require_project()
    folder = project.runs / find_run(project, name).id
    if is_unfollowed(folder):
        reconnect(project, folder)
    run = tell(project, name, word)
    told = f"{run.id} {words} after this step.  Next: {after_run(run).command}"
    show(as_json, {"run": run.id, "asked": word}, [told])


def watch_run(folder: Path, process: subprocess.Popen[bytes] | None, detach: bool, as_json: bool) -> None:
    """Follow the run to its end and say what it came to; Ctrl-C leaves it going."""
    from training.runs import REFUSED, follow, read_run, wait_until_live

    if detach:
        if process is not None:
            wait_until_live(folder, process, SENDING if read_run(folder).remote else STARTING)
        return say_end(folder, as_json, refused=process is not None and process.poll() == REFUSED)
    line = LiveLine(folder.name)
    try:
        for found in follow(folder, process):
            line.wait(f"{folder.name}  loading") if found is None else line.show(found)
    except KeyboardInterrupt as interrupted:
        line.close()
        note(f"{folder.name} continues in the background.  Follow it: rung runs watch {folder.name}")
        raise typer.Exit(130) from interrupted
    line.close()
    say_end(folder, as_json, refused=process is not None and process.poll() == REFUSED)


def say_end(folder: Path, as_json: bool, *, refused: bool = False) -> None:
    """Print how the run ended; exit 1 after a failure. Raises the process's refusal where it did not start."""
    from rung.text.training_text import ending_lines
    from training.runs import last_words, read_run

    run = read_run(folder)
    if run.state == "cleared" or refused:
        raise Refusal(last_words(folder) or f"{run.id} did not start.", f"See runs/{run.id}/log.txt")
    show(as_json, run.model_dump(mode="json"), ending_lines(run))
    if run.state in ("failed", "crashed"):
        raise typer.Exit(1)


class LiveLine:
    """Loss, step, tokens/s and time left: one line, redrawn on a terminal; elsewhere a plain one now and then."""

    def __init__(self, run: str, every: float = 5.0) -> None:
        self.run = run
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.every = 0.0 if self.live else every
        self.last = 0.0
        self.validation = ""

    def show(self, line: MetricLine) -> None:
        """Take one line of metrics.jsonl."""
        if line["kind"] == "validation":
            from rung.text.training_text import validation_words

            self.validation = f"  validation {validation_words(line)}"
            if not self.live:
                self._write(
                    f"{self.run}  step {line['step']} of {line['steps']}{self.validation}, the best so far is "
                    f"step {line['best_step']}"
                )
        elif line["kind"] == "step" and (time.monotonic() - self.last >= self.every or line["step"] == line["steps"]):
            self.last = time.monotonic()
            self._write(self._text(line))
        elif line["kind"] == "note" and not self.live:
            self._write(f"{self.run}  {line['text']}")

    def wait(self, text: str) -> None:
        """Print what the run waits for while nothing is measured yet."""
        if self.live and not self.last:
            self._write(text)

    def close(self) -> None:
        """End the line, so that later output starts on a new one."""
        if self.live and self.last and not manner.quiet:
            sys.stderr.write("\n")

    def _text(self, line: MetricLine) -> str:
        from rung.text.training_text import spent_words
        from workspace.counted import duration

        loss = "no number" if line["loss"] is None else f"{line['loss']:.3f}"
        left = line.get("eta_seconds")
        eta = f"about {duration(left)} left" if left else "last step" if line["step"] == line["steps"] else ""
        return (
            f"{self.run}  step {line['step']} of {line['steps']}  {line['step'] / line['steps']:.0%}  loss {loss}"
            f"{self.validation}  {line['tokens_per_second']:.0f} tokens/s  {eta}{spent_words(line.get('usd'))}"
        ).rstrip()

    def _write(self, text: str) -> None:
        if not manner.quiet:
            show_progress(text, live=self.live)
