"""`rung why REF`: the chain behind a row, a score, a gate, a refusal; also a rule, an answer."""

from typing import Annotated

import typer

from rung.cli.options import Json
from rung.cli.output import show
from workspace.folder import find_project
from workspace.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add `why`."""
    app.command("why")(why)


def why(
    ref: Annotated[
        str, typer.Argument(help="L-001, W-001, W-001:17, R-001, E-001, v001, r-000123, a gate, a rule, an answer.")
    ],
    as_json: Json = False,
) -> None:
    """Trace anything back to each row's source, reviewer and guideline, or to a rule and its source."""
    from rung.why.explain import answer

    project = find_project()
    if project is not None:
        load_settings(project.settings_file)
    found = answer(project, ref)
    show(as_json, found.document, found.lines)
