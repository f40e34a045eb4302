"""Reading: canonical rows of every format, and a reason for every line that is none."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.formats import Columns, Reject, Row, read_rows, write_rejects
from curation.formats.source import lines_of, open_bytes
from workspace.errors import RungError

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
SOUND = json.dumps({"messages": TURNS})


def rows_of(path, fmt="auto", **more):
    return list(read_rows(path, fmt, **more))


def write(path, *lines):
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n")
    return path


CANONICAL = [
    ({"messages": TURNS, "id": 7}, {"messages": TURNS, "id": 7}),
    (
        {"conversations": [{"from": "human", "value": "q", "weight": 1}, {"from": "gpt", "value": "a"}], "id": 1},
        {"messages": [{"role": "user", "content": "q", "weight": 1}, TURNS[1]], "id": 1},
    ),
    (
        {"system": "s", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
        {"messages": [{"role": "system", "content": "s"}, *TURNS]},
    ),
    (
        {"instruction": "Add", "input": "1 2", "output": "3"},
        {"messages": [{"role": "user", "content": "Add\n1 2"}, {"role": "assistant", "content": "3"}], "input": "1 2"},
    ),
    ({"instruction": "q", "input": "", "output": "a"}, {"messages": TURNS}),
    (
        {"instruction": "q", "output": "a", "history": [["x", "y"]], "system": "s"},
        {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "y"},
                *TURNS,
            ]
        },
    ),
    ({"prompt": "q", "completion": "a"}, {"messages": TURNS}),
    ({"prompt": TURNS[:1], "completion": TURNS[1:]}, {"messages": TURNS}),
    ({"prompt": "q", "completion": "a", "label": True}, {"messages": TURNS, "label": True}),
    ({"prompt": "q", "chosen": "a", "rejected": "b"}, {"prompt": "q", "chosen": "a", "rejected": "b"}),
    (
        {"chosen": TURNS, "rejected": [TURNS[0], {"role": "assistant", "content": "b"}]},
        {"prompt": TURNS[:1], "chosen": TURNS[1:], "rejected": [{"role": "assistant", "content": "b"}]},
    ),
    ({"question": "q", "answer": "a", "level": 3}, {"messages": TURNS, "level": 3}),
    ({"text": "plain", "id": 1}, {"text": "plain", "id": 1}),
]


@pytest.mark.parametrize(("given", "canonical"), CANONICAL)
def test_each_format_gives_its_canonical_row(tmp_path, given, canonical):
    (row,) = rows_of(write(tmp_path / "a.jsonl", json.dumps(given)))
    assert isinstance(row, Row), row
    assert row.example.row == canonical


def test_tool_calls_names_and_images_stand_as_they_are(tmp_path):
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {
            "role": "user",
            "name": "ann",
            "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "assistant", "content": "42"},
    ]
    (row,) = rows_of(write(tmp_path / "a.jsonl", json.dumps({"messages": messages, "tools": [{"x": 1}]})))
    assert isinstance(row, Row) and row.example.row == {"messages": messages, "tools": [{"x": 1}]}


def talk(*roles, **change):
    turns = [{"role": role, "content": f"{role} {i}"} for i, role in enumerate(roles)]
    if turns:
        turns[-1].update(change)
    return json.dumps({"messages": turns})


MALFORMED = [
    ("not json", "", "not JSON"),
    ('{"messages": [', "", "ends before"),
    (SOUND[:-1] + ', "x": NaN}', "", "NaN"),
    (SOUND[:-1] + ', "x": 1e999}', "", "out of range"),
    (SOUND + " x", "", "follows"),
    (SOUND.replace('"user"', '"user", "role": "user"'), "role", "twice"),
    ('{"a" : 1, "a": 2}', "a", "twice"),
    (SOUND.replace('"q"', '"\\ud800"'), "", "surrogate"),
    (SOUND.replace('"q"', '"\\u0000"'), "", "NUL"),
    (SOUND.replace('"q"', '"\x00"'), "", "NUL"),
    (SOUND.encode().replace(b'"q"', b'"\xff"'), "", "UTF-8"),
    (SOUND.encode().replace(b'"q"', b'"\xed\xa0\x80"'), "", "UTF-8"),
    ('{"x": ' + "[" * 10_000 + "]" * 10_000 + "}", "", "deeper"),
    ("[1, 2]", "", "object"),
    ("null", "", "object"),
    ('{"messages": []}', "messages", "empty"),
    ('{"messages": {}}', "messages", "list"),
    ('{"mesages": [], "id": 1}', "messages", '"messages" is missing; found keys "mesages", "id"'),
    (talk("user"), "messages", "last message"),
    (talk("assistant", "user"), "messages[0].role", "first message"),
    (talk("user", "user", "assistant"), "messages[1].role", "take turns"),
    (talk("user", "system", "assistant"), "messages[1].role", "only stand first"),
    (talk("user", "tool"), "messages[1].role", "called a tool"),
    (talk("user", "bot"), "messages[1].role", "not a role"),
    (talk("user", "assistant", content=""), "messages[1].content", "empty"),
    (talk("user", "assistant", content=None), "messages[1].content", "null"),
    (talk("user", "assistant", content=[1, 2]), "messages[1].content", "a list"),
    (talk("user", "assistant", role=["x"]), "messages[1].role", "not a role"),
    ('{"messages": ["x", "y"]}', "messages[0]", "object"),
    ('{"instruction": "x", "output": ""}', "output", "empty"),
    ('{"prompt": "", "completion": "x"}', "prompt", "empty"),
    ('{"text": ""}', "text", "empty"),
    ('{"conversations": [{"from": "humn", "value": "x"}]}', "conversations[0].from", "not a speaker"),
    ('{"prompt": "a", "chosen": "b", "rejected": ""}', "rejected", "empty"),
]


def test_every_malformed_line_has_a_reason_and_its_bytes_and_never_takes_a_neighbour_with_it(tmp_path):
    lines = [each for bad, _, _ in MALFORMED for each in (bad, SOUND)]
    found = rows_of(write(tmp_path / "a.jsonl", *lines))
    assert [item.line for item in found] == list(range(1, 2 * len(MALFORMED) + 1))
    assert all(isinstance(item, Row) for item in found[1::2])
    for item, (raw, field, reason) in zip(found[::2], MALFORMED, strict=True):
        assert isinstance(item, Reject), raw[:80]
        assert item.raw == (raw if isinstance(raw, bytes) else raw.encode())
        assert (item.field, reason in item.reason) == (field, True), item


def test_a_misspelt_key_or_role_is_named(tmp_path):
    found = rows_of(
        write(tmp_path / "a.jsonl", '{"mesages": []}', talk("user", "bot"), '{"instuction": "a", "output": "b"}')
    )
    assert ["messages" in found[0].hint, "assistant" in found[1].hint, "instruction" in found[2].hint] == [True] * 3


def test_bom_crlf_blank_lines_and_line_separators(tmp_path):
    separator = SOUND.replace('"q"', '"a\u2028b\u0085c\x0b d"'.replace("\x0b", "\\u000b"))
    raw = b"\xef\xbb\xbf" + separator.encode() + b"\r\n\r\n  \n" + SOUND.encode() + b"\r\n" + SOUND.encode()
    (tmp_path / "a.jsonl").write_bytes(raw)
    found = rows_of(tmp_path / "a.jsonl")
    assert [(type(item), item.line) for item in found] == [(Row, 1), (Row, 4), (Row, 5)]
    assert "\u2028" in found[0].example.question and "\u0085" in found[0].example.question
    assert found[0].raw == separator.encode() + b"\r" and found[2].raw == SOUND.encode()


def test_text_that_looks_like_a_key_is_no_second_key(tmp_path):
    tricky = json.dumps(
        {"messages": [{"role": "user", "content": '{"role": "x", "role" : "y"} \\u0000'}, TURNS[1]], "a b": {"a b": 1}}
    )
    (row,) = rows_of(write(tmp_path / "a.jsonl", tricky))
    assert isinstance(row, Row)


def test_a_50_mb_line_is_read(tmp_path):
    (row,) = rows_of(write(tmp_path / "a.jsonl", SOUND.replace('"a"', '"' + "y" * 50_000_000 + '"')))
    assert len(row.example.answer) == 50_000_000


@pytest.mark.parametrize("pack", ["gz", "zst"])
def test_packed_files_are_read_by_their_content(tmp_path, pack):
    raw = (SOUND + "\n").encode() * 3
    if pack == "gz":
        packed = gzip.compress(raw[:10]) + gzip.compress(raw[10:])
    else:
        packed = pytest.importorskip("zstandard").compress(raw)
    (tmp_path / "rows.bin").write_bytes(packed)
    assert [item.line for item in rows_of(tmp_path / "rows.bin")] == [1, 2, 3]


def test_a_cut_packed_file_is_an_error_not_a_traceback(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(os.urandom(5000))[:-2000])
    with pytest.raises(RungError, match="cannot be read"):
        rows_of(tmp_path / "a.jsonl.gz")


def test_a_json_array_is_cut_into_rows_with_their_lines(tmp_path):
    rows = [{"instruction": 'a "[{,\\', "input": "b", "output": f"c{i}\n}}]"} for i in range(50)]
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=2))
    found = rows_of(tmp_path / "a.json")
    assert [item.example.answer for item in found] == [row["output"] for row in rows]
    assert [item.line for item in found] == [2 + 5 * i for i in range(50)]
    assert json.loads(found[3].json_line)["messages"][1]["content"] == "c3\n}]"
    (tmp_path / "b.json").write_text(json.dumps(rows)[:-1])
    with pytest.raises(RungError, match="never ends"):
        rows_of(tmp_path / "b.json")


def test_a_json_array_is_cut_the_same_whatever_the_block(tmp_path, monkeypatch):
    from curation.formats import array

    rows = [{"question": '\\"' * i + "q\\", "answer": "}," * i + "a"} for i in range(40)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    whole = rows_of(tmp_path / "a.json")
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr(array, "CHUNK", size)
        assert rows_of(tmp_path / "a.json") == whole


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
    with pytest.raises(RungError, match=r'no column "txt".*Did you mean "text"'):
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
    parts = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}
    given = [
        {"messages": TURNS, "id": 1},
        {"messages": [TURNS[0], call], "id": "x"},
        {"messages": [parts, TURNS[1]], "id": 2.5},
    ]
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


def test_a_folder_is_its_data_files_in_order(tmp_path):
    write(tmp_path / "b.jsonl", SOUND)
    write(tmp_path / "a.csv", "question,answer", "x,y")
    write(tmp_path / "README.md", "no rows")
    write(tmp_path / ".hidden.jsonl", SOUND)
    assert [(Path(item.file).name, item.line) for item in rows_of(tmp_path)] == [("a.csv", 2), ("b.jsonl", 1)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RungError, match="without a data file"):
        rows_of(tmp_path / "empty")


def test_files_that_are_none(tmp_path):
    write(tmp_path / "rows.jsonl", SOUND)
    with pytest.raises(RungError, match=r'no such file\. Did you mean "rows.jsonl"'):
        rows_of(tmp_path / "row.jsonl")
    with pytest.raises(RungError, match="not a file"):
        rows_of(Path("/dev/null"))
    (tmp_path / "u.jsonl").write_bytes(SOUND.encode("utf-16"))
    with pytest.raises(RungError, match="UTF-16"):
        rows_of(tmp_path / "u.jsonl")
    (tmp_path / "e.jsonl").write_bytes(b"")
    assert rows_of(tmp_path / "e.jsonl") == []
    with pytest.raises(RungError, match=r'"jsonll".*not a format'):
        rows_of(tmp_path / "rows.jsonl", "jsonll")


def test_a_pipe_is_read_and_one_that_nobody_writes_to_is_refused(tmp_path, monkeypatch):
    from curation.formats import source

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


def test_unanswered_rows_are_sound_where_asked_for(tmp_path):
    path = write(tmp_path / "a.jsonl", talk("user"), talk("user", "assistant", "user"), talk("assistant"))
    assert [isinstance(item, Row) for item in read_rows(path, unanswered=True)] == [True, True, False]
    assert [isinstance(item, Row) for item in read_rows(path)] == [False, False, False]


def test_rejects_keep_every_byte(tmp_path):
    path = write(tmp_path / "a.jsonl", b"\xff\xfe bad \xc3", "nope", "{\u2028")
    assert write_rejects(tmp_path / "r.jsonl", [item for item in read_rows(path) if isinstance(item, Reject)]) == 3
    kept = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().split("\n") if line]
    assert [k["raw"].encode("utf-8", "surrogateescape") for k in kept] == [
        b"\xff\xfe bad \xc3",
        b"nope",
        "{\u2028".encode(),
    ]
    assert set(kept[0]) >= {"line", "file", "field", "reason", "raw"}


def test_standard_input(tmp_path):
    code = "from pathlib import Path\nfrom curation.formats import read_rows\nprint(len(list(read_rows(Path('-')))))"
    out = subprocess.run(
        [sys.executable, "-c", code], input=(SOUND + "\n").encode() * 3, capture_output=True, check=True
    )
    assert out.stdout.strip() == b"3"


MEMORY = """
import re, sys
from pathlib import Path
from curation.formats import read_rows
count = sum(1 for _ in read_rows(Path(sys.argv[1])))
print(count, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for count in (2_000, 60_000):
        path = write(
            tmp_path / f"{count}.jsonl", *[SOUND.replace('"a"', f'"{"word " * 100}{i}"') for i in range(count)]
        )
        out = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
        rows, peak = map(int, out.stdout.split())
        assert rows == count
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 6_000, peaks
    assert peaks[1] < 64 * 1024, peaks
