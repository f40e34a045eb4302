"""A SQLite store where this account can write nothing: a file or folder without the right, a read-only disk.

SQLite writes even to read a store with a log beside it: an index of that log. So a store without a log is read as a
file that never changes (`immutable`), and at the end of each transaction it is seen whether that was true. One with a
log is read with it: by SQLite itself where the index is there, else from a copy in a folder of temporary files, as the
rows of a project that was copied by hand may stand in its log alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event

from workspace.errors import Refusal, RungError

MARKS = ("readonly", "unable to open")
"""What SQLite says where it may not write what it needs."""
State = tuple[tuple[int, int, int] | None, ...]
"""Inode, size and last change of each file; None for one that is not there."""


def may_write(path: Path) -> bool:
    """Whether this account has the right to write this file, or there is none. Opening it to see would drop SQLite's
    locks on it: https://www.sqlite.org/howtocorrupt.html, 2.2
    """
    return not path.exists() or os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def is_for_reading(error: RungError, path: Path) -> bool:
    """Whether this fault of opening the store at `path` is that nothing can be written there; it can be read then."""
    said = error.found.lower()
    return any(mark in said for mark in MARKS) and path.is_file() and os.access(path, os.R_OK)


def reading_engine(path: Path) -> Engine:
    """An engine that reads the store at `path` and writes nothing; each transaction opens it as it then stands."""
    reader = _Reader(path)
    engine = create_engine("sqlite://", creator=reader.connect, poolclass=NullPool)
    event.listen(engine, "connect", _keep_state)
    event.listen(engine, "engine_disposed", lambda _: reader.leave())
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def is_unwritable(engine: Engine) -> bool:
    """Whether this engine is one of `reading_engine`'s."""
    return isinstance(engine.pool, NullPool)


def refuse_writing(where: str) -> RungError:
    """What a change is answered with."""
    said = f"{where}: The store cannot be written: the file or the folder is read-only. Nothing was changed."
    return RungError(said, "Check its permissions, or copy the project to where you may write.", where=where)


def refuse_upgrade(where: str) -> RungError:
    """What opening a store of an older schema is answered with."""
    said = f"{where}: of an older Rung, to be brought up to date first; but the file or the folder is read-only."
    return RungError(said, "Copy the project to where you may write, then the same command there.", where=where)


def check_unchanged(connection: Connection) -> None:
    """Raise Refusal where another account wrote while this transaction read a file as one that never changes."""
    _check(connection.info.get("rung_state"))


def _check(found: tuple[Path, State] | None) -> None:
    if found is not None and found[1] != _state(found[0]):
        name = found[0].name
        raise Refusal(f"{name}: another program wrote to it while it was read.", "The same command again.", where=name)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to copy the store from, whether or not anything can be written beside it."""
    reader = _Reader(path)
    with contextlib.ExitStack() as opened:
        found = opened.enter_context(contextlib.closing(_connect(path, "mode=ro")))
        try:
            found.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            found = opened.enter_context(contextlib.closing(reader.connect()))
        opened.callback(reader.leave)
        yield found
        _check(found.state)


class _Connection(sqlite3.Connection):
    """`state` is set for a file that is read as one that never changes: how it stood then."""

    state: tuple[Path, State] | None = None


def _keep_state(connection: _Connection, record: Any) -> None:
    record.info["rung_state"] = connection.state


class _Reader:
    """Opens one store again and again; holds the copy of one whose log has no index."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logs = tuple(path.with_name(f"{path.name}-{end}") for end in ("wal", "journal"))
        self._index = path.with_name(f"{path.name}-shm")
        self._copied: State = ()
        self._folder = Path()
        self._end: Callable[[], object] = lambda: None

    def connect(self) -> _Connection:
        """A connection that sees all that is stored."""
        if not any(log.is_file() and log.stat().st_size for log in self._logs):
            found = _connect(self._path, "immutable=1")
            found.state = (self._path, _state(self._path))
            return found
        if self._index.is_file():
            return _connect(self._path, "mode=ro")
        return _connect(self._copy(), "mode=rw")

    def leave(self) -> None:
        """Remove the copy."""
        self._end()
        self._copied = ()

    def _copy(self) -> Path:
        """The store and its log where an index can be made; gone with the engine or the program."""
        state = _state(self._path, *self._logs)
        if state != self._copied:
            self.leave()
            self._folder = Path(tempfile.mkdtemp(prefix="rung-store-"))
            self._end = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            for file in (self._path, *self._logs):
                if file.is_file():
                    shutil.copyfile(file, self._folder / file.name)
            self._copied = state
        return self._folder / self._path.name


def _connect(path: Path, how: str) -> _Connection:
    found = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,
        factory=_Connection,
    )
    found.execute("PRAGMA query_only = ON")
    return found


def _state(*files: Path) -> State:
    return tuple((s.st_ino, s.st_size, s.st_mtime_ns) if (s := _stat(file)) else None for file in files)


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None
