"""Rows of a database and of a dataset of the Hub, through `rung data import`."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import in_process
import in_shell
import pytest
from databases import postgres  # noqa: F401

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


def test_the_rows_of_a_query_are_imported_and_a_second_time_known(project):
    found = imported(project, "select body as question, label as answer, weight from tickets -- 100% :all")
    assert (found["read"], found["kept"], found["exact"]) == (3, 2, 1)
    assert "desk.db" in found["file"] and "rows.sql" in found["file"]
    again = imported(project, "select body as question, label as answer, weight from tickets -- 100% :all")
    assert (again["read"], again["known"]) == (3, 3)
    why = in_shell.rung("why", found["first"], cwd=project)
    assert why.returncode == 0 and "rows.sql" in why.stdout


def test_columns_are_named_and_a_list_of_messages_is_read(project):
    named = imported(project, "select body, label from tickets", "--question", "body", "--answer", "label")
    assert named["read"] == 3
    talk = imported(project, "select talk as messages from tickets limit 1")
    assert talk["kept"] == 1


@pytest.mark.parametrize("query", [
    "delete from tickets", "update tickets set label = 'x'", "attach 'new.db' as n", "pragma user_version = 9",
    "select 1; delete from tickets", "with gone as (select 1) delete from tickets", "no sql at all", "",
    "select body, label as body from tickets",
])  # fmt: skip
def test_a_query_that_changes_something_or_is_none_is_refused(project, query):
    before = hashlib.sha256((project / "desk.db").read_bytes()).digest()
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


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as one public dataset of two CSV files needs."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Write nothing."""

    def do_GET(self):
        path = self.path.split("?")[0]
        for name, content in FILES.items():
            if path == f"/datasets/me/rows/resolve/{COMMIT}/{name}":
                return self.give(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"')
        if path.startswith("/api/datasets/me/rows/tree"):
            found = [{"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                     for name, content in FILES.items()]  # fmt: skip
            return self.give(200, json.dumps(found).encode())
        if path in ("/api/datasets/me/rows", *(f"/api/datasets/me/rows/revision/{name}" for name in ("v1", COMMIT))):
            found = {"id": "me/rows", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES], "tags": []}
            return self.give(200, json.dumps(found).encode())
        return self.give(404, b"{}", X_Error_Code="RepoNotFound" if path.startswith("/api/") else "EntryNotFound")

    do_HEAD = do_GET

    def give(self, code, body, **headers):
        self.send_response(code)
        for name, value in {"Content-Length": len(body), "Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def hub(project):
    pytest.importorskip("datasets")
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(project / "hub"),
               "HF_HUB_OFFLINE": "0"}  # fmt: skip
        server.shutdown()


IMPORTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from in_process import rung
print(json.dumps([rung("data", "import", "hf://me/rows", *words, "--json") for words in json.loads(sys.argv[2])]))
"""


@pytest.mark.cold
def test_a_split_of_a_pinned_revision_of_the_hub_is_imported(project, hub):
    def run(*lines, **more):
        """How each import ended; one process loads the library for all of them."""
        command = [sys.executable, "-c", IMPORTS, Path(in_process.__file__).parent, json.dumps(lines)]
        environment = {**os.environ, **hub, **more, "PYTHONPATH": str(Path(__file__).parents[2])}
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
