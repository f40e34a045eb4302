"""A database made by the first released schema, with data in it, opens in this version with everything kept."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from databases import first_on_sqlite, first_schema
from deciding import settle
from sqlalchemy import insert, text

from curation.example import Example, chat_row
from curation.review import Desk, Ruling, decide_all, open_desk, progress, undo
from curation.store import Store, open_store
from curation.store.engine import HEAD
from curation.store.tables import gold
from workspace.folder import Project
from workspace.settings import Settings


def opened(project: Project, url: str) -> Store:
    return open_store(project, Settings.model_validate({"store": {"url": url}}))


def test_nothing_is_lost_in_the_upgrade_and_work_goes_on(project: Project, url: str):
    first_schema(project, url)
    settings = Settings.model_validate({"store": {"url": url}, "review": {"pool": "all"}})
    with open_store(project, settings) as store:
        rows = {row.id: row for row in store.rows(excluded=None)}
        states = [rows[name].state.replace("leased", "pending") for name in sorted(rows)]  # its lease ended long ago
        assert states == ["edited", "rejected", "skipped", "approved", *["pending"] * 5, "approved"]
        assert rows["r-000001"].example.answer == "better answer"
        assert rows["r-000001"].original.answer != "better answer"
        assert rows["r-000006"].excluded == "near duplicate" and rows["r-000006"].evidence["similarity"] == 0.9
        assert rows["r-000004"].guideline == 2 and rows["r-000010"].reviewer == "dana"
        assert rows["r-000007"].meta["strategy"] == "paraphrase"
        assert [event.kind for event in store.events(kind="override")] == ["override"]
        with store.read() as connection:
            log = connection.exec_driver_sql("SELECT id, verdict FROM decisions ORDER BY id").fetchall()
            assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD
        assert [verdict for _, verdict in log] == [
            "approve", "edit", "reject", "approve", "undo", "skip", "unsure", "approve",
        ]  # fmt: skip
        desk = Desk(store, project, settings)
        assert progress(desk).decided == 4
        undo(desk, "r-000001", "dana")
        settle(desk, "dana", "approve", want="r-000001")
        assert store.row("r-000001").state == "approved"
        new = store.add([Example(chat_row("New question", "an answer"))], role="pool").new
        assert new == ["r-000011"], "a number is never given twice"


def test_nobody_writes_between_the_copy_and_the_upgrade(project: Project, monkeypatch: pytest.MonkeyPatch):
    """A write in between would be in the upgraded file alone; two upgrades at once would copy over each other."""
    from curation.store import engine

    first_on_sqlite(project.database_file)
    copy, tried = engine._copy, []

    def and_write(file: Path, target: Path):
        copy(file, target)
        with sqlite3.connect(file, timeout=0) as other:
            try:
                other.execute("INSERT INTO facts VALUES ('x', 'y')")
            except sqlite3.OperationalError as error:
                tried.append(str(error))

    monkeypatch.setattr(engine, "_copy", and_write)
    with opened(project, ""):
        assert tried == ["database is locked"]


def test_an_older_file_put_in_place_later_is_copied_too(project: Project):
    """The file as it was stays beside, and a copy of an upgrade before; the same content is not copied twice."""
    for changed in (False, True, True):
        for path in project.root.glob("rung.db*"):
            if "before" not in path.name:
                path.unlink()
        first_on_sqlite(project.database_file)
        with closing(sqlite3.connect(project.database_file, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            if changed:
                connection.execute("INSERT INTO facts VALUES ('later', 'x')")  # stands in the log alone so far
            opened(project, "").close()
    copies = sorted(project.root.glob("rung.db.before-*"))
    assert [path.name for path in copies] == [f"rung.db.before-{HEAD}", f"rung.db.before-{HEAD}.2"]
    counts = []
    for path in copies:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with sqlite3.connect(path) as found:
            assert found.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
            assert found.execute("SELECT count(*) FROM decisions").fetchone() == (8,)
            counts.append(found.execute("SELECT count(*) FROM facts WHERE key = 'later'").fetchone()[0])
    assert counts == [0, 1]


def test_the_database_is_for_its_owner_alone(project: Project, rows_of):
    with opened(project, "") as store:
        store.add(rows_of(1), role="pool")
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in project.root.glob("rung.db*")}
    assert found["rung.db"] == 0o600 and set(found.values()) == {0o600}, found


def test_an_upgrade_that_fails_leaves_the_first_schema(project: Project, monkeypatch: pytest.MonkeyPatch):
    """The migration's last step meets a table of that name: all of it is taken back, in one transaction."""
    first_on_sqlite(project.database_file)
    with sqlite3.connect(project.database_file) as connection:
        connection.execute("CREATE TABLE gold (x)")
    with pytest.raises(Exception, match="gold"):
        opened(project, "")
    with sqlite3.connect(project.database_file) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert "place" not in [column[1] for column in connection.execute("PRAGMA table_info(rows)")]


def test_gold_items_of_an_older_file_end_and_what_comes_later_counts(make_desk, rows_of):
    desk = make_desk()
    (name,) = desk.store.add(rows_of(1), role="candidates").ids
    decide_all(desk, "kim", [(name, Ruling("approve"))], kind="person")
    with desk.store.write() as connection:
        item = {"row_id": 1, "verdict": "approve", "actor": "kim", "at": "2026-11-01", "since": 1}
        connection.execute(insert(gold).values(**item))
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    desk.store.close()
    desk = open_desk(desk.project, desk.settings)
    desk.store.queue([name], "reopened", "reopened", actor="kim")
    decide_all(desk, "mo", [(name, Ruling("reject"))], kind="person")
    assert desk.store.row(name).state == "rejected"
