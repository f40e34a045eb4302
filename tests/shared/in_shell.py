"""A command of this program in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def rung(
    *words: object,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    code: int | None = None,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run it in this folder, without colours, with these variables beside the environment's; `code` is what it must
    end with, if given.
    """
    environment = {**os.environ, "NO_COLOR": "1", **variables}
    command = [sys.executable, "-P", "-m", "rung", *map(str, words)]
    done = subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, text=True, env=environment, timeout=timeout, check=False
    )
    assert code in (None, done.returncode), done
    return done
