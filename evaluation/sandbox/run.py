"""One program in a process of its own: no network, limits on CPU, memory, files and time; a guard inside it.

Where Linux lets an ordinary user make namespaces (`unshare`), the process also has no network device and its own
process ids, so that all that it started dies with it. Elsewhere sockets and new processes are blocked by the guard
alone, and `isolation` says so. This holds back what a model writes by accident or by bad habit; it is no wall against
someone who studies it, and a program that reads its own frames may count as passed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workspace.errors import RungError

CHILD = Path(__file__).parent / "child.py"
DENIED = 97
UNSHARE = ("--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of CPU and of wall time, bytes of memory and of any file, open files."""

    cpu_seconds: int = 5
    wall_seconds: float = 10.0
    memory: int = 512 * 2**20
    file: int = 2**20
    open_files: int = 32

    def of_the_child(self) -> dict[str, int]:
        """For setrlimit."""
        return {
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_AS": self.memory,
            "RLIMIT_FSIZE": self.file,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True, slots=True)
class Ran:
    """Whether program and tests ran to their end; else `why`: error, time, limit, forbidden, or left early."""

    passed: bool
    why: str = ""


@cache
def isolation() -> str:
    """`namespaces` or `guard`: what keeps the network away on this machine."""
    tool = shutil.which("unshare")
    if tool is None or not sys.platform.startswith("linux"):
        return "guard"
    tried = subprocess.run([tool, *UNSHARE, "true"], capture_output=True, timeout=20, check=False)
    return "namespaces" if tried.returncode == 0 else "guard"


def run_code(code: str, tests: str, limits: Limits = Limits(), *, apart: str = "") -> Ran:
    """Run `code`, then `tests` in the same namespace, in an empty folder that is thrown away.

    `apart` is `namespaces` or `guard`; by default what this machine has. Raises
    RungError where the platform has no resource limits (Windows).
    """
    if os.name != "posix":
        raise RungError("Code is only run where processes can be limited: Linux or macOS.", where="metric = code")
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="rung-code-") as folder:
        reading, writing = os.pipe()
        try:
            job = {"code": code, "tests": tests, "token": token, "fd": writing, "limits": limits.of_the_child()}
            status = _start(json.dumps(job).encode(), folder, writing, limits.wall_seconds, apart or isolation())
            os.close(writing)
            writing = -1
            said = os.read(reading, 4096).decode(errors="replace")
        finally:
            os.close(reading)
            if writing >= 0:
                os.close(writing)
    return Ran(True) if said == token and status == 0 else Ran(False, _why(status))


def _start(job: bytes, folder: str, writing: int, seconds: float, apart: str) -> int | None:
    """The exit status, None where time ran out. Output goes nowhere; the environment is empty."""
    command = [sys.executable, "-I", "-B", "-c", CHILD.read_text(encoding="utf-8")]
    if apart == "namespaces":
        command = [str(shutil.which("unshare")), *UNSHARE, *command]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"},
        pass_fds=(writing,),
        start_new_session=True,
    )
    try:
        process.communicate(job, timeout=seconds)
        return process.returncode
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _why(status: int | None) -> str:
    if status is None:
        return "time"
    if status == DENIED:
        return "forbidden"
    if status < 0 or status > 128:
        return "limit"
    return "left early" if status == 0 else "error"
