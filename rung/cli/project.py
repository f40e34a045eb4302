"""Commands on the project folder: create it, show its status, check it."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rung import __version__
from rung.cli.options import Json
from rung.cli.output import say, show
from workspace.counted import counted
from workspace.folder import SETTINGS_FILE, find_project, links_out
from workspace.settings import opened_project

WITHOUT_TRUST = ("trust", "doctor", "init", "locate", "demo", "questions", "estimate")
"""Commands that look at a project of somebody else before it is trusted, or need none."""
OF_FILES = ("convert", "dedup", "leakage")
"""The same of `rung data`: they read and write only the files that they are given."""


def register(app: typer.Typer) -> None:
    """Add `rung` without a command and the commands on the folder."""
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

    Without a command: open the screens on this folder; without a terminal, print `rung status`.
    """
    if version:
        say(f"rung {__version__}")
        raise typer.Exit(0)
    named = context.invoked_subcommand
    free = named in WITHOUT_TRUST or (named == "data" and {*sys.argv[2:3]} & {*OF_FILES})
    if not free and {"-h", "--help"}.isdisjoint(sys.argv) and (project := find_project()) and links_out(project.root):
        from workspace.trust import demand_links

        demand_links(project.root)
    if context.invoked_subcommand is not None:
        return
    if sys.stdin.isatty() and sys.stdout.isatty():
        from rung.tui import run_program

        raise typer.Exit(run_program(Path.cwd()))
    status()


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to create; empty or new.")] = Path(),
    as_json: Json = False,
) -> None:
    """Start a project: write rung.toml, guideline.md and prompts/ for you to edit."""
    from rung.start import start_project
    from rung.status.stages import next_step

    made = start_project(folder)
    there = "" if made.project.root.resolve() == Path.cwd().resolve() else f"cd {shlex.quote(str(folder))} && "
    lines = [
        f"Rung project created in {made.project.root}.",
        *(f"  + {name}" for name in made.written),
        *(f"    {name} exists and is unchanged" for name in made.kept),
        "",
        f"Next: {there}{next_step(made.project)}",
    ]
    show(as_json, {"project": str(made.project.root), "written": made.written, "kept": made.kept}, lines)


def status(as_json: Json = False) -> None:
    """Show every stage with its state and reason, the measured ladder, and the next command."""
    from rung.status.stages import read_status
    from rung.text.status_text import status_lines

    project, _ = opened_project()
    found = read_status(project)
    show(as_json, found.as_json(), status_lines(found))


def doctor(as_json: Json = False) -> None:
    """Check that everything Rung needs is installed and intact: extras, model, folder, store, artefacts.

    Exit 1 where something is to fix, 2 where rung.toml is wrong.
    """
    from rung.doctor import examine

    findings = examine(Path.cwd())
    bad = sum(finding.ok is False for finding in findings)
    last = "No problems found." if not bad else f"{counted(bad, 'problem')} to fix, see ✗ above."
    lines = [*(finding.line() for finding in findings), "", last]
    show(as_json, {"ok": not bad, "checks": [finding.as_json() for finding in findings]}, lines)
    if bad:
        wrong_settings = any(finding.name == SETTINGS_FILE and finding.ok is False for finding in findings)
        raise typer.Exit(2 if wrong_settings else 1)


def locate(as_json: Json = False) -> None:
    """Show where Rung stores data on this machine: cache (models, tools), trusted folders, this project.

    Rung writes nowhere else outside project folders. Uninstalling Rung does not remove these.
    """
    from platformdirs import user_cache_path

    from workspace.trust import state_file

    project = find_project()
    places = {
        "cache": str(user_cache_path("rung")),
        "trusted": str(state_file()),
        "project": str(project.root) if project else None,
    }
    show(as_json, places, (f"{name:<8} {place or 'none here'}" for name, place in places.items()))
