"""Processes of this program that start in hundredths of a second: forks of one that has the modules imported.

`stand_in` puts a small program in the place of `sys.executable`. For `-m rung` and the product's other programs it asks
a waiting process for a fork; the fork takes over the caller's folder, environment, streams and open files, and runs the
module as Python does; `-X fork -c CODE`, which Python itself takes for `-c CODE`, asks the same for code of a test.
Anything else (another module, an option of Python, a terminal, another limit, another account, a
variable that counts as Python starts) becomes the real interpreter. What a fork had to import, the waiting process
imports after it: the next one finds it there. A test marked `cold` starts real interpreters.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import importlib
import io
import itertools
import logging
import marshal
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

REAL = sys.executable
ROOT = Path(__file__).parents[2]
PROGRAMS = ("rung", "rung.tui.worker_process", "training.run", "training.trials")
"""Without `chat.local.trial`: it may use 1 GiB of addresses, and a fork of one that imported torch has more of them."""
COUNTS = ("PYTHON", "LC_", "LANG", "LD_", "HF_", "TRANSFORMERS_", "XDG_CACHE", "TEXTUAL", "FORCE_COLOR", "PY_COLORS",
          "GITHUB_ACTIONS", "TERMINAL_WIDTH", "RANK")  # fmt: skip
"""How the variables begin that are read as a process starts or as a module is imported, or that ask for a parent."""
HEEDED = ("PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHON_KEYRING_BACKEND")
"""Those of them that a fork heeds, or that are read later."""
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0"}
"""Variables that the program sets before it imports models: the waiting process has them from the start."""

CLIENT = """#!{real} -IS
import _socket, array, marshal, os, signal, sys
def real(): os.execv({real!r}, [{real!r}, *sys.argv[1:]])
words = sys.argv[1:]
safe = words[:1] == ["-P"]
words = words[safe:]
asked = words[:2] == ["-X", "fork"]
words = words[2 * asked:]
if not (words[:1] == ["-m"] and words[1:2] and words[1] in {programs!r} or asked and words[:1] == ["-c"]): real()
files = []
for name in os.listdir("/proc/self/fd"):
    try: os.fstat(int(name)); files.append(int(name))
    except OSError: pass
if not {{0, 1, 2}} <= set(files) or any(map(os.isatty, (0, 1, 2))): real()
try:
    folder = os.getcwd()
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    server.connect({address!r})
except OSError: real()
fork, early = 0, []
def forward(number, frame):
    if fork: os.kill(fork, number)
    else: early.append(number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
    if signal.getsignal(number) != signal.SIG_IGN: signal.signal(number, forward)
mask = os.umask(0); os.umask(mask)
limits = open("/proc/self/limits").read()
spaces = [os.readlink("/proc/self/ns/" + n) for n in ("mnt", "net", "pid", "user")]
rights = [line for line in open("/proc/self/status") if line.startswith(("Uid", "Gid", "CapEff"))]
given = dict(python=sys.argv[0], folder=folder, safe=safe, code=asked, words=words[1:], files=files, mask=mask,
             state=[limits, spaces, rights], env=dict(os.environ))
data = marshal.dumps(given)
server.sendmsg([len(data).to_bytes(4, "little")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", files))])
server.sendall(data)
answer = int.from_bytes(server.recv(4), "little")
if not answer: real()
fork = answer
for number in early: os.kill(fork, number)
null = os.open("/dev/null", os.O_RDWR)
for file in files: os.dup2(null, file)
status = os.waitstatus_to_exitcode(int.from_bytes(server.recv(4) or b"\\x09", "little"))
if status < 0:
    if status != -signal.SIGKILL: signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@contextlib.contextmanager
def stand_in(room: Path) -> Iterator[None]:
    """Meanwhile what starts `sys.executable` starts a fork where it can; all who name the same room fork one process.

    Where there is no /proc, nothing is put in its place.
    """
    if sys.platform != "linux":
        yield
        return
    room.mkdir(exist_ok=True)
    program = Path(REAL).with_name(f"python-forks-{os.getpid()}")  # beside it, also within the walls of a sandbox
    program.write_text(CLIENT.format(real=REAL, address=str(room / "calls"), programs=PROGRAMS))
    program.chmod(0o755)
    held = _serving(room)
    sys.executable = str(program)
    try:
        yield
    finally:
        sys.executable = REAL
        program.unlink()
        os.close(held)


def _serving(room: Path) -> int:
    """Start the process to fork, unless another worker has; it ends once nobody holds what this gives."""
    held = room / "held"
    with (room / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not held.exists():
            os.mkfifo(held)
            command, pipe = [REAL, "-P", __file__, str(room)], os.open(held, os.O_RDONLY | os.O_NONBLOCK)
            server = subprocess.Popen(command, stdin=pipe, stdout=subprocess.PIPE, env={**os.environ, **QUIET},
                                      cwd=ROOT, start_new_session=True)  # fmt: skip
            os.close(pipe)
            end = os.open(held, os.O_WRONLY)
            assert server.stdout
            assert server.stdout.readline() == b"ready\n"
            server.stdout.close()
            return end
        return os.open(held, os.O_WRONLY)


class Server:
    """The process to fork: it waits for callers, and tells each how its fork ended."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.calls = socket.socket(socket.AF_UNIX)
        self.calls.bind(str(room / "calls"))
        self.calls.listen(64)
        self.looks = select.poll()
        self.looks.register(0)
        self.looks.register(self.calls)
        self.forks: dict[int, tuple[int, int, socket.socket]] = {}
        """A fork's handle, or its caller's socket: its process, that handle, that socket."""

    def serve(self) -> NoReturn:
        while True:
            for file, _ in self.looks.poll():
                if file == 0:
                    self.end()
                elif file == self.calls.fileno():
                    self.fork()
                elif file in self.forks:
                    pid, handle, caller = self.forks[file]
                    if file == handle:
                        self.ended(pid, handle, caller)
                    else:
                        self.left(pid, file)

    def fork(self) -> None:
        caller = self.calls.accept()[0]
        gc.freeze()
        pid = os.fork()
        if not pid:
            become(caller, self.room)
        handle = os.pidfd_open(pid)
        self.forks[handle] = self.forks[caller.fileno()] = pid, handle, caller
        self.looks.register(handle)
        self.looks.register(caller, 0)  # tells only that the caller has gone: what it says is for the fork

    def ended(self, pid: int, handle: int, caller: socket.socket) -> None:
        self.looks.unregister(handle)
        del self.forks[handle]
        os.close(handle)
        if self.forks.pop(caller.fileno(), None):
            self.looks.unregister(caller)
        status = os.waitpid(pid, 0)[1]
        with caller, contextlib.suppress(OSError):
            caller.sendall(status.to_bytes(4, "little"))
        learned = self.room / str(pid)
        if learned.exists():
            for name in learned.read_text().split():
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
                    if name == "rung.cli":
                        importlib.import_module("rung.cli").command()
            learned.unlink()

    def left(self, pid: int, caller: int) -> None:
        """The caller was killed: so is its fork."""
        self.looks.unregister(caller)
        del self.forks[caller]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def end(self) -> NoReturn:
        for pid in {pid for pid, _, _ in self.forks.values()}:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os._exit(0)


def become(caller: socket.socket, room: Path) -> NoReturn:
    """Be the process that the caller asks for."""
    os.setsid()
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in (0, 1, 2, caller.fileno()):
            with contextlib.suppress(OSError):
                os.close(int(name))
    files = array.array("i")
    size, rights, _, _ = caller.recvmsg(4, socket.CMSG_SPACE(253 * files.itemsize))
    files.frombytes(b"".join(data for _, _, data in rights))
    with caller.makefile("rb") as said:
        given = marshal.loads(said.read(int.from_bytes(size, "little")))
    if given["state"] != state() or counting(given["env"]) != counting(dict(os.environ)):
        caller.sendall(bytes(4))
        os._exit(0)
    caller.sendall(os.getpid().to_bytes(4, "little"))
    caller.close()
    take_over(given, files)
    leave_to_the_parent()
    sys.executable = given["python"]
    last = next(reversed(sys.modules))
    code = run(given["words"], given["code"])
    (room / str(os.getpid())).write_text("\n".join(learned(last)))
    os._exit(code)


def state() -> list[Any]:
    """Return the state that a fork cannot inherit: limits, name spaces, rights."""
    spaces = [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "net", "pid", "user")]
    with open("/proc/self/limits") as limits, open("/proc/self/status") as status:
        return [limits.read(), spaces, [line for line in status if line.startswith(("Uid", "Gid", "CapEff"))]]


def counting(environment: dict[str, str]) -> dict[str, str]:
    counts = {name: value for name, value in environment.items() if name.startswith(COUNTS) and name not in HEEDED}
    return {**QUIET, **counts}


def take_over(given: dict[str, Any], files: array.array[int]) -> None:
    """The caller's folder, files at their numbers, environment, streams and module path."""
    os.chdir(given["folder"])
    aside = [fcntl.fcntl(file, fcntl.F_DUPFD, 500) for file in files]
    os.closerange(3, 500)
    for file, number in zip(aside, given["files"], strict=True):
        os.dup2(file, number)
        os.close(file)
    os.umask(given["mask"])
    environment = given["env"]
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    encoding, _, errors = environment.get("PYTHONIOENCODING", "").partition(":")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        stream = io.TextIOWrapper(
            io.open(number, "wb" if number else "rb", closefd=False),  # noqa: SIM115, UP020
            encoding or old.encoding,
            old.errors if number == 2 else errors or old.errors,
            line_buffering=number == 2,
            write_through=number > 0 and "PYTHONUNBUFFERED" in environment,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if not given["safe"]:
        sys.path.insert(0, given["folder"])


def leave_to_the_parent() -> None:
    """Forget what the waiting process would do at its end: torch alone has caches to clear there, a page at a time."""
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    atexit.register(logging.shutdown)
    if "multiprocessing.util" in sys.modules:
        atexit.register(sys.modules["multiprocessing.util"]._exit_function)


def run(words: list[str], as_code: bool) -> int:
    """The module as `python -m` runs it, or the code as `python -c` does; gives the exit status."""
    sys.argv = ["-c", *words[1:]] if as_code else words
    code: Any = 0
    try:
        if as_code:
            exec(compile(words[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as left:
        code = left.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        code = 1
    return finish(code)


def finish(code: Any) -> int:
    """End as Python does; return the exit status."""
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream and not stream.closed:
                stream.flush()
        except OSError:
            code = 120
    return (code or 0) & 0xFF


def learned(last: str) -> list[str]:
    """The modules that came since, of this repository and of what is installed."""
    homes = (str(ROOT), *(path for path in sys.path if path.endswith("-packages")), os.path.dirname(os.__file__))
    names = itertools.takewhile(lambda name: name != last, reversed(sys.modules))
    new = [(name, getattr(sys.modules[name], "__file__", None) or "") for name in names][::-1]
    return [name for name, file in new if file.startswith(homes) and name not in PROGRAMS and "__m" not in name]


if __name__ == "__main__":
    server = Server(Path(sys.argv[1]))
    os.write(1, b"ready\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    server.serve()
