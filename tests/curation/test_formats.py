"""A malformed line has its reason and never takes a neighbour with it; files are cut into rows rightly."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rows_in_files import SOUND, rows_of, talk, write

from curation.example import Example
from curation.rows import Reject, Row, reading
from curation.rows.families import read_object
from curation.rows.jsonline import Malformed, strict_json
from workspace.errors import RungError

MALFORMED = [
    ("not json", "", "not JSON"),
    ("\ufeff" + SOUND, "", "byte order mark"),
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
    (SOUND[:-1] + ', "x": ' + "9" * 5000 + "}", "", "more than 4,300 digits"),
    ("[1, 2]", "", "object"),
    ("null", "", "object"),
    ('{"messages": []}', "messages", "empty"),
    ('{"messages": {}}', "messages", "list"),
    ('{"mesages": [], "id": 1}', "messages", '"messages" is missing; found keys "mesages", "id"'),
    (talk("user"), "messages", "last message"),
    (talk("assistant", "user"), "messages[0].role", "first message"),
    (talk("user", "user", "assistant"), "messages[1].role", "take turns"),
    (talk("user", "system", "assistant"), "messages[1].role", "only be first"),
    (talk("user", "tool"), "messages[1].role", "called a tool"),
    (talk("user", "bot"), "messages[1].role", "not a role"),
    (talk("user", "assistant", content=""), "messages[1].content", "empty"),
    (talk("user", "assistant", content=None), "messages[1].content", "null"),
    (talk("user", "assistant", content=[1, 2]), "messages[1].content", "a list"),
    (talk("user", "assistant", role=["x"]), "messages[1].role", "not a role"),
    ('{"messages": ["x", "y"]}', "messages[0]", "object"),
    ('{"messages": [{"content": [{"type": "input_text", "text": "x"}]}]}', "messages[0].role", "missing"),
    ('{"instruction": "x", "output": ""}', "output", "empty"),
    ('{"instruction": "x", "output": "y", "system": 0}', "system", "number"),
    ('{"instruction": "x", "output": "y", "history": 5}', "history", "list"),
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


NAMED = SOUND[:-1] + ', "id": "r1"}'
QUICK = [
    NAMED,
    NAMED.replace('"q"', '"see: http://x \\": y \\" : z"'),
    NAMED.replace('"q"', '"a\\\\u0000b"'),
    NAMED.replace('"a"}', '"é \\n \\ud83d\\ude00\u2028"}'),
    NAMED.replace('"r1"', '{"a": [1, {"b": null}]}'),
    NAMED.replace('"r1"', "[" * 300 + "]" * 300),
    NAMED.replace('"r1"', "1" * 40),
    NAMED.replace('"r1"', '{"a":"\\u003a","b":1,"b":2}'),
    NAMED.replace('"r1"', '{"b\\\\":1,"b\\\\":2}'),
    NAMED.replace('"r1"', '{"a" :1,"a":2}'),
    NAMED.replace('"r1"', '{"a"  :1,"a":2}'),
    NAMED.replace('"q"', '"a\tb"'),
    NAMED.replace('"id"', '"system"'),
    NAMED + "\r",
    "",
    "   ",
    '{"text": "a: b"}',
    '{"text": "a", "id": 3}',
    '{"text": "a", "text": "b"}',
    '{"text": "a", "label": "b"}',
]


def slowly(line: bytes) -> dict | None:
    """The row of a line by `json` and all rules alone; None where it is refused."""
    try:
        value = strict_json(line)
        return read_object(value, None) if isinstance(value, dict) else None
    except Malformed:
        return None


@pytest.mark.parametrize("seed", range(2))
def test_every_line_is_judged_by_the_quick_pass_as_the_slow_one_judges_it(tmp_path, seed):
    """Whatever shapes are mixed; a hostile line among sound ones changes nothing for them."""
    draw, odd = random.Random(seed), [*QUICK, *(bad for bad, _, _ in MALFORMED)]
    lines = [draw.choice(odd if draw.random() < 0.2 else QUICK[:2]) for _ in range(3000)]
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(raw) + (b"\n" if seed % 2 else b""))
    found = {item.line: item for item in rows_of(path)}
    assert sum(item.row is None for item in found.values() if isinstance(item, Row)) > 1000
    assert sorted(found) == [n for n, line in enumerate(raw, 1) if line.strip()]
    for number, item in found.items():
        assert item.raw == raw[number - 1]
        assert (item.example.row if isinstance(item, Row) else None) == slowly(item.raw), item


def test_a_json_array_is_cut_into_rows_with_their_lines_whatever_the_block(tmp_path, monkeypatch):
    rows = [{"question": '"[{,\\' + '\\"' * i + "q\\", "answer": "}," * i + f"a{i}\n}}]"} for i in range(40)]
    path = write(tmp_path / "a.json", json.dumps(rows, indent=2))
    for size in (reading.CHUNK, 1, 2, 3, 7, 64):
        monkeypatch.setattr(reading, "CHUNK", size)
        found = rows_of(path)
        assert [(item.example.question, item.example.answer) for item in found] == [tuple(row.values()) for row in rows]
        assert [item.line for item in found] == [2 + 4 * i for i in range(40)]
    assert json.loads(found[3].json_line)["messages"][1]["content"] == rows[3]["answer"]
    with pytest.raises(RungError, match="never ends"):
        rows_of(write(tmp_path / "b.json", json.dumps(rows)[:-1]))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=8,
)


@given(row=st.dictionaries(st.text(), JSON_VALUES, max_size=4))
@example(row={"n": 10**40, "x": float("inf"), "lone": "\ud800"})
def test_a_row_comes_back_from_json_as_json_reads_it(row):
    text = Example(row).to_json()
    read = Example.from_json(text).row
    assert read == json.loads(text) == row
    assert list(read) == list(row) and json.dumps(read) == json.dumps(row)
