"""The shell face. One file a command group; each imports what it needs inside the command, so `--help` stays quick."""

from __future__ import annotations

import importlib
import sys

import typer

from rung.cli.output import report_error
from workspace.errors import RungError

GROUPS = (
    "project",
    "advise",
    "data",
    "generate",
    "review",
    "serve",
    "baseline",
    "estimate",
    "train",
    "release",
    "why",
    "demo",
)
"""Modules of this package, in the order of `rung --help`; each has `register(app)`."""


def build_app() -> typer.Typer:
    """The whole command tree."""
    app = typer.Typer(
        name="rung",
        help="Should you fine-tune? Climb only as high as you need.",
        no_args_is_help=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for group in GROUPS:
        importlib.import_module(f"rung.cli.{group}").register(app)
    return app


def main() -> None:
    """Run the command; print a RungError as one plain message and leave with its exit code."""
    try:
        build_app()(prog_name="rung")
    except RungError as error:
        report_error(error, as_json="--json" in sys.argv[1:])
        sys.exit(error.exit_code)
