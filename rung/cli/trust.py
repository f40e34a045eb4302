"""`rung trust`: let this account run the metrics of this project."""

from __future__ import annotations

from typing import Annotated

import typer

from rung.cli.options import Json


def trust(
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the trust back.")] = False,
    as_json: Json = False,
) -> None:
    """Trust this project's own code (metrics/*.py): it runs with your rights. Asked once a folder and account."""
    from evaluation.metrics.own import own_metrics
    from rung.cli.output import emit, say
    from workspace.files import sha256_file
    from workspace.folder import require_project
    from workspace.trust import distrust, state_file
    from workspace.trust import trust as let

    project = require_project()
    (distrust if revoke else let)(project.root)
    files = {f"metrics/{path.name}": sha256_file(path) for path in own_metrics(project.root).values()}
    if as_json:
        return emit({"folder": str(project.root.resolve()), "trusted": not revoke, "files": files})
    say(f"{project.name} is {'no longer trusted' if revoke else 'trusted'} on this account ({state_file()}).")
    for name, digest in files.items():
        say(f"  {name}  sha256 {digest[:8]}")
    if not files:
        say("It has no metrics yet: metrics/NAME.py with def score(output, expected), then [evaluation] metric = NAME.")
    return None
