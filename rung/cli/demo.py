"""`rung demo`: the whole ladder on real data, in an ordinary project folder."""

from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import Json
from rung.cli.output import ProgressLine, note, say, show


def register(app: typer.Typer) -> None:
    """Add `demo`."""
    app.command("demo")(demo)


def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Fewer rows and items: about 3 minutes.")] = False,
    into: Annotated[Path | None, typer.Option("--into", help="The project folder; default rung-demo.")] = None,
    as_json: Json = False,
) -> None:
    """Run a complete example, from questionnaire to release, in about 8 minutes. No preparation needed.

    It creates a normal project folder and runs the normal commands in it. An interrupted demo continues where it was.
    """
    from chat.local.embedded import embedded_model
    from rung.demo.ending import document, ending
    from rung.demo.walk import STEPS, Walk
    from workspace.extras import need

    folder = into or Path("rung-demo-fast" if fast else "rung-demo")
    need("train", "torch")
    need("demo", "simple_icd_10_cm")
    embedded_model(ProgressLine("Fetching and converting the embedded model"))
    walk = Walk(folder.resolve(), fast=fast, say=note if as_json else say, aside=as_json)
    walk.begin()
    walk.run(STEPS)
    show(as_json, document(walk), () if as_json else ending(walk))
