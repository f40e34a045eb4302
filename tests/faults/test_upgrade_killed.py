"""SIGKILL in the middle of an upgrade of the database: the schema is the old one or the new one, and nothing is lost.

A moment is a statement that the database is given, or a file that is made; see test_killed.py.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from databases import first_on_postgres, first_on_sqlite
from killing import KILLED, moments
from sqlalchemy import create_engine, text
from warm import warm

from curation.store.engine import HEAD
from workspace.folder import Project

KEPT = (
    "SELECT id, row_id, reviewer_id, verdict, payload, reason, at FROM decisions ORDER BY id",
    "SELECT id, role, payload, original FROM rows ORDER BY id",
    "SELECT id, name, kind FROM reviewers ORDER BY id",
    "SELECT id, at, actor, kind, ref, detail FROM events WHERE kind <> 'sample' ORDER BY id",
)
LOOK = ("review", "status", "--json")
"""Draws the samples, too, each with a line in the log."""


def found(connection: Any) -> tuple[str, list[Any]]:
    """The revision, and what people did."""

    def ask(words: str) -> list[Any]:
        return [tuple(line) for line in connection.execute(words)]

    return ask("SELECT version_num FROM alembic_version")[0][0], [ask(words) for words in KEPT]


def in_file(path: Path) -> tuple[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return found(connection)


def in_server(url: str) -> tuple[str, list[Any]]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        state = found(type("Asked", (), {"execute": lambda _, words: connection.execute(text(words))})())
    engine.dispose()
    return state


def old_project(root: Path, settings: str = "") -> Path:
    root.mkdir()
    (root / "rung.toml").write_text(settings)
    return root


def states_of(root: Path) -> object:
    """How many rows stand in which state, as the command says that upgrades what is older."""
    done = warm(*LOOK, at=root)
    assert done.code == 0, done.err
    return json.loads(done.out)["states"]


def on_sqlite(room: Path, chosen: Callable[[int], Iterable[int]]) -> set[str]:
    """Kill the upgrade of a file at each of the moments; the revisions that stood there afterwards."""
    before = old_project(room / "before")
    first_on_sqlite(Project(before).database_file)
    revision, kept = in_file(Project(before).database_file)
    assert revision == "0001" and kept[0]
    whole = warm(*LOOK, at=shutil.copytree(before, room / "whole"))
    states = json.loads(whole.out)["states"]
    stood = set()
    for moment in chosen(whole.events):
        root = Path(shutil.copytree(before, room / f"at{moment}"))
        file = Project(root).database_file
        assert warm(*LOOK, at=root, kill_at=moment).code == KILLED
        revision, after = in_file(file)
        assert revision in ("0001", HEAD) and after == kept, moment
        stood.add(revision)
        assert states_of(root) == states, moment
        assert in_file(file) == (HEAD, kept), moment
        copies = sorted(root.glob(f"{file.name}.before-*"))
        assert [path.name for path in copies] == [f"{file.name}.before-{HEAD}"], moment
        assert in_file(copies[0]) == ("0001", kept), moment
        shutil.rmtree(root)
    return stood


def test_a_killed_upgrade_leaves_one_schema_and_every_decision(tmp_path: Path) -> None:
    assert on_sqlite(tmp_path, lambda events: moments(events, 3, "upgrade"))


@pytest.mark.slow
def test_an_upgrade_killed_at_25_moments(tmp_path: Path) -> None:
    assert on_sqlite(tmp_path, lambda events: moments(events, 25, "upgrade")) == {"0001", HEAD}


@pytest.mark.slow
def test_an_upgrade_killed_on_postgresql(postgres: Callable[[], str], tmp_path: Path) -> None:
    """The server rolls back the killed program's transaction; the next one does not wait for it."""
    url = postgres()
    first_on_postgres(url)
    kept = in_server(url)[1]
    whole = warm(*LOOK, at=old_project(tmp_path / "whole", f'[store]\nurl = "{url}"\n'))
    assert whole.code == 0 and in_server(url) == (HEAD, kept), whole.err
    states = json.loads(whole.out)["states"]
    stood = set()
    for moment in moments(whole.events, 15, "upgrade on a server"):
        url = postgres()
        first_on_postgres(url)
        root = old_project(tmp_path / f"at{moment}", f'[store]\nurl = "{url}"\n')
        assert warm(*LOOK, at=root, kill_at=moment).code == KILLED
        revision, after = in_server(url)
        assert revision in ("0001", HEAD) and after == kept, moment
        stood.add(revision)
        assert states_of(root) == states, moment
        assert in_server(url) == (HEAD, kept), moment
    assert stood == {"0001", HEAD}
