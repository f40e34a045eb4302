"""A malformed line has its reason and never takes a neighbour with it; files are cut into rows rightly.

Converting: what comes back is what went in, or a reject says why not. Row files give the rows that the reader gives.
"""

import base64
import gzip
import io
import json
import random
from itertools import product
from operator import attrgetter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from in_shell import rung
from rows_in_files import SOUND, rows_of, talk, write

from curation.example import Example, chat_row
from curation.likeness.leaks.scan import blocks_of
from curation.rows import Reject, Row, read_rows, reading, write_rejects
from curation.rows.convert import ConvertOrder, convert
from curation.rows.families import FAMILIES, FORMED, WRITERS, read_object, to_format
from curation.rows.jsonline import Malformed, strict_json
from curation.rows.names import CannotHold
from curation.rows.rowfile import RowFile
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
    write_rejects(tmp_path / "r.jsonl", found[::2])
    kept = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [each["raw"].encode("utf-8", "surrogateescape") for each in kept] == [item.raw for item in found[::2]]
    not_utf8 = [base64.b64decode(each["raw_base64"]) for each in kept if "raw_base64" in each]
    assert not_utf8 == [raw for raw, _, _ in MALFORMED if isinstance(raw, bytes)]


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
    '{"te\\u0078t": "some text", "id": 7}',
    '{"text": "x", "chosen": "y"}',
    '{"prompt": "p", "completion": "c"}',
    '{"messages": null, "text": "x"}',
    '{"messages": [{"role": "user", "content": "a"}]}',
    '{"messages": [{"role": "user", "role" : "user", "content": "\\":"}, {"role": "assistant", "content": "b"}]}',
    talk("system", "user", "assistant"),
    *(NAMED.replace('"id"', json.dumps(key)) for key in ('a"b', "a\\b", "a\nb", "a\x01", "source", "score")),
    NAMED.replace('"r1"', '"r1", "meta": {"a": [{"b": 1}]}'),
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


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda part: st.lists(part, max_size=2) | st.dictionaries(TEXT, part, max_size=2),
    max_leaves=4,
)


@given(row=st.dictionaries(st.text(), JSON, max_size=4))
@example(row={"n": 10**40, "x": float("inf"), "lone": "\ud800", "": "\0", "list": []})
def test_a_row_comes_back_from_json_as_json_reads_it(row):
    text = Example(row).to_json()
    read = Example.from_json(text).row
    assert read == json.loads(text) == row
    assert list(read) == list(row) and json.dumps(read) == json.dumps(row)


KEYS = st.sampled_from(
    ["id", "meta", "label", "source", "input", "text", "rejected", "system", "prompt", "from", "tools"]
)
OTHERS = st.dictionaries(KEYS, JSON, max_size=2).filter(lambda row: not isinstance(row.get("system"), str | list))
CALL = st.fixed_dictionaries(
    {"type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}
)


def message(role, content=TEXT):
    return st.fixed_dictionaries({"role": st.just(role), "content": content}, optional={"name": TEXT})


PAIR = st.tuples(message("user"), message("assistant")).map(list)
CALLING = st.tuples(
    message("user"),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "tool_calls": CALL.map(lambda call: [call])},
        optional={"content": st.none() | TEXT},
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "content": TEXT, "tool_call_id": TEXT}),
    message("assistant"),
).map(list)
SIMPLE = st.builds(chat_row, TEXT, TEXT).map(lambda row: row["messages"])
TALKS = st.tuples(
    st.lists(message("system"), max_size=1), st.lists(SIMPLE | PAIR | CALLING, min_size=1, max_size=2)
).map(lambda parts: [*parts[0], *(m for turn in parts[1] for m in turn)])
ROWS = st.tuples(SIMPLE | TALKS, OTHERS).map(lambda parts: {"messages": parts[0], **parts[1]})
ANSWER = TEXT | st.tuples(message("assistant")).map(list)
PREFERENCES = st.tuples(
    TEXT | st.tuples(message("user")).map(list), ANSWER, ANSWER, st.dictionaries(st.sampled_from(["id", "score"]), JSON)
).map(lambda parts: {"prompt": parts[0], "chosen": parts[1], "rejected": parts[2], **parts[3]})
FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def through_json(row):
    return json.loads(json.dumps(row, ensure_ascii=False))


@pytest.mark.parametrize(("target", "plain"), [*product(FORMED, [True, False]), *product(WRITERS, [True])])
@given(row=ROWS)
@FAST
def test_what_a_target_holds_comes_back_whole(target, plain, row):
    try:
        there = through_json(to_format(Example(row), target, plain=plain))
    except CannotHold as error:
        holds_any_talk = target in ("chat", "sharegpt") or (target == "prompt_completion" and not plain)
        assert error.reason and (error.field in row.keys() - {"messages"} if holds_any_talk else error.field)
        return
    try:
        back = read_object(there, next(each for each in FAMILIES if each.name == target))
    except Malformed as error:
        raise AssertionError(f"{target} cannot be read back: {error}") from error
    if target == "preference":
        back = to_format(Example(back), "chat")
        back["rejected"] = (
            row["rejected"] if plain or isinstance(row["rejected"], list) else back["rejected"][0]["content"]
        )
    if target == "alpaca" and not row.get("input"):
        back = {**back, **({"input": row["input"]} if "input" in row else {})}
    assert back == row


@given(row=PREFERENCES)
@FAST
def test_a_preference_row_goes_through_chat_and_keeps_every_text(row):
    assert through_json(to_format(Example(row), "preference")) == row
    chat = through_json(to_format(Example(row), "chat"))
    prompt, chosen = (
        [row[key]] if isinstance(row[key], str) else [m["content"] for m in row[key]] for key in ("prompt", "chosen")
    )
    assert chat["rejected"] == row["rejected"] and [m["content"] for m in chat["messages"]] == prompt + chosen
    back = through_json(to_format(Example(chat), "preference", plain=False))
    assert [m["content"] for m in back["prompt"]] == prompt


CHAT, LONG = chat_row("q", "a", id=1), chat_row("q", "a", "s", id=2)


def test_all_line_numbers_are_told_however_many(tmp_path):
    start = tmp_path / "a.jsonl"
    start.write_text("".join("{}\n" if n % 3 else json.dumps(CHAT) + "\n" for n in range(1, 301)))
    done = rung("data", "convert", start, "-o", tmp_path / "b.jsonl")
    assert done.returncode == 2 and "200 lines" in done.stderr and "298-299" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "b.jsonl").exists()
    more = ("--to", "alpaca", "--rejects", tmp_path / "r.jsonl", "--json")
    done = rung("data", "convert", start, "-o", tmp_path / "b.jsonl", *more)
    counts = json.loads(done.stdout)
    assert (done.returncode, counts["read"], counts["written"], counts["rejected"]) == (0, 300, 100, 200)
    assert [json.loads(line)["raw"] for line in (tmp_path / "r.jsonl").open()] == ["{}"] * 200


def test_a_column_never_mixes_strings_and_lists(tmp_path):
    start, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for rows, kind, form in (([CHAT, CHAT], str, "plain"), ([CHAT, LONG], list, "conversational")):
        start.write_text("".join(json.dumps(each) + "\n" for each in rows))
        done = rung("data", "convert", start, "-o", out, "--to", "prompt_completion", "--json")
        kinds = [type(json.loads(line)["prompt"]) for line in out.read_text().splitlines()]
        assert (kinds, json.loads(done.stdout)["form"]) == ([kind, kind], form)


def test_standard_input_is_converted_and_wrong_names_are_told(tmp_path):
    done = rung(
        "data", "convert", "-", "-o", tmp_path / "b.jsonl", "--to", "prompt_completion", stdin=json.dumps(LONG) + "\n"
    )
    assert done.returncode == 0, done.stderr
    for more, said in ((["--to", "alpacca"], 'mean "alpaca"'), (["--format", "chatt"], 'mean "chat"')):
        done = rung("data", "convert", "-", "-o", tmp_path / "c.jsonl", *more, stdin="")
        assert done.returncode == 2 and said in done.stderr and not (tmp_path / "c.jsonl").exists()


def test_chat_lines_stay_as_they_are_whatever_ends_them(tmp_path):
    """One that only the slow rules read is between two that are plain; neither file ends in a line feed."""
    begin = json.dumps(CHAT)[:-1]
    lines = [f"{begin}}}", f'{begin}, "odd": "\\u003a"}}', f'{begin},\t"x" :1}}']
    (tmp_path / "in").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "in" / name).write_bytes("\r\n".join(lines).encode())
    convert(ConvertOrder(tmp_path / "in", tmp_path / "out.jsonl"))
    assert (tmp_path / "out.jsonl").read_bytes() == ("\n".join(lines * 2) + "\n").encode()


def test_label_studio_is_one_array_that_reads_back(tmp_path):
    rows = [chat_row(f"q{n}", f"a{n}", source="s") for n in (1, 2)]
    source = write(tmp_path / "a.jsonl", *map(json.dumps, rows))
    convert(ConvertOrder(source, tmp_path / "tasks.json", to="label_studio"))
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [task["data"] for task in tasks] == [{"text": f"q{n}", "source": "s"} for n in (1, 2)]
    convert(ConvertOrder(tmp_path / "tasks.json", tmp_path / "back.jsonl"))
    assert [json.loads(line) for line in (tmp_path / "back.jsonl").open()] == rows
    convert(ConvertOrder(write(tmp_path / "none.jsonl"), tmp_path / "none.json", to="label_studio"))
    assert json.loads((tmp_path / "none.json").read_text()) == []


Read = tuple[list[tuple[int, str, str | None, str]], list[int]]
parts = attrgetter("question", "answer", "system")


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


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("mixed", [False, True])
def test_forms_of_rows_alone_and_mixed(end: str, mixed: bool, tmp_path: Path) -> None:
    for number, line in enumerate(QUICK):
        path = tmp_path / f"{number}.jsonl"
        path.write_text((end or "\n").join([line, *(QUICK if mixed else ())] * 5) + end)
        assert read(path) == reference(path)


def test_rows_of_packed_files_and_tables_are_found_again(tmp_path: Path) -> None:
    packed, table = tmp_path / "a.jsonl.gz", tmp_path / "b.csv"
    packed.write_bytes(
        gzip.compress(
            "\n".join([talk("system", "user", "assistant"), '{"prompt": "p", "completion": "c"}', "{"]).encode()
        )
    )
    table.write_text("question,answer\nq,a\n{q2} x,a2\n")
    with RowFile([packed, table, packed]) as files:
        rows = list(files)
        assert [row.question for row in rows] == ["user 1", "p", "q", "{q2} x", "user 1", "p"]
        assert files.fetch([5, 0, 2]) == [rows[5], rows[0], rows[2]]
        assert [files.where(row) for row in (1, 3, 4)] == [(str(packed), 2), (str(table), 3), (str(packed), 1)]
        assert [reject.line for reject in files.rejects] == [3, 3]
        out = io.BytesIO()
        files.copy([False, True, True, True, False, False], out)
        copied = ['{"prompt": "p", "completion": "c"}', rows[2].to_json(), rows[3].to_json()]
        assert out.getvalue().decode().splitlines() == copied
