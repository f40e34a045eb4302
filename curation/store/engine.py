"""Opening a database: pragmas, transactions, migrations with a copy first, a refusal of what is newer."""

from __future__ import annotations

import contextlib
import filecmp
import itertools
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from curation.store import unwritable
from curation.store.errors import explain
from workspace.errors import InputError, Problem, RungError
from workspace.extras import require
from workspace.folder import Project
from workspace.settings import Settings

HEAD = "0003"
"""Newest revision below `curation/migrations/versions`; a test compares it with that folder."""
KNOWN = ("0001", "0002", "0003")
BUSY_SECONDS = 30
POOL = {"pool_size": 5, "max_overflow": 35}
"""Connections kept, and opened beyond that at need: the review page answers at most 40 requests at once."""
LOCK = 0x52756E67  # "Rung": the advisory lock that migrations and imports take on PostgreSQL
MIGRATIONS = Path(__file__).parent.parent / "migrations"
ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps the connection that it works on in its modules: two at once would write into each other's database."""


def open_engine(project: Project, settings: Settings) -> tuple[Engine, str]:
    """An engine on the newest schema, and how messages name the store. Where nothing may be written it only reads.

    Raises RungError where it cannot be reached, is damaged, or was written by a newer Rung.
    """
    if settings.store.url:
        return _ready(*_postgres(settings.store.url), None)
    file = project.database_file
    if unwritable.may_write(file):
        try:
            return _ready(*_sqlite(file), file)
        except RungError as error:
            if not unwritable.is_for_reading(error, file):
                raise
    return _ready(unwritable.reading_engine(file), file.name, file)


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


@contextlib.contextmanager
def transaction(engine: Engine, where: str, *, write: bool, lasting: bool = True) -> Iterator[Connection]:
    """One transaction; writers on SQLite take the lock at once (BEGIN IMMEDIATE). Database errors become sentences.

    One that is not `lasting` does not wait for the disk: a power cut may lose it (a kill does not), until the next
    lasting one has ended. One that does not write sees one state of the store from its begin to its end.
    """
    if write and unwritable.is_unwritable(engine):
        raise unwritable.refuse_writing(where)
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
            unwritable.check_unchanged(connection)
    except DBAPIError as error:
        raise explain(error, where) from error


def lock_all(connection: Connection) -> None:
    """Hold off every other import, migration and queue change until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def lock_now(connection: Connection) -> bool:
    """As `lock_all` where nobody holds the lock; else False, without waiting."""
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
        raise InputError([Problem(text_, where="rung.toml", expected="postgresql://...")])
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
    if unwritable.is_unwritable(engine):
        raise unwritable.refuse_upgrade(where)
    with transaction(engine, where, write=True) as connection:
        lock_all(connection)
        found = _known(connection)
        if found == HEAD:
            return
        if found is not None and file is not None:
            _copy(file, file.with_name(f"{file.name}.before-{HEAD}"))
        _run_migrations(connection)


def _known(connection: Connection) -> str | None:
    """The revision of the schema, None where there is none. Raises RungError for one of a newer program."""
    found = _revision(connection)
    if found is not None and found not in KNOWN:
        raise _newer(connection)
    return found


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _newer(connection: Connection) -> RungError:
    theirs = connection.execute(text("SELECT value FROM facts WHERE key = 'program'")).scalar() or "a newer version"
    return RungError(
        f"This project was written by Rung {theirs}, you run {_program()}. Nothing was opened.", "pip install -U rung"
    )


def _copy(file: Path, target: Path) -> None:
    """A consistent copy of a live SQLite file, written beside it; an earlier one of something else stays, too."""
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


def _run_migrations(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with ONE_AT_A_TIME:
        command.upgrade(config, "head")
    connection.execute(text("DELETE FROM facts WHERE key = 'program'"))
    connection.execute(text("INSERT INTO facts (key, value) VALUES ('program', :v)"), {"v": _program()})


def _program() -> str:
    """The version of this program, as installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rung")
    except PackageNotFoundError:
        return "from a source tree"
