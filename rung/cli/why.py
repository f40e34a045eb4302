"""`rung why REF`: the chain behind a row, a score, a gate, a refusal; also a rule, an answer."""

from __future__ import annotations

from typing import Annotated

import typer

from rung.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add `why`."""
    app.command("why")(why)


def why(
    ref: Annotated[
        str, typer.Argument(help="L-001, W-001, W-001:17, R-001, E-001, v001, r-000123, a gate, a rule, an answer.")
    ],
    as_json: Json = False,
) -> None:
    """The chain behind a thing, down to each row's source, reviewer and guideline, or to the rule and its source."""
    from rung.cli.output import emit, say
    from rung.why import answer
    from workspace.folder import find_project

    found = answer(find_project(), ref)
    if as_json:
        emit(found.document)
        return
    for line in found.lines:
        say(line)
