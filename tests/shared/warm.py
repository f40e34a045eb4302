"""`rung` commands in forks of a process that has everything imported (forks.py), killed at a chosen moment.

A moment is an event of the interpreter, not a time: a file below `under` opened to write, made, renamed or removed, or
a statement that a database is given.
"""

import ctypes
import json
import os
import runpy
import signal
import sqlite3
import sqlite3.dbapi2
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CONNECT = sqlite3.connect
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.")
CODE = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import warm; warm.child()"

ORDER = "WARM_ORDER"
"""The variable that carries an order: a command line could be read by anyone on this machine."""


@dataclass(frozen=True)
class Done:
    """How a command ended. `events` is -1 for one that was killed."""

    code: int
    events: int
    out: str
    err: str


def warm(
    *words: str,
    at: Path,
    kill_at: int = 0,
    program: str = "rung",
    ordinary: bool = False,
    vanish: bool = False,
    offline: bool = False,
    **env: str,
) -> Done:
    """Run `rung` with these words there; `program`: another module of Rung instead.

    `ordinary`: permissions count, also for root; `vanish`: its folder goes before it begins; `offline`: the network is
    cut. Every address that it reaches for stands in `err`, after `reached:`.
    """
    listen, tell = os.pipe()
    order = {"words": words, "under": str(at), "kill_at": kill_at, "program": program, "env": env}
    order |= {"ordinary": ordinary, "vanish": vanish, "offline": offline, "tell": tell}
    surroundings = {**os.environ, "TOKENIZERS_PARALLELISM": "false", ORDER: json.dumps(order)}
    with os.fdopen(listen, "rb") as told:
        done = subprocess.run(
            [sys.executable, "-P", "-X", "fork", "-c", CODE],
            cwd=at, env=surroundings, stdin=subprocess.DEVNULL, capture_output=True, pass_fds=[tell],
        )  # fmt: skip
        os.close(tell)
        events = told.read(4)
    out, err = done.stdout.decode(), done.stderr.decode()
    return Done(done.returncode, struct.unpack("<I", events)[0] if events else -1, out, err)


class Counter:
    """Counts events below a folder and kills its own process just before the chosen one."""

    def __init__(self, under: str, kill_at: int) -> None:
        self.under = under
        self.kill_at = kill_at
        self.seen = 0

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
            self.reached(arguments)
        elif event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITES:
                self.below(path)
        elif event.startswith(CHANGES):
            self.below(arguments[0])

    def reached(self, arguments: tuple[Any, ...]) -> None:
        """Tell each address that is looked up or connected to, whether or not anything answers there."""
        address = arguments[1] if len(arguments) == 2 else arguments[0]
        if isinstance(address, tuple) or len(arguments) != 2:
            os.write(2, f"reached: {address}\n".encode())

    def connect(self, *arguments: Any, **named: Any) -> sqlite3.Connection:
        """`sqlite3.connect`, whose connections tell each statement."""
        connection = CONNECT(*arguments, **named)
        connection.set_trace_callback(self.step)
        return connection

    def listen(self) -> None:
        """The statements that other databases than SQLite are given, where any may be."""
        if "sqlalchemy" in sys.modules:
            from sqlalchemy import Engine, event

            event.listen(Engine, "before_cursor_execute", self.execute)

    def execute(self, connection: Any, *_: Any) -> None:
        if connection.dialect.name != "sqlite":
            self.step()

    def below(self, path: object) -> None:
        if isinstance(path, (str, os.PathLike)) and os.path.abspath(os.fspath(path)).startswith(self.under):
            self.step()

    def step(self, _statement: str = "") -> None:
        self.seen += 1
        if self.seen == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def ordinary() -> Iterator[None]:
    """Without root's right to read and write what a file's mode forbids: it counts as for anyone."""
    libc, header, sets = ctypes.CDLL(None), struct.pack("<Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    if os.geteuid() or libc.capget(header, sets):
        yield
        return
    effective, *others = struct.unpack("<6I", sets)
    libc.capset(header, struct.pack("<6I", effective & ~0b1110, *others))
    try:
        yield
    finally:
        libc.capset(header, struct.pack("<6I", effective, *others))


def cut_network() -> None:
    """A network of its own that leads nowhere, where the account may have one; the hook tells attempts either way."""
    ctypes.CDLL(None, use_errno=True).unshare(0x40000000)


def child() -> None:
    """Become the command; whoever ordered it hears how many events there were."""
    order = json.loads(os.environ.pop(ORDER))
    os.environ.update(order["env"])
    sys.argv = [order["program"], *order["words"]]
    if order["vanish"]:
        os.rmdir(os.getcwd())
    if order["offline"]:
        cut_network()
    counter = Counter(order["under"], order["kill_at"])
    sys.addaudithook(counter.hook)
    sqlite3.connect = sqlite3.dbapi2.connect = counter.connect
    counter.listen()
    try:
        with ordinary() if order["ordinary"] else nullcontext():
            if order["program"] == "rung":
                from rung.cli import main

                main()
            else:
                runpy.run_module(order["program"], run_name="__main__")
    finally:
        os.write(order["tell"], struct.pack("<I", counter.seen))
