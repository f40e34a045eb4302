"""Commands on the project folder itself: start one, see where it stands, see whether all is well."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import Json, goes_with
from workspace.words import counted


def register(app: typer.Typer) -> None:
    """Add `rung` without a command, `init`, `status`, `doctor` and `locate`."""
    app.callback(invoke_without_command=True)(start)
    app.command("init")(init)
    app.command("status")(status)
    app.command("doctor")(doctor)
    app.command("locate")(locate)


def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Should you fine-tune? Climb only as high as you need.

    Without a command: the program on this folder; without a terminal, what `rung status` prints.
    """
    from rung.cli.output import say

    if version:
        from rung import __version__

        say(f"rung {__version__}")
        raise typer.Exit(0)
    if context.invoked_subcommand is not None:
        return
    if sys.stdin.isatty() and sys.stdout.isatty():
        from rung.tui import run_program

        raise typer.Exit(run_program(Path.cwd()))
    status()


def init(
    folder: Annotated[Path, typer.Argument(help="Where: an empty or a new folder.")] = Path(),
    as_json: Json = False,
) -> None:
    """Start a project: rung.toml, guideline.md and prompts/ that you then edit."""
    from rung.cli.output import emit, say
    from rung.start import start_project

    made = start_project(folder)
    if as_json:
        emit({"project": str(made.project.root), "written": made.written, "kept": made.kept})
        return
    say(f"A Rung project stands in {made.project.root}.")
    for name in made.written:
        say(f"  + {name}")
    for name in made.kept:
        say(f"    {name} was there and stays as it is")
    say()
    there = "" if made.project.root.resolve() == Path.cwd().resolve() else f"cd {shlex.quote(str(folder))} && "
    say(f"Next: {there}rung advise")


def status(as_json: Json = False) -> None:
    """Where the project stands: every stage with its state and reason, the measured ladder, what is next."""
    from rung.cli.output import emit, say
    from rung.status import read_status
    from rung.status.words import status_lines
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    load_settings(project.settings_file)
    found = read_status(project)
    if as_json:
        emit(found.as_json())
        return
    for line in status_lines(found):
        say(line)


def doctor(
    as_json: Json = False,
    repair: Annotated[bool, typer.Option("--repair", help="Move aside what a killed command left half.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --repair: do not ask.")] = False,
) -> None:
    """Whether everything that Rung needs is here and whole: extras, model, folder, store, artefacts."""
    from rung.cli.output import emit, say
    from rung.doctor import examine

    goes_with("--repair", repair, "rung doctor --repair", {"--yes": yes})
    findings = examine(Path.cwd())
    bad = sum(finding.ok is False for finding in findings)
    if as_json:
        from rung.cli.keeping import repaired

        more = {"repaired": repaired()} if repair else {}
        emit({"ok": not bad, "checks": [f.as_json() for f in findings], **more})
    else:
        for finding in findings:
            say(finding.line())
        say()
        say("All is well." if not bad else f"{counted(bad, 'thing')} to put right, see ✗ above.")
        if repair:
            from rung.cli.keeping import repair as put_right

            put_right(yes=yes)
    if bad:
        raise typer.Exit(1)


def locate(as_json: Json = False) -> None:
    """Where Rung keeps things on this machine: cache (models, tools), list of trusted folders, and this project.

    Nothing else is written outside project folders; these stay when the program is removed.
    """
    from platformdirs import user_cache_path

    from rung.cli.output import emit, say
    from workspace.folder import find_project
    from workspace.trust import state_file

    project = find_project()
    places = {
        "cache": str(user_cache_path("rung")),
        "trusted": str(state_file()),
        "project": str(project.root) if project else None,
    }
    if as_json:
        emit(places)
        return
    for name, place in places.items():
        say(f"{name:<8} {place or 'none here'}")
