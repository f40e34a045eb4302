"""Commands of the group `train`: plan, train, and runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    import subprocess

    from training.gate import Override
    from training.plan import Plan
    from training.record import RunRecord
    from workspace.folder import Project
    from workspace.settings import Settings

runs_app = typer.Typer(help="Runs: list, watch, pause, stop, resume.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Name = Annotated[str | None, typer.Argument(help="A run (R-001); the newest by default.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("plan")(plan)
    app.command("train")(train)
    app.add_typer(runs_app, name="runs")


def plan(
    tokens: Annotated[bool, typer.Option("--tokens", help="Show the trained tokens of five rows.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every gate with its evidence, every value's rule.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Work out the training plan: every value with its reason, and the gates."""
    from rung.cli.output import emit, say
    from rung.cli.training_words import plan_lines, token_lines
    from training.clearance import check_gates

    project, settings = _project()
    path, made = _plan(project, settings)
    gates = check_gates(project, settings, made)
    if as_json:
        emit({**made.model_dump(mode="json"), "path": str(path), "gates": [g.model_dump(mode="json") for g in gates]})
        return
    for line in plan_lines(made, gates):
        say(line)
    if explain:
        _explain(made, gates)
    if tokens:
        say()
        for line in token_lines(_preflight(project, made)):
            say(line)
    closed = next((gate for gate in gates if not gate.opens), None)
    say()
    say(f"Written: {project.relative(path)}   Next: {closed.opener if closed else 'rung train'}")


def train(
    plan_name: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="A plan (P-001) or its file.")] = None,
    override: Annotated[list[str] | None, typer.Option(help="Set a gate aside: decision, review or machine.")] = None,
    by: Annotated[str, typer.Option(help="Who sets it aside.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Return as soon as the run trains.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Train a plan anew that has trained already.")] = False,
    as_json: Json = False,
) -> None:
    """Train, if all six gates are open. Goes on with an interrupted run of the same plan."""
    from rung.cli.output import note
    from training.clearance import check_gates, grant
    from training.launch import live_run, run_of, start
    from workspace.errors import Refusal
    from workspace.files import sha256_file

    overrides = _overrides(override or [], by, reason)
    project, settings = _project()
    path = _plan_or_locked(project, settings, plan_name, overrides, as_json)
    found = None if again else run_of(project, sha256_file(path))
    if found is not None and found.state == "finished":
        note(f"{found.id} trained this very plan. The same again: rung train --again")
        return _say_end(project.runs / found.id, as_json)
    if found is not None:
        return _go_on(project, found, detach, as_json)
    if (other := live_run(project)) is not None:
        raise Refusal(
            f"{other.id} is training another plan ({other.plan}); one at a time.", f"rung runs watch {other.id}"
        )
    from training.plan import read_plan

    gates = check_gates(project, settings, read_plan(path), overrides=overrides)
    if not all(gate.opens for gate in gates):
        _locked(gates, as_json)
    folder = grant(project, settings, path, overrides=overrides, by=by or settings.project.person)
    note(f"{folder.name}: cleared by all gates, {path.stem}. Loading {settings.model.base}.")
    _watch(folder, start(project, folder), detach, as_json)


@runs_app.command("list")
def list_runs(as_json: Json = False) -> None:
    """Every run, the oldest first."""
    from rung.cli.output import emit, say
    from rung.cli.training_words import run_line
    from training.record import read_runs

    runs = read_runs(_project()[0])
    if as_json:
        return emit([run.model_dump(mode="json") for run in runs])
    for run in runs:
        say(run_line(run))
    if not runs:
        say("No run yet.  Next: rung train")


@runs_app.command("watch")
def watch(run: Name = None, as_json: Json = False) -> None:
    """Watch a run until it ends; Ctrl-C leaves it going."""
    from rung.cli.output import emit
    from training.record import curve, find_run

    project, _ = _project()
    found = find_run(project, run)
    folder = project.runs / found.id
    if as_json:
        return emit({**found.model_dump(mode="json"), "curve": curve(folder)})
    _watch(folder, None, False, False)


@runs_app.command("pause")
def pause(run: Name = None, as_json: Json = False) -> None:
    """Save and wait; `rung runs resume` goes on."""
    _tell(run, "pause", "saves and waits", as_json)


@runs_app.command("stop")
def stop(run: Name = None, as_json: Json = False) -> None:
    """Save and end; `rung runs resume` can go on later."""
    _tell(run, "stop", "saves and ends", as_json)


@runs_app.command("resume")
def resume(
    run: Name = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not watch.")] = False,
    as_json: Json = False,
) -> None:
    """Go on with a paused, stopped or crashed run."""
    from training.record import find_run

    project, _ = _project()
    _go_on(project, find_run(project, run), detach, as_json)


def _project() -> tuple[Project, Settings]:
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    return project, load_settings(project.settings_file)


def _plan(project: Project, settings: Settings) -> tuple[Path, Plan]:
    from training.plan import keep_plan
    from training.planning import make_plan
    from training.run.model import PlanTokenizer

    return keep_plan(project, make_plan(project, settings, PlanTokenizer(settings.model.base)))


def _plan_or_locked(
    project: Project, settings: Settings, name: str | None, overrides: list[Override], as_json: bool
) -> Path:
    """The plan's file. Where none can be worked out, the gates say what is missing."""
    from training.clearance import check_gates
    from training.plan import find_plan
    from workspace.errors import Refusal

    if name is not None:
        return find_plan(project, name)
    try:
        return _plan(project, settings)[0]
    except Refusal:
        gates = check_gates(project, settings, overrides=overrides)
        if all(gate.opens for gate in gates):
            raise
        _locked(gates, as_json)


def _locked(gates: Any, as_json: bool) -> NoReturn:
    from rung.cli.output import emit, say
    from rung.cli.training_words import locked_lines, passed_of

    if as_json:
        emit({"locked": True, "passed": passed_of(gates), "gates": [gate.model_dump(mode="json") for gate in gates]})
    else:
        for line in locked_lines(gates):
            say(line)
    raise typer.Exit(1)


def _overrides(names: list[str], by: str, reason: str) -> list[Override]:
    from training.clearance import override

    return [override(name, by, reason) for name in names]


def _preflight(project: Project, made: Plan) -> Any:
    from curation.manifest import load_split
    from training.run.model import load_tokenizer
    from training.run.preflight import check
    from training.run.rows import encode

    tokenizer = load_tokenizer(made.recipe.base)
    rows = load_split(project.datasets / made.dataset, "train")
    encoded = encode(tokenizer, rows, made.recipe.system_prompt, made.recipe.max_length)
    return check(tokenizer, encoded, made.recipe)


def _explain(made: Plan, gates: Any) -> None:
    from rung.cli.output import say

    say()
    for name, found in made.because.items():
        say(f"{name} = {getattr(made.recipe, name)}   {found.text}   [{found.rule}] {', '.join(found.source)}")
    for gate in gates:
        say(f"{gate.symbol} {gate.name}   {', '.join(f'{k} {v}' for k, v in gate.evidence.items())}")


def _go_on(project: Project, run: RunRecord, detach: bool, as_json: bool) -> None:
    from rung.cli.output import note
    from training.launch import start, tell
    from training.record import LIVE
    from workspace.errors import Refusal

    folder = project.runs / run.id
    if run.state in LIVE:
        tell(project, run.id, "")
        note(f"{run.id} is training already, started {run.started_at:%Y-%m-%d %H:%M} UTC by {run.by}.")
        return _watch(folder, None, detach, as_json)
    if run.state in ("finished", "failed"):
        raise Refusal(f"{run.id} has {run.state}; it cannot go on.", "rung train")
    note(f"{run.id} goes on from step {run.step} of {run.steps}.")
    _watch(folder, start(project, folder), detach, as_json)


def _tell(name: str | None, word: str, words: str, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from training.launch import tell

    run = tell(_project()[0], name, word)
    if as_json:
        return emit({"run": run.id, "asked": word})
    say(f"{run.id} {words} after this step.  Next: rung runs watch {run.id}")


def _watch(folder: Path, process: subprocess.Popen[bytes] | None, detach: bool, as_json: bool) -> None:
    """Follow the run to its end and say what it came to; Ctrl-C leaves it going."""
    from rung.cli.output import note
    from rung.cli.training_words import LiveLine
    from training.launch import follow, wait_until_live

    if detach:
        if process is not None:
            wait_until_live(folder, process)
        return _say_end(folder, as_json)
    line = LiveLine(folder.name)
    try:
        for found in follow(folder, process):
            line.wait(f"{folder.name}  loading") if found is None else line.show(found)
    except KeyboardInterrupt as interrupted:
        line.close()
        note(f"{folder.name} goes on without this screen.  Watch it: rung runs watch {folder.name}")
        raise typer.Exit(130) from interrupted
    line.close()
    _say_end(folder, as_json)


def _say_end(folder: Path, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from rung.cli.training_words import ending_lines
    from training.launch import last_words
    from training.record import read_run
    from workspace.errors import Refusal

    run = read_run(folder)
    if run.state == "cleared":
        raise Refusal(last_words(folder) or f"{run.id} did not start.", f"See runs/{run.id}/log.txt")
    if as_json:
        emit(run.model_dump(mode="json"))
    else:
        for text in ending_lines(run):
            say(text)
    if run.state in ("failed", "crashed"):
        raise typer.Exit(1)
