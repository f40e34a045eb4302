"""Tables: CSV, Parquet, saved datasets and workbooks, whose columns are guessed and told, or named."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from datetime import date, datetime

import in_shell
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from rows_in_files import TURNS, rows_of, write

from curation.rows import Columns, Reject, Row
from workspace.errors import InputError, RungError


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
    path = tmp_path / f"t.{kind}"
    header = ["question", "answer", "note"]
    if kind.startswith(("csv", "tsv")):
        text = io.StringIO()
        csv.writer(
            text, delimiter="\t" if kind == "tsv" else ",", lineterminator="\n", quoting=csv.QUOTE_ALL
        ).writerows([header, *table])
        raw = text.getvalue().encode()
        path.write_bytes(gzip.compress(raw[:9]) + gzip.compress(raw[9:]) if kind.endswith("gz") else raw)
    else:
        rows = [dict(zip(header, cells, strict=True)) for cells in table]
        if kind == "parquet":
            pq = pytest.importorskip("pyarrow.parquet")
            pq.write_table(pytest.importorskip("pyarrow").Table.from_pylist(rows), path)
        elif kind == "json":
            path.write_text(json.dumps(rows, indent=2))
        else:
            lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
            squeeze = pytest.importorskip("zstandard").compress
            path.write_bytes(squeeze(lines[:9]) + squeeze(lines[9:]))
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
        swell(path, "xl/worksheets/sheet1.xml", 400 << 20)
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


def swell(path, part, size):
    """Pack the part again with so many blanks in it."""
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, content in parts.items():
            with packed.open(name, "w", force_zip64=True) as file:
                head, mark, tail = content.partition(b"<sheetData>")
                file.write(head + mark)
                for _ in range(size >> 20 if name == part else 0):
                    file.write(b" " * (1 << 20))
                file.write(tail)


def test_columns_of_a_sheet_are_named(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Rows={1: ("Frage", "Antwort", None, "x"), 2: ("wie", "so", None, 1)})
    with pytest.raises(RungError) as unclear:
        rows_of(path)
    assert unclear.value.found.split(", ") == ["Frage", "Antwort", "x"]
    (row,) = rows_of(path, columns=Columns("Frage", "Antwort"))
    assert row.example.question == "wie" and row.example.row["x"] == "1"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"question,answer\na,b\n"])
def test_a_file_that_is_no_workbook_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(RungError) as wrong:
        rows_of(path)
    assert wrong.value.where == str(path) and not isinstance(wrong.value, InputError)


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
