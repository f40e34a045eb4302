"""The store of rows and decisions: what it keeps, and the upgrade of one that the first released schema made."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from databases import first_on_sqlite, first_schema
from deciding import settle
from freezing import rows_of
from sqlalchemy import insert, text

from curation.example import Example, chat_row
from curation.review import Desk, Ruling, decide_all, open_desk, progress, undo
from curation.store import NewRow, Store, engine, open_store
from curation.store.engine import HEAD, KNOWN, MIGRATIONS
from curation.store.reading import begins_as, log_so_far
from curation.store.tables import decisions, events, gold, metadata, reviewers
from curation.store.writing import change_rows
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings


def opened(project: Project, url: str) -> Store:
    return open_store(project, Settings.model_validate({"store": {"url": url}}))


def test_rows_come_back_as_they_went_in(project: Project, url: str):
    rows = rows_of(5)
    with opened(project, url) as store:
        added = store.add([NewRow(row, line=k + 1, meta={"n": k}) for k, row in enumerate(rows)], role="pool")
        assert added.ids == ("r-000001", "r-000002", "r-000003", "r-000004", "r-000005")
        again = store.add(rows[3:] + rows_of(1, 9), role="pool")
        assert again.ids == ("r-000004", "r-000005", "r-000006") and again.new == ["r-000006"]
        assert store.add(rows[:1], role="test").new == ["r-000007"]
        twice = rows_of(1, 5) * 2
        assert list(store.add(twice, role="validation").twin) == [0, 1]
        assert len(store.add(twice, role="candidates", twins=True).new) == 2, "each line of a file counts"
    with opened(project, url) as store:
        found = store.rows(role="pool")
        assert [row.example.row for row in found[:5]] == [row.row for row in rows]
        assert [row.line for row in found[:5]] == [1, 2, 3, 4, 5] and found[2].meta == {"n": 2}
        assert store.row("r-000007").role == "test"
        counts = {"pool": {"unreviewed": 6}, "candidates": {"pending": 2}}
        assert store.counts() == {**counts, "test": {"unreviewed": 1}, "validation": {"unreviewed": 1}}
        with pytest.raises(RungError, match="r-000099"):
            store.row("r-000099")
        with pytest.raises(RungError, match='"row 1"'):
            store.row("row 1")


def test_the_hash_of_a_log_is_the_same_for_good(project: Project, url: str):
    """Reports and manifests name it: a column that a later version adds to the log, or another database, keeps it."""
    line = {"at": "2026-11-29T10:00:00+00:00", "actor": "sam", "kind": "frozen", "ref": "v001", "detail": '{"n": 1}'}
    decision = {"row_id": 1, "reviewer_id": 1, "verdict": "approve", "reason": "", "remark": "ü", "seconds": 0.1}
    with opened(project, url) as store:
        store.add(rows_of(1), role="pool")
        with store.write() as connection:
            connection.execute(insert(reviewers).values(id=1, name="dana", kind="person", at=line["at"]))
            connection.execute(insert(events).values(**line))
            connection.execute(insert(decisions).values(**decision, at=line["at"], token="t"))
            log = log_so_far(connection)
            connection.execute(insert(events).values(**line))
            assert begins_as(connection, log) and log_so_far(connection) != log
    assert log == "1+1 c10d4129802efd9ff71266aded671bbb1bb8bf709bd39c2ad0d3cd58cad0c5e1"


def test_changes_are_taken_back(project: Project, url: str):
    with opened(project, url) as store:
        store.add(rows_of(4), role="pool")
        proof = {2: {"kept": "r-000003"}}
        said = {"reason": "near duplicate", "finding": "duplicates", "evidence": lambda _: proof}
        with store.write() as connection:
            first = change_rows(connection, "exclude", [1, 2], {}, actor="rung", **said)
        second = store.exclude(["r-000002", "r-000004"], "leak", "leaks", actor="sam")
        assert [row.id for row in store.rows()] == ["r-000003"]
        gone = {row.id: (row.excluded, dict(row.evidence)) for row in store.rows(excluded=True)}
        assert gone["r-000002"] == ("near duplicate", {"kept": "r-000003"}) and gone["r-000004"][0] == "leak"
        assert store.undo(first) == ["r-000001", "r-000002"]
        assert [row.id for row in store.rows()] == ["r-000001", "r-000002", "r-000003"]
        with pytest.raises(RungError, match=f" {first} "):
            store.undo(first)
        assert [change.id for change in store.changes()] == [second]
        assert [event.kind for event in store.events(actor="sam")] == ["exclude"]
        mark = store.mark(["r-000001"], "validation")
        assert store.row("r-000001").mark == "validation"
        store.undo(mark)
        assert store.row("r-000001").mark == ""
        with pytest.raises(RungError, match="r-000077"):
            store.exclude(["r-000077"], "x", "y")


def test_the_database_itself_refuses_to_change_a_decision(make_desk, url: str):
    desk = make_desk(url=url, candidates=1)
    decide_all(desk, "dana", [("r-000001", Ruling("approve"))], kind="person")
    for statement in ("UPDATE decisions SET verdict = 'reject'", "DELETE FROM decisions"):
        with pytest.raises(RungError, match="append-only"), desk.store.write() as connection:
            connection.execute(text(statement))


def test_the_migrations_end_in_the_schema_of_a_new_database(project: Project, url: str):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == set(KNOWN)
    first_schema(project, url)
    with opened(project, url) as store, store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_from_a_newer_version_is_refused_and_left_alone(project: Project, url: str):
    with opened(project, url) as store, store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
        connection.execute(text("UPDATE facts SET value = '9.9' WHERE key = 'program'"))
    before = None if url else project.database_file.read_bytes()
    with pytest.raises(RungError) as refused:
        opened(project, url)
    assert refused.value.found == "9.9"
    if not url:
        assert project.database_file.read_bytes() == before


def test_another_database_kind_is_refused(project: Project):
    for url, found in (("mysql://localhost/x", "mysql"), ("no url", "no url")):
        with pytest.raises(RungError) as told:
            opened(project, url)
        assert (told.value.where, told.value.found) == ("rung.toml", found)
    with pytest.raises(RungError, match=r"127\.0\.0\.1:1"):
        opened(project, "postgresql://rung@127.0.0.1:1/x")


def test_a_database_holds_the_rows_of_one_project(project: Project, postgres):
    """The second project is told at once, and reads nothing; a schema of its own, or the first one's name, opens."""
    url = postgres()
    names = {name: Settings.model_validate({"project": {"name": name}, "store": {"url": url}}) for name in ("ta", "tb")}
    with open_store(project, names["ta"]) as store:
        store.add(rows_of(2), role="pool")
    with pytest.raises(RungError) as told:
        open_store(project, names["tb"])
    assert (told.value.expected, told.value.found, told.value.exit_code) == ("ta", "tb", 2)
    with open_store(project, names["ta"]) as store:
        assert len(store.rows()) == 2
        with store.engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA tb")
    own = Settings.model_validate({"project": {"name": "tb"}, "store": {"url": f"{url}?options=-csearch_path%3Dtb"}})
    with open_store(project, own) as store:
        assert store.rows() == []


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


def test_the_database_is_for_its_owner_alone(project: Project):
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


def test_gold_items_of_an_older_file_end_and_what_comes_later_counts(make_desk):
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
