"""Commands of the group `review` that write rows to files, and take decisions from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import Json
from rung.cli.output import emit, new_folders, say
from rung.cli.review import Reviewer, desk_here, review_app
from workspace.words import counted


@review_app.command("export")
def export_command(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="A .jsonl or .csv file, or a folder.")],
    assign: Annotated[str, typer.Option("--assign", metavar="NAME", help="Who will decide these rows.")] = "",
    count: Annotated[int, typer.Option("--count", metavar="N", min=0, help="At most so many rows; 0: all.")] = 0,
    form: Annotated[str, typer.Option("--format", metavar="argilla", help="Argilla's dataset format, a folder.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Decided rows too, with their decisions.")] = False,
    as_json: Json = False,
) -> None:
    """Write waiting rows to a file that can be decided by mail or in git, or in Argilla, and imported again."""
    from curation.review.exchange import export_rows
    from workspace.errors import RungError, did_you_mean
    from workspace.files import check_outputs

    if form not in ("", "argilla"):
        raise RungError(f'--format "{form}" is not known.{did_you_mean(form, ("argilla",))}', "--format argilla")
    if everything and not form:
        raise RungError("--all goes with --format argilla.", "rung review export --format argilla --all -o FOLDER")
    check_outputs(out if not form else None)
    with desk_here() as desk, new_folders(out):
        written = export_rows(desk, out, assign=assign, count=count, form=form, everything=everything)
    if as_json:
        emit({"rows": written, "file": str(out)})
        return
    if form:
        say(f"{counted(written, 'row')} in {out}, as Argilla reads them. Decided there: rung review import {out}")
        return
    say(f"{counted(written, 'row')} in {out}. Fill in decision, text and reason, then: rung review import {out}")


@review_app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE|FOLDER")],
    reviewer: Reviewer = "",
    user: Annotated[
        list[str] | None, typer.Option("--user", metavar="ID=NAME", help="Who an Argilla user is; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take in decisions from a file, or from a folder in Argilla's format. Conflicts are shown, and change nothing."""
    from curation.review.exchange import import_decisions
    from workspace.errors import RungError

    for each in user or []:
        if "=" not in each:
            raise RungError(f'--user "{each}": expected ID=NAME.', found=each)
    with desk_here() as desk:
        users = dict(each.split("=", 1) for each in user or [])
        found = import_decisions(desk, file, reviewer=reviewer, users=users)
    if as_json:
        emit({"decided": found.decided, "open": found.open, "conflicts": list(found.conflicts)})
    else:
        say(f"{counted(found.decided, 'decision')} taken in, {counted(found.open, 'row')} left open.")
        for conflict in found.conflicts:
            say(f"! {conflict}")
    if found.conflicts:
        raise typer.Exit(1)
