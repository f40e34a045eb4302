"""Tables: CSV, Parquet and saved datasets, whose columns are guessed and told, or named."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows_in_files import TURNS, rows_of, write

from curation.rows import Columns, Reject, Row
from workspace.errors import RungError


def test_csv_columns_are_guessed_and_told_or_named(tmp_path):
    path = write(tmp_path / "a.csv", "text,category,note", '"multi', 'line, ""x""",lost,n1', "second,found,n2")
    told = []
    found = rows_of(path, notice=told.append)
    assert [item.line for item in found] == [2, 4]
    assert found[0].example.row == {
        "messages": [{"role": "user", "content": 'multi\nline, "x"'}, {"role": "assistant", "content": "lost"}],
        "note": "n1",
    }
    assert "text" in told[0] and "category" in told[0]
    named = rows_of(path, columns=Columns("category", "text", "note"))
    assert [m["role"] for m in named[0].example.messages] == ["system", "user", "assistant"]
    with pytest.raises(RungError, match=r'"txt".*"text"'):
        rows_of(path, columns=Columns("txt", "category"))


def test_records_that_do_not_fit_their_header_are_rejects(tmp_path):
    path = write(tmp_path / "a.tsv", "question\tanswer", "a\tb", "a", "a\tb\tc", "a\t", b"\xff\tb", "x\ty\0", "q\tr")
    found = rows_of(path)
    assert [type(item).__name__[0] for item in found] == ["R"] * 7
    assert [isinstance(item, Row) for item in found] == [True, False, False, False, False, False, True]
    assert found[4].raw == b"\xff\tb"


def test_a_quote_that_never_closes_loses_nothing(tmp_path):
    path = write(tmp_path / "a.csv", "question,answer", "a,b", 'c,"d', "e,f")
    found = rows_of(path)
    assert isinstance(found[0], Row) and isinstance(found[1], Reject)
    assert found[1].line == 3 and found[1].raw.startswith(b'c,"d\ne,f')


def test_a_table_without_an_answer_names_its_columns(tmp_path):
    with pytest.raises(RungError, match="colour, size"):
        rows_of(write(tmp_path / "a.csv", "colour,size", "red,1"))


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


TABLE = st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=4)


@given(table=TABLE, kind=st.sampled_from(["csv", "tsv", "csv.gz", "parquet", "json", "jsonl.zst"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_in_any_packing_gives_back_every_cell(tmp_path, table, kind):
    """Quotes, line ends, tabs, commas and other scripts inside of cells; the third column is another key."""
    path = tmp_path / f"t.{kind}"
    header = ["question", "answer", "note"]
    if kind.startswith(("csv", "tsv")):
        text = io.StringIO()
        csv.writer(
            text, delimiter="\t" if kind == "tsv" else ",", lineterminator="\n", quoting=csv.QUOTE_ALL
        ).writerows([header, *table])
        raw = text.getvalue().encode()
        path.write_bytes(gzip.compress(raw) if kind.endswith("gz") else raw)
    else:
        rows = [dict(zip(header, cells, strict=True)) for cells in table]
        if kind == "parquet":
            pq = pytest.importorskip("pyarrow.parquet")
            pq.write_table(pytest.importorskip("pyarrow").Table.from_pylist(rows), path)
        elif kind == "json":
            path.write_text(json.dumps(rows, indent=2))
        else:
            lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
            path.write_bytes(pytest.importorskip("zstandard").compress(lines))
    found = [(*(m["content"] for m in item.example.messages), item.example.row["note"]) for item in rows_of(path)]
    assert found == table
