"""The quick pass over lines and the slow one that explains agree on every line, whatever shapes are mixed."""

from __future__ import annotations

import random

import pytest

from curation.rows import Reject, Row, read_rows
from curation.rows.families import read_object
from curation.rows.jsonline import Malformed, decode_object

SOUND = '{"id": "r1", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}'
LINES = [
    SOUND,
    SOUND.replace('"q"', '"see: http://x \\": y \\" : z"'),
    SOUND.replace('"id"', '"id" '),
    SOUND.replace('"q"', '"a\\\\u0000b"'),
    SOUND.replace('"a"}', '"é \\n \\ud83d\\ude00\u2028"}'),
    SOUND.replace('"r1"', '{"a": [1, {"b": null}]}'),
    SOUND + "\r",
    "",
    "   ",
    SOUND.replace('"id": "r1"', '"id": "r1", "id": "r2"'),
    SOUND.replace('"role": "user"', '"role": "user", "role": "user"'),
    SOUND.replace('"id": "r1"', '"id": {"a": 1, "a": 2}'),
    SOUND.replace('"q"', '"a\\u0000b"'),
    SOUND.replace('"q"', '"\\ud83d"'),
    SOUND.replace('"r1"', "NaN"),
    SOUND.replace('"r1"', "01"),
    SOUND.replace('"q"', '"a\tb"'),
    SOUND.replace('"r1"', "[" * 300 + "]" * 300),
    SOUND.replace('"q"', '""'),
    SOUND.replace('"user"', '"bot"'),
    SOUND.replace("assistant", "user"),
    SOUND + " x",
    SOUND[:-2],
    "[1]",
    SOUND.replace('"id": "r1"', '"id": {"a": 1, "b": [[]]}'),
    SOUND.replace('"id": "r1"', '"system": "be kind"'),
    SOUND.replace('"id": "r1"', '"id\\\\": "r1"'),
    SOUND.replace('"id": "r1"', '"id\\\\": "r1", "id\\\\": "r2"'),
    SOUND.replace('"id": "r1"', '"topic": "x", "n": [1, 2]'),
    SOUND.replace('"id": "r1"', '"topic": "x", "topic" : "y \\":"'),
    SOUND.replace('"q"', '": q"'),
    SOUND.replace('"id": "r1", ', ""),
    '{"text": "a: b"}',
    '{"text": "a", "id": 3}',
    '{"text": "a", "text": "b"}',
    '{"text": "a", "label": "b"}',
    '{"text": ""}',
]


def slowly(line: bytes) -> bool:
    try:
        read_object(decode_object(line), None)
    except Malformed:
        return False
    return True


@pytest.mark.parametrize("seed", range(6))
def test_every_line_is_judged_as_the_slow_pass_judges_it(tmp_path, seed):
    draw = random.Random(seed)
    lines = [draw.choice(LINES if draw.random() < 0.3 else LINES[:2]) for _ in range(4000)]
    path = tmp_path / "a.jsonl"
    raw = [line.encode() for line in lines]
    path.write_bytes(b"\n".join(raw) + (b"\n" if seed % 2 else b""))
    found = {item.line: item for item in read_rows(path)}
    assert sum(item.row is None for item in found.values() if isinstance(item, Row)) > 1000
    assert sorted(found) == [n for n, line in enumerate(raw, 1) if line.strip()]
    for number, item in found.items():
        assert item.raw == raw[number - 1]
        assert isinstance(item, Row) == slowly(item.raw), item
        assert isinstance(item, Reject) or item.example.row == read_object(decode_object(item.raw), None)


def test_a_long_line_is_read_in_time_that_grows_as_it_does(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(SOUND + "\n" + SOUND.replace('"q"', '"' + "long " * 4_000_000 + '"') + "\n" + SOUND)
    first, long, last = read_rows(path)
    assert len(long.example.question) == 20_000_000 and (first.line, long.line, last.line) == (1, 2, 3)
