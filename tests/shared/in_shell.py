"""A command of this program in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def rung(
    *words: object, cwd: Path | None = None, stdin: str | None = None, timeout: float | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run it in this folder, without colours, with these variables beside the environment's."""
    environment = {**os.environ, "NO_COLOR": "1", **variables}
    command = [sys.executable, "-P", "-m", "rung", *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, text=True, env=environment, timeout=timeout, check=False
    )
