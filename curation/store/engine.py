"""Opening a database: pragmas, transactions, migrations with a copy first, errors, and stores that are only read.

SQLite writes even to read a store with a log beside it: an index of that log. A store that this account cannot write is
read with the index that another account's open store has, else from a temporary copy, log included, which is made again
where the store has changed.
"""

from __future__ import annotations

import contextlib
import filecmp
import itertools
import os
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from curation.store.tables import metadata
from workspace.errors import InputError, Problem, Refusal, RungError
from workspace.extras import require
from workspace.folder import Project
from workspace.settings import Settings
from workspace.trust import demand_store

HEAD = "0004"
"""Newest revision below `curation/migrations/versions`; a test compares it with that folder."""
KNOWN = ("0001", "0002", "0003", "0004")
BUSY_SECONDS = 30
POOL = {"pool_size": 5, "max_overflow": 35}
"""Connections kept, and opened beyond that at need: the review page answers at most 40 requests at once."""
LOCK = 0x52756E67  # "Rung": the advisory lock that migrations and imports take on PostgreSQL
MIGRATIONS = Path(__file__).parent.parent / "migrations"
ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps the connection that it works on in its modules: two at once would write into each other's database."""


def open_engine(project: Project, settings: Settings) -> tuple[Engine, str]:
    """Return an engine on the newest schema, and how messages name the store. It only reads a read-only store.

    Raises RungError if it cannot be reached, is damaged, was written by a newer Rung, or holds (on a database
    server) the rows of a project of another name.
    """
    if settings.store.url:
        demand_store(project.root, settings.store.url)
        engine, where = _ready(*_postgres(settings.store.url), None)
        _claim(engine, where, settings.project.name or project.name)
        return engine, where
    file = project.database_file
    # opening it to find out would drop SQLite's locks on it: https://www.sqlite.org/howtocorrupt.html, 2.2
    if not file.exists() or os.access(file, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        try:
            return _ready(*_sqlite(file), file)
        except RungError as error:
            cannot_write = any(mark in error.found.lower() for mark in MARKS)
            if not (cannot_write and file.is_file() and os.access(file, os.R_OK)):
                raise
    return _ready(reading_engine(file), file.name, file)


def _ready(engine: Engine, where: str, file: Path | None) -> tuple[Engine, str]:
    try:
        _upgrade(engine, where, file)
    except DBAPIError as error:
        engine.dispose()
        raise explain(error, where) from error
    except RungError:
        engine.dispose()
        raise
    return engine, where


def _claim(engine: Engine, where: str, project: str) -> None:
    """Write into a database whose rows it holds; the first project that opens one without a name is its owner."""
    owner = "SELECT value FROM facts WHERE key = 'project'"
    with transaction(engine, where, write=False) as connection:
        found = connection.execute(text(owner)).scalar()
    if found is None and not is_unwritable(engine):
        with transaction(engine, where, write=True) as connection:
            mine = "INSERT INTO facts (key, value) VALUES ('project', :name) ON CONFLICT (key) DO NOTHING"
            connection.execute(text(mine), {"name": project})
            found = connection.execute(text(owner)).scalar()
    if found not in (None, project):
        engine.dispose()
        raise RungError(
            f"{where} holds the rows of the project {found}, and this one is {project}. Nothing was read or written.",
            f'another database or schema in [store] url; or, if they are one project: [project] name = "{found}"',
            where="rung.toml",
            expected=str(found),
            found=project,
        )


@contextlib.contextmanager
def transaction(engine: Engine, where: str, *, write: bool, lasting: bool = True) -> Iterator[Connection]:
    """Open a transaction; writers on SQLite lock at once (BEGIN IMMEDIATE). Database errors become sentences.

    One that is not `lasting` does not wait for the disk: a power cut may lose it (a kill does not), until the next
    lasting one has ended. One that does not write sees one state of the store from its begin to its end.
    """
    if write and is_unwritable(engine):
        raise refuse_writing(where)
    options: dict[str, Any] = {"rung_write": write, "rung_lasting": lasting}
    if not write and engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    try:
        with (
            engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            if not lasting and connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection
    except DBAPIError as error:
        raise explain(error, where) from error


def lock_all(connection: Connection) -> None:
    """Hold off every other import, migration and queue change until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def lock_now(connection: Connection) -> bool:
    """Take the lock of `lock_all` if it is free; else return False, without waiting."""
    if connection.dialect.name == "postgresql":
        return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK}).scalar())
    return True


def _sqlite(path: Path) -> tuple[Engine, str]:
    _private(path)
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, **POOL
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine, path.name


def _private(path: Path) -> None:
    """Make the file for its owner alone; SQLite gives its log the same rights. One that is there keeps its own."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """SQLite waits for the disk or not by a setting of the connection: each transaction sets its own."""
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options.get('rung_lasting', True) else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("rung_write", False) else "BEGIN")


def _postgres(url: str) -> tuple[Engine, str]:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputError([Problem('"store.url" is not a database URL.', where="rung.toml", found=url)]) from error
    if parsed.get_backend_name() != "postgresql":
        text_ = f'"store.url": {parsed.get_backend_name()} is not supported, only postgresql (or nothing: SQLite).'
        raise InputError([Problem(text_, "rung.toml", "postgresql://...", parsed.get_backend_name())])
    require("postgres", "psycopg")
    engine = create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, **POOL)
    event.listen(engine, "connect", _be_patient)
    return engine, parsed.render_as_string(hide_password=True)


def _be_patient(connection: Any, _record: Any) -> None:
    """Wait for another's lock as long as on SQLite, not for ever; the URL's options or the server may say otherwise."""
    set_it = "SELECT set_config('lock_timeout', %s, false) WHERE current_setting('lock_timeout') = '0'"
    connection.execute(set_it, (f"{BUSY_SECONDS}s",))
    connection.commit()


def _upgrade(engine: Engine, where: str, file: Path | None) -> None:
    """Bring the schema to HEAD inside one transaction, after copying a SQLite file that holds an older one.

    Nobody writes between the copy and the change, and of two programs that open the file at once one does both.
    """
    with transaction(engine, where, write=False) as connection:
        if _known(connection) == HEAD:
            return
    if is_unwritable(engine):
        said = f"{where}: of an older Rung, to be brought up to date first; but the file or the folder is read-only."
        raise RungError(said, "Copy the project to where you may write, then rerun the command there.", where=where)
    with transaction(engine, where, write=True) as connection:
        lock_all(connection)
        found = _known(connection)
        if found == HEAD:
            return
        if found is not None and file is not None:
            _copy(file, file.with_name(f"{file.name}.before-{HEAD}"))
        _bring_to_head(connection, is_new=found is None)


def _known(connection: Connection) -> str | None:
    """Return the revision of the schema, None if there is none. Raises RungError for one of a newer program."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found not in KNOWN:
        theirs = connection.execute(text("SELECT value FROM facts WHERE key = 'program'")).scalar() or "a newer version"
        said = f"This project was written by Rung {theirs}, you run {_program()}. Nothing was opened."
        raise RungError(said, "pip install -U rung", expected=_program(), found=theirs)
    return found


def _copy(file: Path, target: Path) -> None:
    """Write a consistent copy of a live SQLite file beside it; an earlier copy with other content stays, too."""
    temporary = target.with_name(f"{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    _private(temporary)
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(temporary)) as copy:
        source.backup(copy)
    names = itertools.chain([target], (target.with_name(f"{target.name}.{number}") for number in itertools.count(2)))
    for free in names:
        if free.exists() and filecmp.cmp(temporary, free, shallow=False):
            temporary.unlink()
            return
        if not free.exists():
            temporary.replace(free)
            return


def _bring_to_head(connection: Connection, *, is_new: bool) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with ONE_AT_A_TIME:
        if is_new:
            metadata.create_all(connection, checkfirst=False)
            command.stamp(config, "head")
        else:
            command.upgrade(config, "head")
    connection.execute(text("DELETE FROM facts WHERE key = 'program'"))
    connection.execute(text("INSERT INTO facts (key, value) VALUES ('program', :v)"), {"v": _program()})


def _program() -> str:
    try:
        return version("rung")
    except PackageNotFoundError:
        return "from a source tree"


REASONS = {
    "disk is full": (
        "The disk is full: the project's, or that of {temporary}, where the database sorts. "
        "Nothing of this change was kept.",
        "Free some space, then rerun the command. TMPDIR names another folder to sort in.",
    ),
    "locked": ("The store is busy with another program's change. Nothing was changed.", "Rerun the command."),
    "readonly": ("The store cannot be written: the file or the folder is read-only.", "Check its permissions."),
    "not a database": ("The store is not a database, or it is damaged. Nothing was opened.", ""),
    "malformed": ("The store is damaged. Nothing was opened.", "Copies of before an upgrade: rung.db.before-*"),
    "unable to open": ("The store cannot be opened.", "Check that the folder exists and its permissions."),
    "disk i/o": (
        "The disk is full or reported an error. Nothing of this change was kept.",
        "Free some space or check the disk, then rerun the command.",
    ),
    "connection": ("The database server cannot be reached.", "Check [store] url in rung.toml."),
    "append-only": ("Decisions are an append-only log: nothing was changed.", "rung review undo ID"),
}
BUSY = ("55P03", "40P01", "40001")
"""PostgreSQL's codes, whatever its language, for a lock that was waited for too long, a deadlock, an older state."""


def explain(error: Exception, where: str) -> RungError:
    """Return the sentence for an error of the database library."""
    cause = getattr(error, "orig", error)
    text = f"locked: {cause}" if getattr(cause, "sqlstate", "") in BUSY else str(cause)
    for mark, (message, hint) in REASONS.items():
        if mark in text.lower():
            said = message.format(temporary=tempfile.gettempdir())
            return (Refusal if mark == "locked" else RungError)(f"{where}: {said}", hint, where=where, found=text)
    return RungError(f"{where}: the database said: {text.strip()}", where=where)


MARKS = ("readonly", "unable to open")
"""Messages of SQLite when it cannot write what it needs."""
State = tuple[tuple[int, int, int] | None, ...]
"""Inode, size and last change of each file; None for one that is not there."""


def reading_engine(path: Path) -> Engine:
    """Return an engine that reads the store at `path` and writes nothing; each transaction opens it again."""
    reader = _Reader(path)
    engine = create_engine("sqlite://", creator=reader.connect, poolclass=NullPool)
    event.listen(engine, "engine_disposed", lambda _: reader.leave())
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def is_unwritable(engine: Engine) -> bool:
    """True if this engine is one of `reading_engine`'s."""
    return isinstance(engine.pool, NullPool)


def refuse_writing(where: str) -> RungError:
    """Return the error for a change to a read-only store."""
    said = f"{where}: The store cannot be written: the file or the folder is read-only. Nothing was changed."
    return RungError(said, "Check its permissions, or copy the project to where you may write.", where=where)


class _Reader:
    """Opens one store again and again; holds the copy of one that has no index, gone with the engine or the program."""

    def __init__(self, path: Path) -> None:
        self._files = tuple(path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-journal"))
        self._state: State = ()
        self._folder = Path()
        self._end: Callable[[], object] = lambda: None
        self._turn = threading.Lock()

    def connect(self) -> sqlite3.Connection:
        """Return a connection that sees all that is stored now."""
        file = self._files[0]
        if file.with_name(f"{file.name}-shm").is_file():
            with contextlib.suppress(sqlite3.OperationalError):
                return _looking(file, "ro")
        with self._turn:
            if _state(self._files) != self._state:
                self._copy()
            return _looking(self._folder / file.name, "rw")

    def leave(self) -> None:
        """Remove the copy."""
        self._end()
        self._state = ()

    def _copy(self) -> None:
        """Copy one state. Raises Refusal if another account wrote meanwhile, RungError where there is no room."""
        self.leave()
        name, state = self._files[0].name, _state(self._files)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="rung-store-"))
            self._end = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            for file in self._files:
                if file.is_file():
                    shutil.copyfile(file, self._folder / file.name)
        except OSError as error:
            told = f"{name}: to be read it is copied to {tempfile.gettempdir()}, and that failed ({error.strerror})."
            raise RungError(told, "Free some space there, or name another folder in TMPDIR.", where=name) from error
        if _state(self._files) != state:
            raise Refusal(f"{name}: another program wrote to it while it was read.", "Rerun the command.", where=name)
        self._state = state


def _looking(file: Path, mode: str) -> sqlite3.Connection:
    """Return a connection that changes nothing. Raises OperationalError if SQLite cannot read the file so."""
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    found = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        found.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        found.close()
        raise
    found.execute("PRAGMA query_only = ON")
    return found


def _state(files: Sequence[Path]) -> State:
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            status = file.stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return tuple(found)


def copy_database(database: Path, copy: Path) -> None:
    """SQLite's online backup: one moment of the database, whoever writes meanwhile, and whoever may write beside it."""
    reader = _Reader(database)
    with database.open("rb"), contextlib.ExitStack() as opened:  # the first says which file it is, SQLite does not
        opened.callback(reader.leave)
        try:
            source = opened.enter_context(contextlib.closing(_looking(database, "ro")))
        except sqlite3.OperationalError:
            source = opened.enter_context(contextlib.closing(reader.connect()))
        source.backup(opened.enter_context(contextlib.closing(sqlite3.connect(copy))))
    shutil.copymode(database, copy)
