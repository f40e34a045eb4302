from __future__ import annotations

import pytest
from databases import first_schema
from sqlalchemy import insert

from curation.store import NewRow, Store, open_store
from curation.store.engine import HEAD, KNOWN, MIGRATIONS
from curation.store.reading import begins_as, log_so_far
from curation.store.tables import decisions, events, reviewers
from curation.store.writing import change_rows
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings


def opened(project: Project, url: str) -> Store:
    return open_store(project, Settings.model_validate({"store": {"url": url}}))


def test_rows_come_back_as_they_went_in(project: Project, url: str, rows_of):
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


def test_the_hash_of_a_log_is_the_same_for_good(project: Project, url: str, rows_of):
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


def test_changes_are_taken_back(project: Project, url: str, rows_of):
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
    from sqlalchemy import text

    from curation.review import Ruling, decide_all

    desk = make_desk(url=url, candidates=1)
    decide_all(desk, "dana", [("r-000001", Ruling("approve"))], kind="person")
    for statement in ("UPDATE decisions SET verdict = 'reject'", "DELETE FROM decisions"):
        with pytest.raises(RungError, match="append-only"), desk.store.write() as connection:
            connection.execute(text(statement))


def test_the_migrations_end_in_the_schema_of_a_new_database(project: Project, url: str):
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from curation.store.tables import metadata

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == set(KNOWN)
    first_schema(project, url)
    with opened(project, url) as store, store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_from_a_newer_version_is_refused_and_left_alone(project: Project, url: str):
    from sqlalchemy import text

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


def test_a_database_holds_the_rows_of_one_project(project: Project, postgres, rows_of):
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
