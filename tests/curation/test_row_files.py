"""Row files give the rows that the reader gives, in every pass; fingerprints taken on the way are those of the rows."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from curation.example import Example, chat_row
from curation.likeness.leaks.scan import blocks_of
from curation.rows import Reject, read_rows
from curation.rows.rowfile import RowFile


def chat(question: str, answer: str, **other: object) -> str:
    return json.dumps({"id": 1, **chat_row(question, answer), **other}, ensure_ascii=False)


Read = tuple[list[tuple[int, str, str | None, str]], list[int]]


def parts(example: Example) -> tuple[str, str | None, str]:
    return example.question, example.answer, example.system


def read(path: Path) -> Read:
    """Line, question, answer and system message of every row, the same in each way to ask for them; lines rejected."""
    with RowFile([path], unanswered=True) as files, RowFile([path], unanswered=True) as again:
        blocks = list(files.read())
        first = [row for block in blocks for row in block if not isinstance(row, Reject)]
        found = [parts(row.example) for row in first]
        said = [one for block in blocks for one in block.said()]
        assert [parts(one) if isinstance(one, Example) else (*one[1:], one[0]) for one in said] == found
        assert (
            found
            == list(map(parts, files))
            == list(map(parts, again))
            == list(map(parts, files.fetch(range(len(files)))))
        )
        lines = [files.where(row)[1] for row in range(len(files))]
        out = io.BytesIO()
        files.copy([True] * len(files), out)
        assert out.getvalue() == b"".join(row.json_line + b"\n" for row in first)
    with RowFile([path], unanswered=True) as files:
        texts = [
            (block.texts[asked], block.texts[at] if at >= 0 else None)
            for block in blocks_of(files)
            for asked, at in zip(block.question, block.answer, strict=True)
        ]
    assert texts == [row[:2] for row in found]
    return [(line, *row) for line, row in zip(lines, found, strict=True)], [r.line for r in files.rejects]


def reference(path: Path) -> Read:
    items = list(read_rows(path, unanswered=True))
    rows = [(row.line, *parts(row.example)) for row in items if not isinstance(row, Reject)]
    return rows, [item.line for item in items if isinstance(item, Reject)]


SYSTEM = json.dumps({"messages": [{"role": r, "content": r} for r in ("system", "user", "assistant")], "n": [1, "x"]})
FORMS = [
    SYSTEM,
    json.dumps({"text": "some text", "id": 7}),
    '{"te\\u0078t": "some text", "id": 7}',
    chat("a", "b", source="s", score=0.5),
    chat("a", "b", meta={"a": [{"b": 1}]}),
    chat("a", "b", system="c"),
    '{"prompt": "p", "completion": "c"}',
    '{"messages": [{"role": "user", "content": "a"}]}',
    *(chat("a", "b", **{key: 1}) for key in ('a"b', "a\\b", "a\nb", "a\x01")),
    '{"messages": null, "text": "x"}',
    '{"messages": [{"role": "user", "role" : "user", "content": "\\":"}, {"role": "assistant", "content": "b"}]}',
    '{"id": 1, "messages": [{"role": "user", "content": "a\\u0000"}, {"role": "assistant", "content": "b"}]}',
    '{"text": "x", "chosen": "y"}',
]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("mixed", [False, True])
def test_forms_of_rows_alone_and_mixed(end: str, mixed: bool, tmp_path: Path) -> None:
    for number, line in enumerate(FORMS):
        path = tmp_path / f"{number}.jsonl"
        path.write_text((end or "\n").join([line, *(FORMS if mixed else ())] * 5) + end)
        assert read(path) == reference(path)


def test_rows_of_packed_files_and_tables_are_found_again(tmp_path: Path) -> None:
    packed, table = tmp_path / "a.jsonl.gz", tmp_path / "b.csv"
    packed.write_bytes(gzip.compress("\n".join([SYSTEM, '{"prompt": "p", "completion": "c"}', "{"]).encode()))
    table.write_text("question,answer\nq,a\nq2,a2\n")
    with RowFile([packed, table, packed]) as files:
        rows = list(files)
        assert [row.question for row in rows] == ["user", "p", "q", "q2", "user", "p"]
        assert files.fetch([5, 0, 2]) == [rows[5], rows[0], rows[2]]
        assert [files.where(row) for row in (1, 3, 4)] == [(str(packed), 2), (str(table), 3), (str(packed), 1)]
        assert [reject.line for reject in files.rejects] == [3, 3]
        out = io.BytesIO()
        files.copy([False, True, True, False, False, False], out)
        assert out.getvalue().splitlines() == [b'{"prompt": "p", "completion": "c"}', rows[2].to_json().encode()]
