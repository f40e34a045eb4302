"""`rung share`: the project's result, data and advice in one file."""

from pathlib import Path
from typing import Annotated

import typer

from rung.cli.data.data_commands import check_project_rows, review_so_far
from rung.cli.options import Json
from rung.cli.output import note, show
from workspace.errors import RungError
from workspace.files import check_page
from workspace.settings import opened_project


def register(app: typer.Typer) -> None:
    """Add `rung share`."""
    app.command("share")(share)


def share(
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("share.html"),
    as_json: Json = False,
) -> None:
    """Write the verdict, the data and the advice to one page that opens anywhere; personal data is masked."""
    from curation.store import store_exists
    from rung.report.quality import Review
    from rung.report.share_page import write_share_page

    project, settings = opened_project()
    check_page(output)
    if output.suffix not in (".html", ".htm"):
        raise RungError(
            f"{output}: the page is a .html file.", where=str(output), expected=".html", found=output.suffix
        )
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
