"""A command of this program in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def rung(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it in a project's folder, without colours."""
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-P", "-m", "rung", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, check=False)
