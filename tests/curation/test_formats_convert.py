"""Converting: what comes back is what went in, or a reject says why not."""

import json
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_shell import rung
from rows_in_files import write

from curation.example import Example
from curation.rows.convert import ConvertOrder, convert
from curation.rows.families import FAMILIES, FORMED, WRITERS, read_object, to_format
from curation.rows.jsonline import Malformed
from curation.rows.names import CannotHold

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda part: st.lists(part, max_size=2) | st.dictionaries(TEXT, part, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["id", "meta", "label", "source", "input", "text", "rejected", "system", "prompt", "from", "tools"]
)
OTHERS = st.dictionaries(KEYS, JSON, max_size=2).filter(lambda row: not isinstance(row.get("system"), str | list))
CALLS = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}
    ),
    min_size=1,
    max_size=1,
)


def message(role, content=TEXT):
    return st.fixed_dictionaries({"role": st.just(role), "content": content}, optional={"name": TEXT})


PAIR = st.tuples(message("user"), message("assistant")).map(list)
CALLING = st.tuples(
    message("user"),
    st.fixed_dictionaries({"role": st.just("assistant"), "tool_calls": CALLS}, optional={"content": st.none() | TEXT}),
    st.fixed_dictionaries({"role": st.just("tool"), "content": TEXT, "tool_call_id": TEXT}),
    message("assistant"),
).map(list)
SIMPLE = st.tuples(TEXT, TEXT).map(
    lambda qa: [{"role": "user", "content": qa[0]}, {"role": "assistant", "content": qa[1]}]
)
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


def family(name):
    return next(each for each in FAMILIES if each.name == name)


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
        back = read_object(there, family(target))
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


CHAT = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "id": 1}
LONG = {"messages": [{"role": "system", "content": "s"}, *CHAT["messages"]], "id": 2}


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
    rows = [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}], "source": "s"}
        for n in (1, 2)
    ]
    source = write(tmp_path / "a.jsonl", *map(json.dumps, rows))
    convert(ConvertOrder(source, tmp_path / "tasks.json", to="label_studio"))
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [task["data"] for task in tasks] == [{"text": f"q{n}", "source": "s"} for n in (1, 2)]
    convert(ConvertOrder(tmp_path / "tasks.json", tmp_path / "back.jsonl"))
    assert [json.loads(line) for line in (tmp_path / "back.jsonl").open()] == rows
    convert(ConvertOrder(write(tmp_path / "none.jsonl"), tmp_path / "none.json", to="label_studio"))
    assert json.loads((tmp_path / "none.json").read_text()) == []
