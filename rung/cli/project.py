"""Commands on the whole project: create it, show its status, check it, share it; agents, reasons and the demo."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rung import __version__
from rung.cli.data.data_commands import check_project_rows, review_so_far
from rung.cli.options import Json, check_html
from rung.cli.output import ProgressLine, note, say, show
from workspace.counted import counted
from workspace.extras import need
from workspace.folder import SETTINGS_FILE, find_project, links_out
from workspace.settings import load_settings, opened_project
from workspace.trust import demand_links, state_file

WITHOUT_TRUST = ("trust", "doctor", "init", "locate", "demo", "questions", "estimate")
"""Commands that look at a project of somebody else before it is trusted, or need none."""
OF_FILES = ("convert", "dedup", "leakage")
"""The same of `rung data`: they read and write only the files that they are given."""


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

    project = find_project()
    places = {
        "cache": str(user_cache_path("rung")),
        "trusted": str(state_file()),
        "project": str(project.root) if project else None,
    }
    show(as_json, places, (f"{name:<8} {place or 'none here'}" for name, place in places.items()))


def share(
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("share.html"),
    as_json: Json = False,
) -> None:
    """Write the verdict, the data and the advice to one page that opens anywhere; personal data is masked."""
    from curation.store import store_exists
    from rung.report.quality import Review
    from rung.report.share_page import write_share_page

    project, settings = opened_project()
    check_html(output, str(output))
    checkup, review = None, Review({}, {})
    if store_exists(project, settings):
        note("Checking the data ...")
        found, _ = check_project_rows()
        if found.stopped:
            raise KeyboardInterrupt
        if found.read or found.kept:
            checkup, review = found, review_so_far()
    shared = write_share_page(output, project, checkup, review)
    show(as_json, shared.as_json(), shared.lines())


def mcp(
    skill: Annotated[bool, typer.Option("--skill", help="Print SKILL.md, for an agent's folder of skills.")] = False,
    local_agent: Annotated[
        bool, typer.Option("--local-agent", help="The agent's model is on your own machines: rows may be shown to it.")
    ] = False,
) -> None:
    """Serve the `--json` commands to an agent by MCP. Training, spending, releases and decisions stay with you."""
    if skill:
        return say(_skill().read_text(encoding="utf-8").rstrip("\n"))
    need("mcp", "mcp")
    from rung.agents.agent_tools import serve

    if sys.stdin.isatty():
        note('An agent starts this command: {"mcpServers": {"rung": {"command": "rung", "args": ["mcp"]}}}')
    serve(local_agent=local_agent)


def _skill() -> Path:
    """Return the skill's file: inside the package of an installed wheel, else in `skills/` of the checkout."""
    import rung.agents

    folder = Path(rung.agents.__path__[0])
    installed = folder / "SKILL.md"
    return installed if installed.is_file() else folder.parents[1] / "skills" / "rung" / "SKILL.md"


def why(
    ref: Annotated[
        str, typer.Argument(help="L-001, W-001, W-001:17, R-001, E-001, v001, r-000123, a gate, a rule, an answer.")
    ],
    as_json: Json = False,
) -> None:
    """Trace anything back to each row's source, reviewer and guideline, or to a rule and its source."""
    from rung.why import answer

    project = find_project()
    if project is not None:
        load_settings(project.settings_file)
    found = answer(project, ref)
    show(as_json, found.document, found.lines)


def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Fewer rows and items: about 3 minutes.")] = False,
    into: Annotated[Path | None, typer.Option("--into", help="The project folder; default rung-demo.")] = None,
    as_json: Json = False,
) -> None:
    """Run a complete example, from questionnaire to release, in about 8 minutes. No preparation needed.

    It creates a normal project folder and runs the normal commands in it. An interrupted demo continues where it was.
    """
    from chat.local.embedded import embedded_model
    from rung.demo.walk import STEPS, Walk, document, ending

    folder = into or Path("rung-demo-fast" if fast else "rung-demo")
    need("train", "torch")
    need("demo", "simple_icd_10_cm")
    embedded_model(ProgressLine("Fetching and converting the embedded model"))
    walk = Walk(folder.resolve(), fast=fast, say=note if as_json else say, aside=as_json)
    walk.begin()
    walk.run(STEPS)
    show(as_json, document(walk), () if as_json else ending(walk))
