"""Commands that keep a project safe: `backup`, `restore`, and the repair of `doctor`."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from rung.cli.options import Json
from workspace.words import counted


def register(app: typer.Typer) -> None:
    """Add `backup` and `restore`."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    file: Annotated[Path | None, typer.Argument(help="FILE.tar or FILE.tar.gz; default: beside the project.")] = None,
    as_json: Json = False,
) -> None:
    """All of the project in one file: rows and decisions as of one moment, and every artefact, with hashes."""
    from rung.cli.output import emit, say
    from rung.keeping import back_up
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    made = back_up(project, load_settings(project.settings_file), file or _default(project.root))
    if as_json:
        left = {"outside": made.outside, "left_out": made.left_out}
        emit({"file": str(made.file), "files": made.files, "bytes": made.bytes, **left})
        return
    say(f"In {made.file}: {counted(made.files, 'file')}, {made.bytes / 1e6:,.1f} MB.")
    for thing in made.outside:
        say(f"! Not in it: {thing}.")
    for thing in made.left_out:
        say(f"! Left out: {thing}.")
    say(f"\nTo bring it back: rung restore {shlex.quote(str(made.file))} FOLDER")


def restore(
    file: Annotated[Path, typer.Argument(help="What rung backup wrote.")],
    folder: Annotated[Path, typer.Argument(help="A folder that is empty, or not there yet.")],
    as_json: Json = False,
) -> None:
    """Bring a backup back into a new folder, after every file's hash was found right."""
    from rung.cli.output import emit, say
    from rung.keeping import restore as bring_back

    count = bring_back(file, folder)
    if as_json:
        emit({"folder": str(folder), "files": count})
        return
    say(f"In {folder}: {counted(count, 'file')}, as backed up.")
    say(f"\nNext: cd {shlex.quote(str(folder))} && rung status")


def repair(*, yes: bool) -> None:
    """Say what would be moved aside; after a yes back the project up, then move it."""
    from rung.cli.output import say
    from rung.repair import repairs
    from workspace.folder import require_project

    found = repairs(require_project())
    if not found:
        say("\nNothing is half: there is nothing to repair.")
        return
    say("\nTo repair:")
    for one in found:
        say(f"  {one.line(require_project())}")
    if not yes and not _confirmed():
        say("Nothing was changed.")
        raise typer.Exit(1)
    done = repaired()
    say(f"{done['moved']:,} moved to {done['aside']}; nothing was deleted.")


def _confirmed() -> bool:
    """The answer on the terminal, or one that is piped in. Raises RungError where there is neither."""
    from workspace.errors import RungError

    try:
        return typer.confirm("Back the project up and move these aside?", default=False, err=True)
    except typer.Abort as error:
        if sys.stdin.isatty() or isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise RungError("Nothing was changed: there is no terminal to ask on.", "rung doctor --repair --yes") from None


def repaired() -> dict[str, Any]:
    """Back the project up and move aside what is half: `{moved, aside, backup}`, both places null where none is."""
    from rung.cli.output import note
    from rung.keeping import back_up
    from rung.repair import mend, repairs
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    found = repairs(project)
    if not found:
        return {"moved": 0, "aside": None, "backup": None}
    made = back_up(project, load_settings(project.settings_file), _default(project.root))
    note(f"Backed up: {made.file}")
    for thing in made.left_out:
        note(f"! Left out of it: {thing}.")
    room, moved = mend(project, found)
    return {"moved": moved, "aside": str(room.relative_to(project.root)), "backup": str(made.file)}


def _default(root: Path) -> Path:
    stamp = datetime.now().strftime("%Y-%m-%dT%H%M%S")
    return root.resolve().parent / f"{root.resolve().name}-{stamp}.tar"
