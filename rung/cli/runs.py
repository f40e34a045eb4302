"""The sub-commands `rung runs`, and following a run to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json

if TYPE_CHECKING:
    import subprocess

    from training.record import RunRecord
    from workspace.folder import Project

runs_app = typer.Typer(help="Runs: list, watch, pause, stop, resume.", no_args_is_help=True)
Name = Annotated[str | None, typer.Argument(help="A run (R-001); the newest by default.")]


@runs_app.command("list")
def list_runs(as_json: Json = False) -> None:
    """Every run, the oldest first."""
    from rung.cli.output import emit, say
    from rung.report.run_words import run_line
    from training.record import read_runs
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    load_settings(project.settings_file)
    runs = read_runs(project)
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
    from workspace.folder import require_project

    project = require_project()
    found = find_run(project, run)
    folder = project.runs / found.id
    if as_json:
        return emit({**found.model_dump(mode="json"), "curve": curve(folder)})
    watch_run(folder, None, False, False)


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
    from workspace.folder import require_project

    project = require_project()
    go_on(project, find_run(project, run), detach, as_json)


def go_on(project: Project, run: RunRecord, detach: bool, as_json: bool) -> None:
    """Watch a run that lives; start the process again for one that was interrupted. Refuses one that ended."""
    from rung.cli.output import note
    from training.launch import start, tell
    from training.record import LIVE
    from workspace.errors import Refusal

    folder = project.runs / run.id
    if run.state in LIVE:
        tell(project, run.id, "")
        note(f"{run.id} is training already, started {run.started_at:%Y-%m-%d %H:%M} UTC by {run.by}.")
        return watch_run(folder, None, detach, as_json)
    if run.state in ("finished", "failed"):
        raise Refusal(f"{run.id} has {run.state}; it cannot go on.", "rung train")
    note(f"{run.id} goes on from step {run.step} of {run.steps}.")
    watch_run(folder, start(project, folder), detach, as_json)


def _tell(name: str | None, word: str, words: str, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from training.launch import tell
    from workspace.folder import require_project

    run = tell(require_project(), name, word)
    if as_json:
        return emit({"run": run.id, "asked": word})
    say(f"{run.id} {words} after this step.  Next: rung runs watch {run.id}")


def watch_run(folder: Path, process: subprocess.Popen[bytes] | None, detach: bool, as_json: bool) -> None:
    """Follow the run to its end and say what it came to; Ctrl-C leaves it going."""
    from rung.cli.live_line import LiveLine
    from rung.cli.output import note
    from training.launch import REFUSED, follow, wait_until_live

    if detach:
        if process is not None:
            wait_until_live(folder, process)
        return say_end(folder, as_json, refused=process is not None and process.poll() == REFUSED)
    line = LiveLine(folder.name)
    try:
        for found in follow(folder, process):
            line.wait(f"{folder.name}  loading") if found is None else line.show(found)
    except KeyboardInterrupt as interrupted:
        line.close()
        note(f"{folder.name} goes on without this screen.  Watch it: rung runs watch {folder.name}")
        raise typer.Exit(130) from interrupted
    line.close()
    say_end(folder, as_json, refused=process is not None and process.poll() == REFUSED)


def say_end(folder: Path, as_json: bool, *, refused: bool = False) -> None:
    """What the run came to; exit 1 where it failed or crashed, the process's own refusal where it did not start."""
    from rung.cli.output import emit, say
    from rung.report.run_words import ending_lines
    from training.launch import last_words
    from training.record import read_run
    from workspace.errors import Refusal

    run = read_run(folder)
    if run.state == "cleared" or refused:
        raise Refusal(last_words(folder) or f"{run.id} did not start.", f"See runs/{run.id}/log.txt")
    if as_json:
        emit(run.model_dump(mode="json"))
    else:
        for text in ending_lines(run):
            say(text)
    if run.state in ("failed", "crashed"):
        raise typer.Exit(1)
