"""The shell face. One file a command group; each imports what it needs inside the command, so `--help` stays quick."""

import contextlib
import errno
import functools
import importlib
import os
import sys
from pathlib import Path
from typing import cast

import typer
from typer.core import TyperGroup

from rung.cli.output import complain, manner, never_fail_on_text, report_error, tell_trace
from rung.cli.tree import ReaderGone, dress
from workspace.errors import RungError

COMMANDS = (
    ("project", "init status doctor locate"),
    ("advise", "questions advise rules"),
    ("data.data_commands", "data"),
    *((f"data.{more}", "") for more in ("ingest", "generate")),
    ("review", "review"),
    ("measure_commands", "baseline"),
    ("evaluate", "evaluate"),
    ("measure_commands", "verdict"),
    ("raters", "judge"),
    ("measure_commands", "trust"),
    ("estimate", "estimate"),
    ("plan_commands", "plan"),
    ("train", "train runs"),
    ("remote", "remote"),
    ("release", "release"),
    ("project", "share"),
    ("watch", "watch"),
    ("project", "mcp why demo"),
)
"""Modules of this package with their commands, in the order of `rung --help`; a group is `NAME_app` there.

A module without names adds to the group before it.
"""

FAULT = 70
"""Exit code of a fault of the program itself, so that it is never taken for a gate that says no (1)."""

WAYS = {
    errno.ENOSPC: "free some space, then run the command again",
    errno.EDQUOT: "free some space, then run the command again",
    errno.EACCES: "check its owner and permissions with ls -l",
    errno.EPERM: "check its owner and permissions with ls -l",
    errno.EROFS: "choose another folder, or mount that one writable",
}
"""Remedies for machine faults, by error number."""


def build_app() -> typer.Typer:
    """Return the whole command tree."""
    app = typer.Typer(
        name="rung",
        help="Should you fine-tune? Climb only as high as you need.",
        no_args_is_help=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(importlib.import_module("rung.cli.project").start)
    for module, names in COMMANDS:
        here = vars(importlib.import_module(f"rung.cli.{module}"))
        for name in names.split():
            if (group := here.get(f"{name}_app")) is None:
                app.command(name)(here[name])
            else:
                app.add_typer(group, name=name)
    dress(app)
    return app


@functools.cache
def command() -> TyperGroup:
    """Return the command tree, built once a process."""
    return cast(TyperGroup, typer.main.get_command(build_app()))


def main() -> None:
    """Run the command; print any error as one plain message (a document with `--json`); leave with its exit code."""
    never_fail_on_text()
    manner.quiet = manner.verbose = manner.rows_on_stdout = False  # one process may run a second command
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
        complain("This is a bug in Rung, not in your data. No partial result was written.")
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
        result = command()(prog_name="rung", standalone_mode=False)
    except typer.TyperException as error:
        raise _usage_error(error) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        if not _here():
            said = "The current folder no longer exists: it was moved or removed."
            raise RungError(said, "cd to an existing folder, then run the command again") from error
        place = str(error.filename) if error.filename is not None else ""
        way = WAYS.get(error.errno or 0, "run the command with --verbose to see where it happened")
        raise RungError(f"{place or 'The output'}: {error.strerror or error}.", way, where=place) from error
    return result if isinstance(result, int) else 0


def _here() -> bool:
    """True if this process's folder still exists."""
    try:
        return Path.cwd().is_dir()
    except OSError:
        return False


def _usage_error(error: typer.TyperException) -> RungError:
    """Bad usage in the form of every other error: the fault, and the command that shows the right usage."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "rung"
    param = getattr(error, "param", None)
    spelt = [name for name in getattr(param, "opts", ()) if name.startswith("--")]
    name = getattr(error, "option_name", None) or next(iter(spelt), getattr(param, "name", None) or "")
    return RungError(error.format_message(), f"{path} --help", where=name)
