"""Folders, pipes, standard input, other encodings, and files that change while they are read."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path

import pytest
from rows_in_files import SOUND, rows_of, talk, write

from curation.rows import Columns, Reject, Row, read_rows, write_rejects
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


def test_files_that_are_none(tmp_path):
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


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jsonl", SOUND + "\n" + SOUND[:-1] + " " * 300_000), ("a.json", f"[{SOUND}, {SOUND} {' ' * 300_000}]"),
     ("a.csv", "question,answer\nq," + "a" * 300_000 + "\n")],
)  # fmt: skip
def test_a_line_that_would_fill_memory_is_refused(tmp_path, monkeypatch, name, text):
    from curation.rows import source

    path = write(tmp_path / name, text)
    assert rows_of(path)
    monkeypatch.setattr(source, "LONGEST", 200_000)
    with pytest.raises(RungError) as refused:
        rows_of(path)
    assert refused.value.where == str(path)


def test_a_pipe_is_read_and_one_that_nobody_writes_to_is_refused(tmp_path, monkeypatch):
    from curation.rows import source

    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes((SOUND + "\n").encode() * 2000))
    writer.start()
    assert len(rows_of(tmp_path / "pipe")) == 2000
    writer.join()
    monkeypatch.setattr(source, "WAIT", 0.05)
    with pytest.raises(RungError, match="nobody wrote"):
        rows_of(tmp_path / "pipe")


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


def test_unanswered_rows_are_sound_where_asked_for(tmp_path):
    path = write(tmp_path / "a.jsonl", talk("user"), talk("user", "assistant", "user"), talk("assistant"))
    assert [isinstance(item, Row) for item in read_rows(path, unanswered=True)] == [True, True, False]
    assert [isinstance(item, Row) for item in read_rows(path)] == [False, False, False]


def test_rejects_keep_every_byte(tmp_path):
    path = write(tmp_path / "a.jsonl", b"\xff\xfe bad \xc3", "nope", "{\u2028")
    write_rejects(tmp_path / "r.jsonl", [item for item in read_rows(path) if isinstance(item, Reject)])
    kept = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().split("\n") if line]
    assert [k["raw"].encode("utf-8", "surrogateescape") for k in kept] == [
        b"\xff\xfe bad \xc3",
        b"nope",
        "{\u2028".encode(),
    ]
    assert set(kept[0]) >= {"line", "file", "field", "reason", "raw"}


@pytest.mark.parametrize("command", ["read", "check"])
@pytest.mark.parametrize(
    ("name", "data", "way"),
    [
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd" + b"garbage" * 50, ""),
        ("a.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 900, mtime=0)[:-20], ""),
        ("a.jsonl.gz", gzip.compress(gzip.compress(b'{"text": "a"}\n', mtime=0), mtime=0), "unpack it"),
    ],
)
def test_a_broken_archive_is_told_in_one_sentence(
    tmp_path: Path, name: str, data: bytes, way: str, command: str
) -> None:
    pytest.importorskip("zstandard")
    from curation.checks.run import check_files

    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(RungError) as broken:
        list(read_rows(path)) if command == "read" else check_files([path])
    assert broken.value.where == str(path) and broken.value.hint.startswith(way)


NAMED = Columns(question="Frage", answer="Antwort")
ICONV = 'iconv -f WINDOWS-1252 -t UTF-8 "{}" > utf8.csv'


@pytest.mark.parametrize(
    ("data", "way"),
    [
        ("Frage;Antwort;Kürzel\nwo;da;x\n".encode("cp1252"), ICONV),
        (b"z8\xbd\x9b<:O\xa9\r!\xf2C\x12\nmore\n", "save it"),
    ],
    ids=["header in another encoding", "no table"],
)
def test_a_header_that_cannot_be_read_is_told_as_such(tmp_path: Path, data: bytes, way: str) -> None:
    path = tmp_path / "tickets.csv"
    path.write_bytes(data)
    with pytest.raises(RungError) as caught:
        list(read_rows(path))
    assert caught.value.where == f"{path} line 1" and way.format(path) in caught.value.hint
    assert "\udcfc" not in caught.value.message and "Columns: ." not in caught.value.message


@pytest.mark.parametrize(("last", "way"), [("draußen", ICONV), ("", "--rejects")], ids=["all", "one"])
def test_cells_that_are_not_utf8_are_no_rows_to_do_without_and_one_bad_line_is(
    tmp_path: Path, last: str, way: str
) -> None:
    path = tmp_path / "tickets.csv"
    path.write_bytes(f"Frage;Antwort\nfür wen;mich\nwo;{last}\n".encode("cp1252"))
    rejects = [row for row in read_rows(path, columns=NAMED) if isinstance(row, Reject)]
    assert len(rejects) == 2 and way.format(path) in malformed_error(rejects).hint
