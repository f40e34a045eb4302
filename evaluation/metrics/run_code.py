"""One program in a process of its own that sees no file but Python's, no network and no other process.

Made by bubblewrap (`bwrap`) from Linux namespaces: an empty file system with the interpreter bound read-only into it,
one small folder in memory, no network device, process ids of its own. A filter of system calls refuses new processes.
Without bubblewrap nothing runs.

Program and tests share one interpreter, so a program that reads its own frames may count as passed: the walls are
between the program and the machine, not between the program and its tests.
"""

import contextlib
import errno
import json
import os
import platform
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workspace.errors import RungError

CHILD = Path(__file__).with_name("sandbox_child.py")
HOME = "/box"
INSTALL = "apt install bubblewrap   (or dnf, pacman, zypper; version 0.7 or newer)"
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/nix/store", "/gnu/store")
"""Places of the system's programs and libraries, if they exist."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Seconds of CPU and of wall time, bytes of memory, of any file and of all files together, open files."""

    cpu_seconds: int = 5
    wall_seconds: float = 10.0
    memory: int = 512 * 2**20
    file: int = 2**20
    folder: int = 16 * 2**20
    open_files: int = 32

    def of_the_child(self) -> dict[str, int]:
        """Return the limits for setrlimit."""
        return {
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_AS": self.memory,
            "RLIMIT_FSIZE": self.file,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """Result of a program with its tests: passed, else `why`: error, time, limit, or left early."""

    passed: bool
    why: str = ""


def require_sandbox() -> None:
    """Raise RungError if this machine cannot run code apart, with what to install."""
    if fault := _fault():
        raise RungError(f'metric = "code" runs code of a model in a sandbox only: {fault}', INSTALL, where="metric")


@cache
def _fault() -> str:
    """Return the reason why no code can run in a sandbox here; empty if it can."""
    if not sys.platform.startswith("linux") or system_call_filter() is None:
        return "that needs Linux on x86-64 or arm64."
    if shutil.which("bwrap") is None:
        return "bubblewrap (bwrap) is not installed."
    with _filter() as descriptor:
        command = [*_walls(descriptor, SandboxLimits()), _python(), "-I", "-c", ""]
        tried = subprocess.run(
            command, capture_output=True, text=True, pass_fds=(descriptor,), env={}, timeout=60, check=False
        )
    said = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"bubblewrap cannot be used here: {said[:200]}." if tried.returncode else ""


def run_code(code: str, tests: str, limits: SandboxLimits = SandboxLimits()) -> SandboxResult:
    """Run `code`, then `tests`, in an empty folder that is deleted. Raises RungError if this machine has no sandbox."""
    require_sandbox()
    token = secrets.token_hex(16)
    reading, writing = os.pipe()
    try:
        job = {"code": code, "tests": tests, "token": token, "fd": writing, "limits": limits.of_the_child()}
        status = _start(json.dumps(job).encode(), writing, limits)
        os.close(writing)
        writing = -1
        said = os.read(reading, 4096).decode(errors="replace")
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    return SandboxResult(True) if said == token and status == 0 else SandboxResult(False, _why(status))


def _python() -> str:
    """Return the interpreter in the folders that the sandbox sees. `sys.executable` may be a link from elsewhere."""
    folder, (major, minor) = Path(sys.prefix) / "bin", sys.version_info[:2]
    names = (f"python{major}.{minor}", f"python{major}", "python")
    return next((str(folder / name) for name in names if (folder / name).exists()), sys.executable)


@contextlib.contextmanager
def _filter() -> Iterator[int]:
    """Open a descriptor from which bwrap reads the filter of system calls."""
    with tempfile.TemporaryFile() as file:
        file.write(system_call_filter() or b"")
        file.seek(0)
        yield file.fileno()


def _walls(descriptor: int, limits: SandboxLimits) -> list[str]:
    """Return the command of bwrap, up to the program that it starts."""
    command = [shutil.which("bwrap") or "bwrap", "--unshare-user", "--unshare-all", "--die-with-parent"]
    command += ["--new-session", "--uid", "65534", "--gid", "65534", "--hostname", "box", "--cap-drop", "ALL"]
    for path in dict.fromkeys((*SYSTEM, sys.base_prefix, os.path.realpath(sys.base_prefix), sys.prefix)):
        command += ["--ro-bind-try", path, path] if path != "/" else []
    for device in ("/dev/null", "/dev/urandom"):
        command += ["--dev-bind", device, device]
    command += ["--size", str(limits.folder), "--tmpfs", HOME, "--chdir", HOME, "--remount-ro", "/"]
    return [*command, "--seccomp", str(descriptor)]


def _start(job: bytes, writing: int, limits: SandboxLimits) -> int | None:
    """Return the exit status, None if time ran out. Output goes nowhere; the environment is empty."""
    with _filter() as descriptor:
        process = subprocess.Popen(
            [*_walls(descriptor, limits), _python(), "-I", "-B", "-c", CHILD.read_text(encoding="utf-8")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "HOME": HOME, "TMPDIR": HOME, "LANG": "C.UTF-8"},
            pass_fds=(writing, descriptor),
            start_new_session=True,
        )
    try:
        process.communicate(job, timeout=limits.wall_seconds)
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
    if status < 0 or status > 128:
        return "limit"
    return "left early" if status == 0 else "error"


ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Operations of a classic BPF program (linux/bpf_common.h)."""
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data` (linux/seccomp.h); of the argument the lower half, as on little-endian machines."""
CLONE_THREAD = 0x00010000
CLONE3 = 435
X32 = 0x40000000
"""System calls of x86-64's second ABI have this bit: their numbers are not in the table."""
ARCHITECTURES: dict[str, tuple[int, int, tuple[int, ...]]] = {
    # fork, vfork, ptrace, add_key, request_key, keyctl, unshare, perf_event_open, setns, bpf, userfaultfd, io_uring
    "x86_64": (0xC000003E, 56, (57, 58, 101, 248, 249, 250, 272, 298, 308, 321, 323, 425)),
    # ptrace, add_key, request_key, keyctl, unshare, perf_event_open, setns, bpf, userfaultfd, io_uring
    "aarch64": (0xC00000B7, 220, (117, 217, 218, 219, 97, 241, 268, 280, 282, 425)),
}
"""Machine -> the kernel's name for it, its number of `clone`, and the numbers of the calls that fail with EPERM."""


def system_call_filter() -> bytes | None:
    """Return the compiled filter for this machine, as `bwrap --seccomp` reads it; None if it has no table."""
    known = ARCHITECTURES.get(platform.machine())
    if known is None:
        return None
    architecture, clone, denied = known
    no = ERROR | errno.EPERM
    steps = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    steps += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    for number in denied:
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, no)]
    steps += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, ERROR | errno.ENOSYS)]  # the C library then takes clone
    steps += [(EQUAL, 0, 4, clone), (LOAD, 0, 0, FIRST_ARGUMENT), (ANY_BIT, 0, 1, CLONE_THREAD)]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, no), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
