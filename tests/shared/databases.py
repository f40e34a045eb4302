"""A PostgreSQL server for the tests, and a database that the first released schema made, on either store."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lives import free_port

FIRST = Path(__file__).with_name("first_schema.sql")
"""A dump of a database that the first schema's own code made: frozen, never made anew."""
BACK = (
    "DROP TABLE gold",
    "DROP TABLE tally",
    "DROP INDEX ix_changes_undone_at, ix_decisions_reviewer_id, ix_rows_lease_owner_lease_until",
    "ALTER TABLE rows DROP COLUMN place",  # its index goes with it
    "CREATE INDEX ix_rows_state_priority_id ON rows (state, priority, id)",
    "CREATE INDEX ix_rows_lease_owner ON rows (lease_owner)",
    "DELETE FROM alembic_version",
    "DELETE FROM facts",
)
"""Statements that take the tables of today back to those of the first schema."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL server on loopback; call it for the URL of a new, empty database."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    binaries = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="rung-postgres-"))
    switch = {"user": "postgres"} if os.geteuid() == 0 else {}  # the server refuses to run as root
    if switch:
        shutil.chown(folder, switch["user"], switch["user"])

    def run(name: str, *words: str | Path) -> None:
        subprocess.run([binaries / name, *words], check=True, stdout=subprocess.DEVNULL, cwd=folder, **switch)

    run("initdb", "-D", folder / "data", "-U", "rung", "-A", "trust", "--no-sync")
    port = _started(run, folder)
    made: list[str] = []

    def new_database() -> str:
        name = f"rung{len(made)}"
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "rung", name)
        made.append(name)
        return f"postgresql://rung@127.0.0.1:{port}/{name}"

    try:
        yield new_database
    finally:
        run("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")  # the data goes with the folder
        shutil.rmtree(folder, ignore_errors=True)


def _started(run: Callable[..., None], folder: Path) -> int:
    """The port of a server that answers; another one where a test beside it took the one that was free."""
    for _ in range(5):
        port = free_port()
        with contextlib.suppress(subprocess.CalledProcessError):
            options = f"-p {port} -h 127.0.0.1 -k {folder}"
            run("pg_ctl", "-D", folder / "data", "-o", options, "-l", folder / "log", "-t", "600", "start")
            return port
    raise RuntimeError("the PostgreSQL server did not come up")


def first_on_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST.read_text())


def first_schema(project: Any, url: str) -> None:
    """The database of the first released schema, with data in it: the project's own file, or at this URL.

    On PostgreSQL new tables are taken back to that schema and get the rows of the dump, in the order of their keys.
    """
    if not url:
        first_on_sqlite(project.database_file)
        return
    from sqlalchemy import MetaData, create_engine

    from curation.store import engine as stores

    engine, first = create_engine(url.replace("postgresql:", "postgresql+psycopg:")), MetaData()
    with sqlite3.connect(":memory:") as dump, engine.begin() as connection:
        dump.executescript(FIRST.read_text())
        dump.row_factory = sqlite3.Row
        stores._bring_to_head(connection, is_new=True)
        for statement in BACK:
            connection.exec_driver_sql(statement)
        first.reflect(connection)
        for table in first.sorted_tables:
            if rows := [dict(row) for row in dump.execute(f"SELECT * FROM {table.name}")]:
                connection.execute(table.insert(), rows)
        for name in ("events", "decisions", "rows", "reviewers", "changes", "plans"):
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), coalesce((SELECT max(id) FROM {name}), 1))"
            )
    engine.dispose()
