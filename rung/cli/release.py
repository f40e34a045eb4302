"""Commands of the group `release`: release a run or the best prompt, and verify a release elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.release.verify import Checked
    from workspace.folder import Project
    from workspace.settings import Settings


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("release")(release)


def release(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN] | verify DIR", help="A run (R-001), or `verify` and a folder.")
    ] = None,
    to: Annotated[str, typer.Option(help="Forms: prompt,adapter,merged,gguf,gptq,awq,ollama,vllm,tgi.")] = "",
    by: Annotated[str, typer.Option(help="Who releases, or decides a judgement.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Release a tuned model that earned it, or the best prompt; `rung release verify DIR` checks a release."""
    from workspace.errors import RungError

    words = what or []
    if words and words[0] == "verify":
        if len(words) != 2:
            raise RungError("Name the release's folder.", "rung release verify DIR")
        return _verify(words[1], as_json)
    if len(words) > 1:
        raise RungError(f"One run at a time: {' '.join(words)}.", "rung release RUN --to adapter")
    _release(words[0] if words else None, to, by, reason, as_json)


def _release(run: str | None, to: str, by: str, reason: str, as_json: bool) -> None:
    from rung.cli.output import note
    from training.record import find_run
    from training.release.make import release_prompt, release_run, wanted_forms
    from workspace.errors import RungError
    from workspace.folder import require_project
    from workspace.settings import load_settings

    if not to:
        raise RungError("In which form? --to prompt, or of a run: --to adapter,merged", "rung release --to prompt")
    forms = wanted_forms(to)
    project = require_project()
    settings = load_settings(project.settings_file)
    if forms == ["prompt"]:
        folder = release_prompt(project, settings, by=by, reason=reason, told=note)
    else:
        folder = release_run(project, settings, find_run(project, run), forms, by=by, reason=reason, told=note)
    _say(project, settings, folder, as_json)


def _say(project: Project, settings: Settings, folder: Path, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from training.release.record import RELEASE, Release
    from workspace.artefact import read_artefact

    made = read_artefact(folder / RELEASE, Release)
    if as_json:
        return emit({**made.model_dump(mode="json"), "folder": str(folder)})
    for form in made.forms:
        say(f"✓ {form.form:<8} {form.bytes / 1e6:>10,.1f} MB   {form.against}")
    names = ", ".join(form.form for form in made.forms)
    say(f"Released {made.id}: {names}. Card: {project.relative(folder / 'README.md')}")
    say(f"Another machine checks it with: rung release verify {project.relative(folder)}")


def _verify(name: str, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from training.release.verify import verify

    checked = verify(_folder(name))
    if as_json:
        emit({"release": checked.release.id, "files": checked.files, "links": checked.links, "faults": checked.faults})
    else:
        for line in _lines(checked):
            say(line)
    if checked.faults:
        raise typer.Exit(1)


def _folder(name: str) -> Path:
    """A folder as named, or `L-001` of the project around."""
    from workspace.folder import find_project

    project = find_project()
    inside = project.releases / name if project else Path(name)
    return inside if not Path(name).is_dir() and inside.is_dir() else Path(name)


def _lines(checked: Checked) -> list[str]:
    made = checked.release
    if not checked.faults:
        return [f"✓ {made.id}: {checked.files} files and {checked.links} links of the chain are what was released."]
    shown = [f"✗ {fault}" for fault in checked.faults[:20]]
    return [f"{made.id} is not what was released: {len(checked.faults)} faults.", *shown]
