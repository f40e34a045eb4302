"""Runs `rung` commands, each in a fork of this process, and kills one at a chosen moment: `warm.py MODULE...`.

A moment is an event of the interpreter, not a time: a file below `under` opened to write, made, renamed or removed, or
a statement that a database is given. One JSON line a command on stdin:
`{"words", "cwd", "under", "kill_at", "program", "env", "out", "err"}`; one on stdout: `{"code", "events"}`, where
`code` is -9 for a killed one. `program` is `rung` or `training.run`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import runpy
import signal
import sqlite3
import sqlite3.dbapi2
import struct
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from forks import learned

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CONNECT = sqlite3.connect
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.")


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


def become_ordinary() -> None:
    """Root without the right to pass over permissions: a file's mode counts as for anyone."""
    header, sets = struct.pack("<Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and libc.capget(header, sets) == 0:
        effective, *others = struct.unpack("<6I", sets)
        libc.capset(header, struct.pack("<6I", effective & ~0b1110, *others))


def cut_network() -> None:
    """A network of its own that leads nowhere, where the account may have one; the hook tells attempts either way."""
    ctypes.CDLL(None, use_errno=True).unshare(0x40000000)


def child(order: dict[str, Any], tell: int) -> None:
    """Become the command; never returns."""
    os.chdir(order["cwd"])
    os.environ.update(order.get("env") or {})
    for name, descriptor in (("out", 1), ("err", 2)):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [order["program"], *order["words"]]
    if order.get("vanish"):
        os.rmdir(order["cwd"])
    if order.get("offline"):
        cut_network()
    if order.get("ordinary"):
        become_ordinary()
    counter = Counter(order["under"], order.get("kill_at") or 0)
    sys.addaudithook(counter.hook)
    sqlite3.connect = sqlite3.dbapi2.connect = counter.connect
    counter.listen()
    before = set(sys.modules)
    code: Any = 0
    try:
        if order["program"] == "rung":
            from rung.cli import main

            main()
        else:
            runpy.run_module(order["program"], run_name="__main__")
    except SystemExit as left:
        code = left.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(tell, struct.pack("<I", counter.seen))
    os.write(tell, " ".join(learned(before)).encode()[:60_000])  # a pipe holds that
    os._exit(code if isinstance(code, int) else 1)


needed: set[str] = set()
"""Modules that a fork had to import."""


def run(order: dict[str, Any]) -> dict[str, int]:
    listen, tell = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            child(order, tell)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(71)
    os.close(tell)
    status = os.waitpid(pid, 0)[1]
    with open(listen, "rb") as told:
        events, names = told.read(4), told.read().decode().split()
    for name in needed.intersection(names):  # a second time: the next one finds them there
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    needed.update(names)
    return {"code": os.waitstatus_to_exitcode(status), "events": struct.unpack("<I", events)[0] if events else -1}


def serve(modules: list[str]) -> None:
    for name in modules:
        importlib.import_module(name)
        if name == "rung.cli":
            importlib.import_module("rung.cli").command()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1:])
