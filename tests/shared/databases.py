"""A PostgreSQL server for the tests, and a database that the first released schema made, on either store."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lives import wait_until

FIRST = Path(__file__).with_name("first_schema.sql")
"""A dump of a database that the first schema's own code made: frozen, never made anew."""
BACK = (
    "DROP TABLE gold",
    "DROP TABLE tally",
    "DROP INDEX ix_changes_undone_at, ix_decisions_reviewer_id, ix_rows_lease_owner_lease_until",
    "ALTER TABLE rows DROP COLUMN place",  # its index goes with it
    "CREATE INDEX ix_rows_state_priority_id ON rows (state, priority, id)",
    "CREATE INDEX ix_rows_lease_owner ON rows (lease_owner)",
    "UPDATE alembic_version SET version_num = '0001'",
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
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    if os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    switch = {"user": user} if os.geteuid() == 0 else {}

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **switch)  # type: ignore[call-overload]

    run(str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "rung", "-A", "trust", "--no-sync")
    server, port = _started(binaries, folder, switch)
    made: list[str] = []

    def new_database() -> str:
        name = f"rung{len(made)}"
        run(str(binaries / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "rung", name)
        made.append(name)
        return f"postgresql://rung@127.0.0.1:{port}/{name}"

    try:
        yield new_database
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: the data goes with the folder
        server.wait(600)
        shutil.rmtree(folder, ignore_errors=True)


def _started(binaries: Path, folder: Path, switch: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """A server that answers, and its port; another port where a test beside it took the one that was free."""
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **switch,  # type: ignore[arg-type]
        )
        ask = [str(binaries / "pg_isready"), "-h", str(folder), "-p", str(port)]  # its own socket, nobody else's
        ready = lambda ask=ask: not subprocess.run(ask, capture_output=True).returncode  # noqa: E731
        wait_until(lambda server=server, ready=ready: server.poll() is not None or ready())
        if server.poll() is None:
            return server, port
    raise RuntimeError("the PostgreSQL server did not come up")


def first_schema(project: Any, url: str) -> None:
    """The database of the first released schema, with data in it: at this URL, or the project's own file."""
    if url:
        first_on_postgres(url)
    else:
        first_on_sqlite(project.database_file)


def first_on_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST.read_text())


def first_on_postgres(url: str) -> None:
    """A new database taken back to the first schema, with the rows of the dump, in the order of their references."""
    from sqlalchemy import create_engine

    from curation.store import engine as stores
    from curation.store.tables import metadata

    inserts: dict[str, list[str]] = {}
    for line in FIRST.read_text().split("\nINSERT INTO ")[1:]:
        found = re.match(
            r'"(\w+)" (VALUES\(.*?\));(?:\n(?:CREATE|COMMIT|DELETE|INSERT)|\Z)', line + "\nINSERT", re.DOTALL
        )
        assert found is not None
        name, statement = found.groups()
        inserts.setdefault(name, []).append(f"INSERT INTO {name} {statement}")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        stores._bring_to_head(connection, is_new=True)
        for statement in BACK:
            connection.exec_driver_sql(statement)
        for table in metadata.sorted_tables:
            for statement in inserts.get(table.name, []):
                connection.exec_driver_sql(statement.replace("%", "%%"))
        for name in ("events", "decisions", "rows", "reviewers", "changes", "plans"):
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), coalesce((SELECT max(id) FROM {name}), 1))"
            )
    engine.dispose()
