"""A command of this program in this process, as the installed script runs it."""

import contextlib
import io
import sys
from pathlib import Path
from typing import NamedTuple

from rung.cli import main


class Done(NamedTuple):
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def rung(*words: object, cwd: Path | str = ".", code: int | None = None) -> Done:
    """Run it in this folder; `code` is what it must end with, if given."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv = ["rung", *map(str, words)]
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.argv = before
    done = Done(status, out.getvalue(), err.getvalue())
    assert code in (None, status), done
    return done
