"""Where rows come from: folders, pipes, other encodings, files that change while they are read, databases, the Hub.

Tables: CSV, Parquet, saved datasets and workbooks, whose columns are guessed and told, or named.
"""

import csv
import gzip
import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path

import in_process
import in_shell
import pytest
from databases import postgres  # noqa: F401
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from rows_in_files import SOUND, TURNS, rows_of, write

from curation.rows import Columns, Reject, Row, read_rows, source
from curation.rows.rejects import malformed_error
from curation.rows.rowfile import RowFile
from curation.rows.source import lines_of, open_bytes
from workspace.errors import InputError, RungError


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
    ids=["lines", "array", "table"],
)  # fmt: skip
def test_a_line_that_would_fill_memory_is_refused(tmp_path, monkeypatch, name, text):
    path = write(tmp_path / name, text)
    assert rows_of(path)
    monkeypatch.setattr(source, "LONGEST", 200_000)
    with pytest.raises(RungError) as refused:
        rows_of(path)
    assert refused.value.where == str(path)


def test_a_file_that_grows_shrinks_vanishes_or_is_written_anew_while_it_is_read_is_not_called_malformed(tmp_path):
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
    size = write(path, *[SOUND] * 50_000).stat().st_size
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
        ("a.xlsx", b"", ""),
        ("a.xlsx", b"PK\x03\x04 and no more", ""),
        ("a.xlsx", b"question,answer\na,b\n", ""),
    ],
)
def test_a_broken_archive_or_workbook_is_told_in_one_sentence(tmp_path: Path, name: str, data: bytes, way: str) -> None:
    pytest.importorskip("zstandard")
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(RungError) as broken:
        rows_of(path)
    assert broken.value.where == str(path) and broken.value.hint.startswith(way)
    assert not isinstance(broken.value, InputError)


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


def test_a_query_that_changes_something_is_none_or_reaches_no_rows_is_refused(project):
    before = hashlib.sha256((project / "desk.db").read_bytes()).digest()
    for query in (
        "delete from tickets", "update tickets set label = 'x'", "attach 'new.db' as n", "pragma user_version = 9",
        "select 1; delete from tickets", "with gone as (select 1) delete from tickets", "no sql at all", "",
        "select body, label as body from tickets",
    ):  # fmt: skip
        assert "Traceback" not in imported(project, query, code=2)
        assert hashlib.sha256((project / "desk.db").read_bytes()).digest() == before
        assert not (project / "new.db").exists()
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


def test_records_that_do_not_fit_their_header_are_rejects_and_lose_nothing(tmp_path):
    path = write(tmp_path / "a.tsv", "question\tanswer", "a\tb", "a", "a\tb\tc", "a\t", b"\xff\tb", "x\ty\0", "q\tr")
    found = rows_of(path)
    assert [isinstance(item, Row) for item in found] == [True, False, False, False, False, False, True]
    assert found[4].raw == b"\xff\tb"
    row, unclosed = rows_of(write(tmp_path / "a.csv", "question,answer", "a,b", 'c,"d', "e,f"))[:2]
    assert isinstance(row, Row) and isinstance(unclosed, Reject)
    assert unclosed.line == 3 and unclosed.raw.startswith(b'c,"d\ne,f')


def test_parquet_and_saved_datasets_are_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import ipc, parquet

    tool = {"role": "assistant", "content": "a", "name": None}
    table = pyarrow.Table.from_pylist([{"messages": [{**TURNS[0], "name": "n"}, tool], "id": i} for i in range(3)])
    parquet.write_table(table, tmp_path / "a.parquet")
    found = rows_of(tmp_path / "a.parquet")
    assert [item.line for item in found] == [1, 2, 3]
    assert found[1].example.row == {
        "messages": [{**TURNS[0], "name": "n"}, {"role": "assistant", "content": "a"}],
        "id": 1,
    }
    saved = tmp_path / "saved" / "train"
    saved.mkdir(parents=True)
    (saved / "dataset_info.json").write_text("{}")
    with ipc.new_stream(saved / "data-00000-of-00001.arrow", table.schema) as sink:
        sink.write_table(table)
    assert [item.example.row["id"] for item in rows_of(tmp_path / "saved")] == [0, 1, 2]


def test_columns_of_json_and_class_labels_of_datasets_are_read_as_what_they_are(tmp_path):
    datasets = pytest.importorskip("datasets")
    labels = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    made = datasets.Dataset.from_list([{"text": "q", "label": 1}], features=labels)
    made.to_parquet(str(tmp_path / "labels.parquet"))
    (row,) = rows_of(tmp_path / "labels.parquet")
    assert row.example.messages[-1]["content"] == "yes"
    if not hasattr(datasets, "Json"):
        pytest.skip("columns of JSON are written by datasets 4.7 and later")
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "arguments": {"x": None}}]}
    result = {"role": "tool", "content": "42"}
    given = [{"messages": TURNS, "id": 1}, {"messages": [TURNS[0], call, result, TURNS[1]], "id": "x"}]
    features = datasets.Features({"messages": datasets.Json(), "id": datasets.Json()})
    datasets.Dataset.from_list(given, features=features).save_to_disk(tmp_path / "saved")
    assert [item.example.row for item in rows_of(tmp_path / "saved")] == given


CELL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(
    table=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=4),
    kind=st.sampled_from(["csv", "tsv", "csv.gz", "parquet", "json", "zst"]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_in_any_packing_gives_back_every_cell(tmp_path, table, kind):
    """Quotes, line ends, tabs, commas and other scripts inside of cells; the third column is another key.

    What is packed is known by its content, and read to its last part.
    """
    zstandard, path = pytest.importorskip("zstandard"), tmp_path / f"t.{kind}"
    header = ["question", "answer", "note"]
    rows = [dict(zip(header, cells, strict=True)) for cells in table]
    if kind == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pytest.importorskip("pyarrow").Table.from_pylist(rows), path)
    else:
        text = io.StringIO()
        if kind == "json":
            json.dump(rows, text, indent=2)
        elif kind == "zst":
            text.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            csv.writer(text, delimiter="\t" if kind == "tsv" else ",", quoting=csv.QUOTE_ALL).writerows(
                [header, *table]
            )
        squeeze = {"csv.gz": gzip.compress, "zst": zstandard.compress}.get(kind, bytes)
        raw = text.getvalue().encode()
        path.write_bytes(squeeze(raw[:9]) + squeeze(raw[9:]))
    found = [(*(m["content"] for m in item.example.messages), item.example.row["note"]) for item in rows_of(path)]
    assert found == table


def workbook(path, **sheets):
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for place, cells in rows.items():
            for letter, value in zip("BCDE", cells, strict=False):
                sheet[f"{letter}{place}"] = value
    book.save(path)
    return path


HEAD = ("question", "answer", "when")


def test_a_sheet_is_read_with_its_row_numbers_and_values(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Rows={
        2: HEAD, 3: ("how many", 3, date(2026, 1, 2)), 5: ("is it", True, datetime(2026, 1, 2, 3, 4)),
        6: ("how much", 2.5, "so"), 7: ("never worked out", "=1+1"), 8: ("{odd},\nlines", "yes"),
    })  # fmt: skip
    told = []
    found = rows_of(path, notice=told.append)
    assert [item.line for item in found] == [3, 5, 6, 7, 8]
    assert [item.example.answer for item in found if not isinstance(item, Reject)] == ["3", "TRUE", "2.5", "yes"]
    assert found[0].example.row["when"] == "2026-01-02" and found[1].example.row["when"] == "2026-01-02 03:04:00"
    assert isinstance(found[3], Reject) and found[3].field == "answer"
    assert not any("--sheet" in text for text in told)


def test_of_two_sheets_the_first_is_read_and_the_other_named(tmp_path):
    path = workbook(tmp_path / "a.xlsx", One={1: HEAD, 2: ("a", "b")}, Two={1: HEAD, 2: ("c", "d"), 3: ("e", "f")})
    told = []
    assert len(rows_of(path, notice=told.append)) == 1 and '"Two"' in told[0]
    assert [item.example.answer for item in rows_of(path, columns=Columns(sheet="Two"))] == ["d", "f"]
    with pytest.raises(RungError, match="Two") as wrong:
        rows_of(path, columns=Columns(sheet="Twoo"))
    assert wrong.value.found == "Twoo"
    with pytest.raises(RungError, match="--sheet"):
        rows_of(write(tmp_path / "a.csv", "question,answer", "a,b"), columns=Columns(sheet="Two"))


@pytest.mark.parametrize("fault", ["far cell", "bomb"])
def test_a_small_file_that_needs_all_memory_is_refused(tmp_path, fault, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", Rows={1: HEAD, 2: ("a", "b")})
    if fault == "far cell":
        book = load_workbook(path)
        book.active["XFD1048576"] = "x"
        book.save(path)
    else:
        monkeypatch.setattr("curation.rows.table.MEMORY", 300 << 20)
        with zipfile.ZipFile(path) as packed:
            parts = {name: packed.read(name).partition(b"<sheetData>") for name in packed.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for name, (head, mark, tail) in parts.items():
                with packed.open(name, "w", force_zip64=True) as file:
                    file.write(head + mark)
                    file.writelines([b" " * (1 << 20)] * (400 if mark else 0))
                    file.write(tail)
    assert path.stat().st_size < 4 << 20
    with pytest.raises(RungError, match="too large"):
        rows_of(path)


def test_a_workbook_is_read_without_the_folder_s_own_code(tmp_path, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", Rows={1: HEAD, 2: ("a", "b")})
    for name in ("resource", "python_calamine"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    assert len(rows_of(path)) == 1
    assert not (tmp_path / "ran").exists()


def test_columns_of_a_sheet_are_named(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Rows={1: ("Frage", "Antwort", None, "x"), 2: ("wie", "so", None, 1)})
    with pytest.raises(RungError) as unclear:
        rows_of(path)
    assert unclear.value.found.split(", ") == ["Frage", "Antwort", "x"]
    (row,) = rows_of(path, columns=Columns("Frage", "Antwort"))
    assert row.example.question == "wie" and row.example.row["x"] == "1"


def test_every_command_that_reads_rows_reads_a_sheet(tmp_path):
    rows = {1: HEAD, **{n: (f"question {n} of its own kind", f"answer {n}") for n in range(2, 6)}}
    rows[6] = rows[5]
    workbook(tmp_path / "a.xlsx", Notes={}, Rows=rows)
    sheet = ("a.xlsx", "--sheet", "Rows", "--json")
    assert in_shell.rung("init", ".", cwd=tmp_path).returncode == 0
    imported = json.loads(in_shell.rung("data", "import", *sheet, cwd=tmp_path).stdout)["files"][0]
    assert (imported["read"], imported["kept"], imported["exact"]) == (5, 4, 1)
    assert json.loads(in_shell.rung("data", "convert", *sheet, "-o", "c.jsonl", cwd=tmp_path).stdout)["written"] == 5
    assert json.loads(in_shell.rung("data", "check", *sheet, cwd=tmp_path).stdout)["read"] == 5
    assert json.loads(in_shell.rung("data", "dedup", *sheet, "-o", "d.jsonl", cwd=tmp_path).stdout)["kept"] == 4
    assert json.loads((tmp_path / "d.jsonl").read_text().split("\n")[0])["messages"][1]["content"] == "answer 2"
    empty = in_shell.rung("data", "import", "a.xlsx", cwd=tmp_path)
    assert empty.returncode == 2 and "no rows" in empty.stderr
