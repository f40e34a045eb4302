"""Folders, pipes, standard input, other encodings, files that change while they are read, databases, and the Hub."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import in_process
import in_shell
import pytest
from databases import postgres  # noqa: F401
from rows_in_files import SOUND, rows_of, write

from curation.rows import Columns, Reject, Row, read_rows, source
from curation.rows.rejects import malformed_error
from curation.rows.rowfile import RowFile
from curation.rows.source import lines_of, open_bytes
from workspace.errors import RungError


def test_a_folder_is_its_data_files_in_order(tmp_path):
    write(tmp_path / "b.jsonl", SOUND)
    write(tmp_path / "a.csv", "question,answer", "x,y")
    write(tmp_path / "README.md", "no rows")
    write(tmp_path / ".hidden.jsonl", SOUND)
    assert [(Path(item.file).name, item.line) for item in rows_of(tmp_path)] == [("a.csv", 2), ("b.jsonl", 1)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RungError) as nothing:
        rows_of(tmp_path / "empty")
    assert nothing.value.where == str(tmp_path / "empty") and ".jsonl" in nothing.value.hint


def test_files_that_are_none(tmp_path, monkeypatch):
    write(tmp_path / "rows.jsonl", SOUND)
    with pytest.raises(RungError, match=r'"rows\.jsonl"'):
        rows_of(tmp_path / "row.jsonl")
    with pytest.raises(RungError, match="/dev/null"):
        rows_of(Path("/dev/null"))
    (tmp_path / "u.jsonl").write_bytes(SOUND.encode("utf-16"))
    with pytest.raises(RungError, match="UTF-16"):
        rows_of(tmp_path / "u.jsonl")
    (tmp_path / "e.jsonl").write_bytes(b"")
    assert rows_of(tmp_path / "e.jsonl") == []
    with pytest.raises(RungError) as wrong:
        rows_of(tmp_path / "rows.jsonl", "jsonll")
    assert wrong.value.found == "jsonll"
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(source, "WAIT", 0.05)
    with pytest.raises(RungError, match="nobody wrote"):
        rows_of(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jsonl", SOUND + "\n" + SOUND[:-1] + " " * 300_000), ("a.json", f"[{SOUND}, {SOUND} {' ' * 300_000}]"),
     ("a.csv", "question,answer\nq," + "a" * 300_000 + "\n")],
)  # fmt: skip
def test_a_line_that_would_fill_memory_is_refused(tmp_path, monkeypatch, name, text):
    path = write(tmp_path / name, text)
    assert rows_of(path)
    monkeypatch.setattr(source, "LONGEST", 200_000)
    with pytest.raises(RungError) as refused:
        rows_of(path)
    assert refused.value.where == str(path)


def test_a_file_that_grows_shrinks_or_vanishes_while_it_is_read(tmp_path):
    path = write(tmp_path / "a.jsonl", *[SOUND] * 5000)
    reading = read_rows(path)
    next(reading)
    with path.open("ab") as file:
        file.write(SOUND.encode()[:20])
    assert sum(isinstance(item, Row) for item in reading) == 4999
    write(path, *[SOUND] * 50_000)
    with open_bytes(path) as file:
        lines = lines_of(file)
        next(lines)
        os.truncate(path, 100_000)
        with pytest.raises(RungError, match="shorter"):
            list(lines)
    write(path, *[SOUND] * 5000)
    reading = read_rows(path)
    next(reading)
    path.unlink()
    assert sum(1 for _ in reading) == 4999


def test_a_file_that_is_written_anew_while_it_is_read_is_told_and_not_called_malformed(tmp_path):
    path = write(tmp_path / "a.jsonl", *[SOUND] * 50_000)
    size = path.stat().st_size
    reading = read_rows(path)
    next(reading)
    path.write_bytes(b"x" * size)
    with pytest.raises(RungError, match="changed"):
        list(reading)
    size = write(path, *[SOUND] * 20).stat().st_size
    with RowFile([path]) as files:
        rows = sum(1 for _ in files)
        files.fetch([0])
        os.truncate(path, size - 10)
        with pytest.raises(RungError, match="changed"):
            files.fetch([rows - 1])
        with pytest.raises(RungError, match="changed"):
            files.fetch([0])


@pytest.mark.parametrize(
    ("name", "data", "way"),
    [
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd" + b"garbage" * 50, ""),
        ("a.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 900, mtime=0)[:-20], ""),
        ("a.jsonl.gz", gzip.compress(gzip.compress(b'{"text": "a"}\n', mtime=0), mtime=0), "unpack it"),
    ],
)
def test_a_broken_archive_is_told_in_one_sentence(tmp_path: Path, name: str, data: bytes, way: str) -> None:
    pytest.importorskip("zstandard")
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(RungError) as broken:
        rows_of(path)
    assert broken.value.where == str(path) and broken.value.hint.startswith(way)


NAMED = Columns(question="Frage", answer="Antwort")
ICONV = 'iconv -f WINDOWS-1252 -t UTF-8 "{}" > utf8.csv'


@pytest.mark.parametrize(("last", "way"), [("draußen", ICONV), ("", "--rejects")], ids=["all", "one"])
def test_cells_that_are_not_utf8_are_no_rows_to_do_without_and_one_bad_line_is(
    tmp_path: Path, last: str, way: str
) -> None:
    path = tmp_path / "tickets.csv"
    path.write_bytes(f"Frage;Antwort\nfür wen;mich\nwo;{last}\n".encode("cp1252"))
    rejects = [row for row in read_rows(path, columns=NAMED) if isinstance(row, Reject)]
    assert len(rejects) == 2 and way.format(path) in malformed_error(rejects).hint


ROWS = [("how do I pay", "billing", 1.5), ("where is my parcel", "delivery", None), ("how do I pay", "billing", 2.0)]


@pytest.fixture
def project(tmp_path):
    assert in_shell.rung("init", ".", cwd=tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "desk.db") as database:
        database.execute("create table tickets (body text, label text, weight real, talk text)")
        talk = json.dumps([{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "hi"}])
        database.executemany("insert into tickets values (?, ?, ?, ?)", [(*row, talk) for row in ROWS])
    return tmp_path


def imported(project, query, *more, code=0, url="sqlite:///desk.db"):
    (project / "rows.sql").write_text(query)
    done = in_shell.rung("data", "import", "--sql", url, "--query", "rows.sql", "--json", *more, cwd=project)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)["files"][0] if code == 0 else done.stderr


def test_rows_of_a_query_are_imported_a_second_time_known_and_their_columns_are_named(project):
    found = imported(project, "select body as question, label as answer, weight from tickets -- 100% :all")
    assert (found["read"], found["kept"], found["exact"]) == (3, 2, 1)
    assert "desk.db" in found["file"] and "rows.sql" in found["file"]
    again = imported(project, "select body as question, label as answer, weight from tickets -- 100% :all")
    assert (again["read"], again["known"]) == (3, 3)
    why = in_shell.rung("why", found["first"], cwd=project)
    assert why.returncode == 0 and "rows.sql" in why.stdout
    named = imported(project, "select body, label from tickets", "--question", "body", "--answer", "label")
    assert named["read"] == 3
    talk = imported(project, "select talk as messages from tickets limit 1")
    assert talk["kept"] == 1


def test_a_query_that_changes_something_or_is_none_is_refused(project):
    before = hashlib.sha256((project / "desk.db").read_bytes()).digest()
    for query in (
        "delete from tickets", "update tickets set label = 'x'", "attach 'new.db' as n", "pragma user_version = 9",
        "select 1; delete from tickets", "with gone as (select 1) delete from tickets", "no sql at all", "",
        "select body, label as body from tickets",
    ):  # fmt: skip
        assert "Traceback" not in imported(project, query, code=2)
        assert hashlib.sha256((project / "desk.db").read_bytes()).digest() == before
        assert not (project / "new.db").exists()


def test_a_query_without_rows_a_missing_database_and_another_kind_are_refused(project):
    assert "no rows" in imported(project, "select body as question, label as answer from tickets where 0", code=2)
    assert "none.db" in imported(project, "select 1", code=2, url="sqlite:///none.db")
    assert "mysql" in imported(project, "select 1", code=2, url="mysql://me:secret@127.0.0.1/x")
    told = imported(project, "select 1", code=2, url="postgresql://me:secret@127.0.0.1:1/x")
    assert "secret" not in told and "127.0.0.1" in told
    for words in ([], ["--sql", "sqlite:///desk.db"], ["--query", "rows.sql"], ["--split", "test", "rows.sql"]):
        assert in_shell.rung("data", "import", *words, cwd=project).returncode == 2


CSV = b"text,label\n" + b"".join(b"question number %d of its own,answer %d\n" % (n, n) for n in range(5))
FILES = {"README.md": b"---\nlicense: mit\n---\n", "train.csv": CSV, "test.csv": CSV[: CSV.index(b"question number 2")]}
COMMIT = "a" * 40


def hub(handler, request):
    """As much of the Hub as one public dataset of two CSV files needs."""
    path = request[1].split("?")[0]
    of_commit, api = {"X-Repo-Commit": COMMIT}, "/api/datasets/me/rows"
    hashes = {name: hashlib.sha1(content).hexdigest() for name, content in FILES.items()}
    for name, content in FILES.items():
        if path == f"/datasets/me/rows/resolve/{COMMIT}/{name}":
            return 200, content, {**of_commit, "ETag": f'"{hashes[name]}"'}
    if path.startswith(f"{api}/tree"):
        return 200, [{"type": "file", "path": n, "size": len(FILES[n]), "oid": hashes[n]} for n in FILES], of_commit
    if path in (api, f"{api}/revision/v1", f"{api}/revision/{COMMIT}"):
        return 200, {"id": "me/rows", "sha": COMMIT, "siblings": [{"rfilename": n} for n in FILES]}, of_commit
    return 404, {}, {**of_commit, "X-Error-Code": "RepoNotFound" if path.startswith("/api/") else "EntryNotFound"}


IMPORTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from in_process import rung
print(json.dumps([rung("data", "import", "hf://me/rows", *words, "--json") for words in json.loads(sys.argv[2])]))
"""


@pytest.mark.cold
def test_a_split_of_a_pinned_revision_of_the_hub_is_imported(project, loopback):
    pytest.importorskip("datasets")
    loopback.say(hub)
    online = {"HF_ENDPOINT": loopback.url, "HF_HOME": str(project / "hub"), "HF_HUB_OFFLINE": "0"}

    def run(*lines, **more):
        """How each import ended; one process loads the library for all of them."""
        command = [sys.executable, "-c", IMPORTS, Path(in_process.__file__).parent, json.dumps(lines)]
        environment = {**os.environ, **online, **more, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
        return [in_process.Done(*each) for each in json.loads(done.stdout)]

    train, test, *wrong = run(
        ["--revision", "v1"], ["--split", "test", "--as", "test"], ["--split", "none"], ["--revision", "none"]
    )
    assert train.returncode == 0, train.stderr
    (found,) = json.loads(train.stdout)["files"]
    assert found["file"] == f"hf://me/rows@{COMMIT} train" and found["kept"] == 5
    assert json.loads(test.stdout)["files"][0]["read"] == 2
    assert [each.returncode for each in wrong] == [2, 2]
    (away,) = run([], HF_HUB_OFFLINE="1")
    assert away.returncode == 2 and "Hub" in away.stderr and len(away.stderr.strip().splitlines()) == 2


def test_a_postgresql_query_is_read_and_cannot_write(project, postgres):  # noqa: F811
    import psycopg

    url = postgres()
    with psycopg.connect(url) as connection:
        connection.execute("create table tickets (body text, label text, at timestamptz, cost numeric, talk jsonb)")
        connection.execute("insert into tickets values ('how do I pay', 'billing', now(), 1.50, '[]')")
    found = imported(
        project, "select body as question, label as answer, at, cost from tickets where body like '%pay'", url=url
    )
    assert found["kept"] == 1 and url.split("@")[1] in found["file"]
    imported(project, "with gone as (delete from tickets returning *) select * from gone", url=url, code=2)
    imported(project, "select set_config('transaction_read_only', 'off', false), lo_create(0)", url=url, code=2)
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from tickets").fetchone() == (1,)
