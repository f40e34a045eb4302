"""Options that mean the same in every command, and options that go together or do not."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from workspace.errors import RungError
from workspace.files import check_page

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
By = Annotated[str, typer.Option(help="Your name, for an override.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Unmask = Annotated[bool, typer.Option("--unmask", help="Show personal data and keys unmasked; recorded in the log.")]
BUDGET = Annotated[float | None, typer.Option(min=0, help="Spending limit for hosted models, in USD.")]
BATCH = Annotated[bool, typer.Option("--batch", help="Ask by the provider's batches: half the price, up to a day.")]
LABELS = Annotated[bool, typer.Option("--label-scoring", help="Also score every possible answer, for calibration.")]
OVERRIDE = Annotated[str, typer.Option(help="privacy: send rows despite the privacy answer; needs --by and --reason.")]

Rejects = Annotated[Path | None, typer.Option(help="File for lines that cannot be read, with reasons.")]
Question = Annotated[str, typer.Option(help="The column of a table, or key of a row, that holds the question.")]
Answer = Annotated[str, typer.Option(help="The column of a table, or key of a row, that holds the answer.")]
System = Annotated[str, typer.Option(help="The column of a table, or key of a row, that holds the system message.")]
Sheet = Annotated[str, typer.Option(help="The sheet of a workbook (default: the first).")]
"""Option of commands that read rows from files."""


def at_most_one(given: Mapping[str, object]) -> None:
    """Raise RungError if more than one of these (name and value) was given: one would be passed over in silence."""
    names = [name for name, value in given.items() if value]
    if len(names) > 1:
        raise RungError(f"{' and '.join(names)} cannot be combined.", "use one of them", where=names[0])


def goes_with(what: str, there: object, command: str, given: Mapping[str, object]) -> None:
    """Raise RungError for the first of `given` where `what` is not there; `command` is the one with it."""
    names = [name for name, value in given.items() if value]
    if names and not there:
        raise RungError(f"{names[0]} needs {what}.", f"{command} {names[0]} ...", where=names[0])


def check_html(path: Path | None, where: str) -> None:
    """Check a page's place, as `check_page`. Raises RungError if its name does not end in .html."""
    check_page(path)
    if path is not None and path.suffix not in (".html", ".htm"):
        raise RungError(f"{path}: the page is a .html file.", where=where, expected=".html", found=path.suffix)


def duration(option: str, text: str) -> int:
    """Return seconds of `3h`, `90m` or `45s`. Raises RungError if it is none of these."""
    size = {"h": 3600, "m": 60, "s": 1}.get(text[-1:])
    if size is None or not text[:-1].isdecimal() or not int(text[:-1]):
        raise RungError(f"{option} {text}: not a time like 3h, 90m or 45s.", f"{option} 3h", where=option)
    return int(text[:-1]) * size


def day(option: str, text: str) -> date:
    """Return the day that was given to this option, today for none. Raises RungError if it is no day."""
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError as error:
        expected = "a date like 2026-11-25"
        raise RungError(f'{option} "{text}" is not a date.', where=option, expected=expected, found=text) from error
