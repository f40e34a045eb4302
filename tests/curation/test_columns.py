"""Columns are the rows that the reader of formats gives, whatever the lines hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.codes import encoded
from curation.columns import Columns
from curation.example import Example, chat_row
from curation.formats import Reject, read_rows
from curation.leakage.blocks import blocks_of
from curation.lineform import Scanned
from curation.prints import Collector
from curation.rowfiles import RowFiles
from curation.similarity.words import is_normal_when_lowered, normal

words = st.sampled_from(['":', ": ", "a", "é", "\\", '"', "\n", ":", ' ":"', "\\u0000", "日本", " :", "\u2028", ", "])
content = st.lists(words, min_size=1, max_size=6).map("".join)
ODD = [
    '{"id": 1, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "id": 2}',
    '{"id": 1, "messages": [{"role": "user", "role" : "user", "content": "\\":"}, {"role": "assistant", "content": "b"}]}',  # noqa: E501
    '{"id" : 1, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
    '{"id": 1, "messages": [{"role": "user", "content": "a\\u0000"}, {"role": "assistant", "content": "b"}]}',
    '{"id": 1, "messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "b"}]}',
    '{"id": 1, "messages": [{"role": "user", "content": "a"}]}',
    '{"id": 01, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
    '{"id": "\\ud800", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
    '{"id": 1, "messages": [{"role": "user", "content": "a\tb"}, {"role": "assistant", "content": "b"}]}',
    '{"id": 1, "messages": [{"role": "user", "content": "a\\x"}, {"role": "assistant", "content": "b"}]}',
    '{"id": 1, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]} {}',
    '{"id": NaN, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
    '{"id": 1, "messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": "b"}]}',
    "",
    "{",
]


def chat(question: str, answer: str, **other: Any) -> str:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"id": 1, "messages": turns, **other}, ensure_ascii=False)


def read(path: Path) -> tuple[list[tuple[int, str, str | None, str]], list[int], int]:
    """Line, question, answer and system message of every row; the lines rejected; how many rows came as columns."""
    found: list[tuple[str, str | None, str]] = []
    columns = 0
    with RowFiles([path], unanswered=True) as files:
        for part in files.scanned(lambda: False):
            if isinstance(part, Columns):
                columns += len(part.question)
                none = [None] * len(part.question)
                systems = part.system or [""] * len(part.question)
                found += zip(part.question, part.answer or none, systems, strict=True)
            else:
                found += [(e.question, e.answer, e.system) for e in map(Example, part)]
        lines = [files.where(row)[1] for row in range(len(files))]
        return [(line, *row) for line, row in zip(lines, found, strict=True)], [r.line for r in files.rejects], columns


def read_blocks(path: Path) -> tuple[list[tuple[int, str, str | None]], list[int], int]:
    """Line, question and answer of every row, as the leakage check is given them; how many rows came as bytes."""
    found: list[tuple[str, str | None]] = []
    with RowFiles([path], unanswered=True) as files:
        scanned = sum(
            len(p.lines) for p in RowFiles([path], unanswered=True).scanned(lambda: True) if type(p) is Scanned
        )
        for block in blocks_of(files, lambda: True):
            code, again = block.encoded(), encoded(block.texts)
            for one, other in ((code, again), (again, code)):
                assert [one.data[a:b].tobytes().lower() for a, b in zip(one.begins, one.ends, strict=True)] == [
                    other.data[a:b].tobytes().lower() for a, b in zip(other.begins, other.ends, strict=True)
                ]
            answers = [block.texts[at] if at >= 0 else None for at in block.answer.tolist()]
            found += zip(block.take(block.question.tolist()), answers, strict=True)
        lines = [files.where(row)[1] for row in range(len(files))]
        return [(line, *row) for line, row in zip(lines, found, strict=True)], [r.line for r in files.rejects], scanned


def reference(path: Path) -> tuple[list[tuple[int, str, str | None, str]], list[int]]:
    rows, rejects = [], []
    for row in read_rows(path, unanswered=True):
        if isinstance(row, Reject):
            rejects.append(row.line)
        else:
            rows.append((row.line, row.example.question, row.example.answer, row.example.system))
    return rows, rejects


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(content, content), min_size=1, max_size=5), odd=st.lists(st.sampled_from(ODD), max_size=1)
)
def test_columns_are_the_rows(rows: list[tuple[str, str]], odd: list[str], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([chat("first", "row"), *(chat(q, a) for q, a in rows), *odd]) + "\n")
    found, rejected, columns = read(path)
    assert (found, rejected) == reference(path)
    assert columns in ((0,) if odd else (len(rows) + 1,))
    assert read_blocks(path) == ([row[:3] for row in found], rejected, columns)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_shapes_that_come_as_columns(end: str, tmp_path: Path) -> None:
    system = json.dumps(
        {"messages": [{"role": r, "content": r} for r in ("system", "user", "assistant")], "n": [1, "x"]}
    )
    for line in (system, json.dumps({"text": "some text", "id": 7}), chat("a", "b", source="s", score=0.5)):
        path = tmp_path / "rows.jsonl"
        path.write_text((end or "\n").join([line] * 9) + end)
        found, rejected, columns = read(path)
        assert (found, rejected, columns) == (*reference(path), 9)
        assert read_blocks(path)[:2] == ([row[:3] for row in found], rejected)


def test_rows_of_two_shapes_are_all_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([chat("a", "b"), '{"text": "x"}', '{"prompt": "p", "completion": "c"}'] * 5))
    found, rejected, columns = read(path)
    assert (found, rejected) == reference(path) and columns == 0


@pytest.mark.parametrize("key", ['a"b', "a\\b", "a\nb", "a\x01"])
def test_keys_that_need_an_escape(key: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for line in (chat("a", "b", **{key: 1}), json.dumps({"text": "some text", key: 1})):
        path.write_text((line + "\n") * 3)
        found, rejected, _ = read(path)
        assert (found, rejected) == reference(path) and len(found) == 3
        assert read_blocks(path)[:2] == ([row[:3] for row in found], rejected)


def test_fingerprints_are_those_of_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([chat("a b", "c"), chat("A b", "c"), chat("a b", "d")]))
    one, two = Collector(), Collector()
    with RowFiles([path]) as files:
        for part in files.scanned(lambda: False):
            assert isinstance(part, Columns)
            one.add_part(part)
        for example in files:
            two.add(example)
        a, b = one.finish(files), two.finish(files)
    for name in ("key", "exact", "answer", "context", "system", "words"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name


ODD_TEXTS = [
    *("x" * size for size in (1, 63, 64, 65, 127, 128, 129)),
    *("word " * size for size in (12, 13, 26, 409, 410, 500)),
    *("a" * 2047 + end for end in ("", "b", " b", "bc d")),
    "...", "?", "  two  spaces,\tand\na line ", "One. Two; three_four 5'6", "Straße STRASSE", "ΟΔΟΣ οδος", "é É “x” …",
    "\u00a0no\u2003break\u00a0", "İstanbul ǅ", "日本語のテキスト", "e\u0301 é", "\U0001f600 ok",
    "\\ \"quoted\" \\/ \b",
]  # fmt: skip


@pytest.mark.parametrize("system", ["", "Be brief.", "Sé breve."])
def test_fingerprints_of_bytes_are_those_of_the_rows(system: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [chat_row(text, text[::-1], system) for text in ODD_TEXTS]
    path.write_text("".join(json.dumps(row, ensure_ascii=place % 2 == 0) + "\n" for place, row in enumerate(rows)))
    one, two = Collector(True), Collector(False)
    with RowFiles([path]) as files:
        for part in files.scanned(one.compiled):
            assert isinstance(part, Scanned)
            one.add_part(part)
        for example in files:
            two.add(example)
        a, b = one.finish(files), two.finish(files)
    for name in ("key", "exact", "answer", "context", "system", "words"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
    for name in ("shingles", "grams"):
        ours, theirs = (getattr(prints, name) for prints in (a, b))
        assert ours.starts.tolist() == theirs.starts.tolist()
        for row in range(len(rows)):
            sets = (some.hashes[some.starts[row] : some.starts[row + 1]].tolist() for some in (ours, theirs))
            assert len(set(map(tuple, map(sorted, sets)))) == 1, (name, rows[row])


@given(st.text(st.sampled_from("aé ÉßµΣσς\u0301“”…Жж\u00a0\u2003İǅ\n.K"), max_size=8))
def test_a_text_that_is_normal_when_lowered_is(text: str) -> None:
    if is_normal_when_lowered(text):
        assert normal(text) == " ".join(re.split("[\t-\r\x1c- ]+", text.lower().strip("\t\n\v\f\r\x1c\x1d\x1e\x1f ")))


@pytest.mark.parametrize(
    ("more", "scanned"),
    [
        (['"source": "s\\u00e9"', '"source": "é"', '"source": "t"', '"source": null', '"source": -12.5'], 5),
        (['"ok": true', '"ok": false', '"ok": 0'], 3),
        (['"source": "a"', '"source":"a"'], 0),
        (['"n": 1', '"n": 1e5'], 0),
        (['"n": 1', '"n": 123456789012345678'], 0),
        (['"n": [1]', '"n": [1]'], 0),
        (['"\\u006e": 1', '"\\u006e": 1'], 2),
    ],
)
def test_lines_that_come_as_bytes(more: list[str], scanned: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    line = '{"id": "r1", %s, "messages": [{"content": "A \\"b\\"\\n\\u00c9", "role": "user"}, '
    line += '{"role": "assistant", "content": "c"}]}\n'
    path.write_text("".join(line % part for part in more))
    found, rejected, _ = read(path)
    assert (found, rejected) == reference(path) and found[0][1] == 'A "b"\n\u00c9'
    assert read_blocks(path) == ([row[:3] for row in found], rejected, scanned)


def test_a_text_under_an_escaped_key_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"te\\u0078t": "some text", "id": 7}\n' * 3)
    found, rejected, _ = read(path)
    assert (found, rejected) == reference(path) and found[0][1] == "some text"
    assert read_blocks(path) == ([row[:3] for row in found], rejected, 0)


@pytest.mark.parametrize("place", [0, 1])
def test_a_text_row_whose_messages_are_null_is_malformed(place: int, tmp_path: Path) -> None:
    lines = ['{"text": "some text"}'] * 3
    lines.insert(place, '{"messages": null, "text": "x"}')
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    found, rejected, _ = read(path)
    assert (found, rejected) == reference(path) and rejected == [place + 1]
    assert read_blocks(path) == ([row[:3] for row in found], rejected, 0)
