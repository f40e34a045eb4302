"""The shell face. One file a command group; each imports what it needs inside the command, so `--help` stays quick."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from pathlib import Path

import typer

from rung.cli.output import complain, never_fail_on_text, report_error, tell_trace
from rung.cli.tree import ReaderGone, dress
from workspace.errors import RungError

GROUPS = (
    "project",
    "keeping",
    "advise",
    "data",
    "review",
    "baseline",
    "estimate",
    "plan",
    "train",
    "release",
    "watch",
    "why",
    "demo",
)
"""Modules of this package, in the order of `rung --help`; each has `register(app)`."""


FAULT = 70
"""Exit code of a fault of the program itself, so that it is never taken for a gate that says no (1)."""

WAYS = {
    errno.ENOSPC: "make room, then the same command again",
    errno.EDQUOT: "make room, then the same command again",
    errno.EACCES: "ls -l says whose it is; it must be yours to read or write",
    errno.EPERM: "ls -l says whose it is; it must be yours to read or write",
    errno.EROFS: "name another place, or mount that one to be written to",
}
"""What a person can do about a fault of the machine, by its number."""


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
    dress(app)
    return app


def main() -> None:
    """Run the command; print any error as one plain message (a document with `--json`); leave with its exit code."""
    never_fail_on_text()
    try:
        code = _told()
    except (BrokenPipeError, ReaderGone, KeyboardInterrupt) as error:
        code = 130 if isinstance(error, KeyboardInterrupt) else 0  # the reader of our pipe has gone: nothing to tell
    sys.exit(_flushed(code))


def _told() -> int:
    """Run the command and tell what went wrong; its exit code."""
    try:
        return _run()
    except RungError as error:
        with contextlib.suppress(OSError):  # a full disk below stdout or stderr: the exit code is left to say it
            report_error(error, as_json="--json" in sys.argv[1:])
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("Interrupted.")
        return 130
    except (BrokenPipeError, ReaderGone):
        raise
    except Exception as error:
        tell_trace(error)
        complain("This is a fault of Rung itself, not of your data. Nothing half-written was left as a result.")
        return FAULT


def _flushed(code: int) -> int:
    """Write out what still waits, as the interpreter would at its end; the exit code, 2 where the disk is full."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            with contextlib.suppress(OSError, ValueError):  # what waits goes nowhere, and is not tried again
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if not isinstance(error, BrokenPipeError):
                code = code or RungError.exit_code
                with contextlib.suppress(OSError):
                    complain(f"The result could not be written: {error.strerror or error}.")
    return code


def _run() -> int:
    try:
        result = build_app()(prog_name="rung", standalone_mode=False)
    except typer.TyperException as error:
        raise _usage_error(error) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        if not _here():
            said = "The folder that you stand in is gone: moved or removed."
            raise RungError(said, "cd to where it is now, then the same command again") from error
        place = str(error.filename) if error.filename is not None else ""
        way = WAYS.get(error.errno or 0, "the same command with --verbose says where it arose")
        raise RungError(f"{place or 'The output'}: {error.strerror or error}.", way, where=place) from error
    return result if isinstance(result, int) else 0


def _here() -> bool:
    """Whether this process's folder still exists."""
    try:
        return Path.cwd().is_dir()
    except OSError:
        return False


def _usage_error(error: typer.TyperException) -> RungError:
    """Bad usage in the form of every other error: the fault, and the command that shows the right usage."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "rung"
    name = getattr(error, "option_name", None) or getattr(getattr(error, "param", None), "name", None) or ""
    return RungError(error.format_message(), f"{path} --help", where=name)
