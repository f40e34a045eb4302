"""Commands of the group `data`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

from rung.cli.output import ProgressLine, emit, note, say

data_app = typer.Typer(
    name="data",
    help="Rows: import, convert, check, deduplicate, freeze.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

PARTS = ("ingest", "dedup", "generate")
"""Modules of this package that add their own commands to `data` (`register_data`)."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
RejectsOption = Annotated[Path | None, typer.Option(help="Where lines that cannot be read go, with their reasons.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    for name in PARTS:
        if importlib.util.find_spec(f"rung.cli.{name}") is not None:
            part: Any = importlib.import_module(f"rung.cli.{name}")
            if hasattr(part, "register_data"):
                part.register_data(data_app)
    app.add_typer(data_app)


@data_app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file, a folder, or - for standard input.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write, JSON Lines (.gz is packed).")],
    fmt: Annotated[str, typer.Option("--format", help="The format of IN; auto tells it by its keys.")] = "auto",
    to: Annotated[str, typer.Option(help="chat, sharegpt, alpaca, prompt_completion or preference.")] = "chat",
    rejects: RejectsOption = None,
    question: Annotated[str, typer.Option(help="The column of a table that holds the question.")] = "",
    answer: Annotated[str, typer.Option(help="The column of a table that holds the answer.")] = "",
    system: Annotated[str, typer.Option(help="The column of a table that holds the system message.")] = "",
    form: Annotated[str, typer.Option(help="auto, plain or conversational (prompt_completion, preference).")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Turn rows from one format into another. Nothing is lost: what the target cannot hold is told, never cut."""
    from curation.formats import Columns
    from curation.formats.convert import Order, convert

    order = Order(source, out, fmt, to, rejects, Columns(question, answer, system), form)
    done = convert(order, notice=note, progress=_bytes_line("Converting", source))
    if as_json:
        emit(done.as_json())
        return
    say(f"{done.read:,} read = {done.written:,} written + {done.rejected:,} rejected")
    if done.rejected:
        say(f"The rejected are in {rejects} with their reasons. First: {done.first_reject}")
    say(f"\nNext: rung data check {out}")


def _bytes_line(what: str, *paths: Path) -> ProgressLine | None:
    """A progress line for inputs that take long enough to want one."""
    large = 16 << 20
    return ProgressLine(what) if any(path.is_file() and path.stat().st_size > large for path in paths) else None
