"""Rows of other makers: each is read rightly or refused by name, and every command says the same of it.

docs/curation.md lists these rows in a table; the last test holds the two to each other.
"""

import json
from pathlib import Path

import pytest
from in_shell import rung
from rows_in_files import TURNS, rows_of, write

from curation.checks.run import check_files
from curation.likeness.duplicates import dedup_prints
from curation.likeness.files import chunks_of_files, gather, hash_chunk
from curation.likeness.fingerprints import Collector
from curation.rows import Columns, Reject
from curation.rows.rowfile import RowFile

PAIR = [ASK, SAY] = TURNS
MADE = {"name": "pay", "arguments": '{"b": 1, "a": 2}'}
CALL = {"id": "c1", "type": "function", "function": MADE}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
OLD = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": MADE}]}
OKAY = {"role": "tool", "content": "ok"}
BRIEF = [{"role": "system", "content": "s"}, *PAIR]


def parts(*texts, kind="text"):
    return [{"type": kind, "text": text} for text in texts]


def made_call(name, arguments, **more):
    call = {**more, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def chat(*messages, **more):
    return {"messages": list(messages), **more}


def with_part(**part):
    return chat({"role": "user", "content": [*parts("see"), part]}, SAY)


def result(kind, **value):
    return {"from_name": "a", "to_name": "text", "type": kind, "value": value}


def task(*results):
    """A task of Label Studio, with an annotation for each result and one that was cancelled."""
    made = [{"id": n, "result": [each], "was_cancelled": False} for n, each in enumerate(results)]
    return {"id": 1, "data": {"text": "q"}, "annotations": [*made, {"result": [], "was_cancelled": True}]}


def record(fields, **responses):
    """A record of Argilla, as its `records.to_json` writes it."""
    made = {
        name: [{"value": each, "user_id": str(n)} for n, each in enumerate(said)] for name, said in responses.items()
    }
    return {"id": "r1", "fields": fields, "metadata": {"channel": "chat"}, "responses": made, "vectors": {},
            "suggestions": {"mood": {"value": "guess", "score": 0.4, "agent": "m"}}, "status": "pending",
            "_server_id": None}  # fmt: skip


READ = {
    "text parts": (chat({"role": "user", "content": parts("q")}, {**SAY, "content": parts("a", "b")}),
                   [ASK, {**SAY, "content": "a\nb"}]),
    "OpenAI Responses": (chat({"role": "user", "content": parts("q", kind="input_text")},
                              {**SAY, "content": parts("a", kind="output_text")}), PAIR),
    "top-level system": (chat(*PAIR, system="s"), BRIEF),
    "top-level system of parts": (chat(*PAIR, system=parts("s")), BRIEF),
    "system of a prompt": ({"system": "s", "prompt": "q", "completion": "a"}, BRIEF),
    "system of a question": ({"system": "s", "question": "q", "answer": "a"}, BRIEF),
    "system of a preference": ({"system": "s", "prompt": "q", "chosen": "a", "rejected": "b"}, BRIEF),
    "same system twice": (chat(*BRIEF, system="s"), BRIEF),
    "text and label": ({"text": "q", "label": "a"}, PAIR),
    "system of ShareGPT": ({"system": "s", "conversations": [{"from": "human", "value": "q"},
                                                             {"from": "gpt", "value": "a"}]}, BRIEF),
    "history of Alpaca": ({"instruction": "q", "output": "a", "history": [["x", "y"]], "system": "s"},
                          [{"role": "system", "content": "s"}, {"role": "user", "content": "x"},
                           {"role": "assistant", "content": "y"}, *PAIR]),
    "text and number": ({"text": "q", "label": 3}, [ASK, {**SAY, "content": "3"}]),
    "text and intent": ({"text": "q", "intent": "a", "id": 1}, PAIR),
    "text and a list of one": ({"text": "q", "label": ["a"]}, PAIR),
    "preference of parts": ({"prompt": [{"role": "user", "content": parts("q")}],
                             "chosen": [{**SAY, "content": parts("a")}], "rejected": [{**SAY, "content": parts("b")}]},
                            PAIR),
    "UltraFeedback": ({"prompt": "q", "chosen": PAIR, "rejected": [ASK, {**SAY, "content": "b"}]}, PAIR),
    "reasoning": (chat(ASK, {**SAY, "reasoning_content": "hm"}), [ASK, {**SAY, "reasoning_content": "hm"}]),
    "weight 1": (chat(ASK, {**SAY, "weight": 1}), [ASK, {**SAY, "weight": 1}]),
    "calls in the middle": (chat(ASK, CALLING, OKAY, SAY), [ASK, CALLING, OKAY, SAY]),
    "answer is a call": (chat(ASK, CALLING), [ASK, CALLING]),
    "answer is text and a call": (chat(ASK, {**SAY, "tool_calls": [CALL]}), [ASK, {**SAY, "tool_calls": [CALL]}]),
    "answer is an old call": (
        chat(ASK, {"role": "assistant", "content": None, "function_call": MADE}, {"role": "function", "content": "ok"},
             {"role": "assistant", "content": None, "function_call": MADE}),
        [ASK, OLD, OKAY, OLD],
    ),
    "developer": (chat({"role": "developer", "content": "s"}, *PAIR), BRIEF),
    "ShareGPT call": ({"conversations": [{"from": "human", "value": "q"},
                                         {"from": "function_call", "value": '{"name": "f", "arguments": {}}'}]},
                      [ASK, made_call("f", {})]),
    "completion is a call": ({"prompt": [ASK], "completion": [CALLING]}, [ASK, CALLING]),
    "chosen is a call": ({"prompt": [ASK], "chosen": [CALLING], "rejected": [SAY]}, [ASK, CALLING]),
    "Anthropic tool_use": (
        chat(ASK, {**SAY, "content": [*parts("a"), {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}}]}),
        [ASK, {**made_call("f", {"x": 1}, id="1"), "content": "a"}],
    ),
    "Anthropic tool_result": (
        chat(ASK, {**SAY, "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": parts("x", "y")}]},
             SAY),
        [ASK, made_call("f", {}, id="1"), {"role": "tool", "content": "x\ny", "tool_call_id": "1"}, SAY],
    ),
    "Anthropic thinking": (chat(ASK, {**SAY, "content": [{"type": "thinking", "thinking": "hm"}, *parts("a")]}),
                           [ASK, {**SAY, "reasoning_content": "hm"}]),
    "Dolly": ({"instruction": "q", "context": "", "response": "a", "category": "c"}, PAIR),
    "Dolly with a context": ({"instruction": "q", "context": "c", "response": "a"},
                             [{"role": "user", "content": "q\nc"}, SAY]),
    "input and output": ({"input": "q", "output": "a"}, PAIR),
    "query and response": ({"query": "q", "response": "a"}, PAIR),
    "HH-RLHF": ({"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"}, PAIR),
    "UltraFeedback with messages": ({"prompt": "q", "messages": PAIR, "chosen": PAIR,
                                     "rejected": [ASK, {**SAY, "content": "b"}], "score_chosen": 8.0}, PAIR),
    "Label Studio task": (task(result("choices", choices=["a"]), result("textarea", text=["a"])), PAIR),
    "Argilla record": (record({"text": "q"}, mood=["a", "a"]), PAIR),
    "Argilla record of a chat": (record({"chat": [ASK]}, mood=["a"]), PAIR),
    "Argilla flattened": ({"id": "1", "status": "completed", "_server_id": "s", "text": "q", "channel": "chat",
                           "vector": [0.5, 1.0], "topic.responses": ["b", "a"], "topic.responses.users": ["x", "y"],
                           "topic.responses.status": ["discarded", "submitted"], "topic.suggestion": "b",
                           "topic.suggestion.score": 0.4, "topic.suggestion.agent": "m"}, PAIR),
    "preference of OpenAI": ({"input": {"messages": [ASK], "tools": []}, "preferred_output": [SAY],
                              "non_preferred_output": [{**SAY, "content": "b"}]}, PAIR),
}  # fmt: skip
REFUSED = {
    "call without a name": (chat(ASK, {**SAY, "tool_calls": [{"function": {"arguments": "{}"}}]}),
                            "messages[1].tool_calls[0].function.name"),
    "arguments that are no object": (chat(ASK, made_call("f", "[1]")),
                                     "messages[1].tool_calls[0].function.arguments"),
    "arguments that are no JSON": (chat(ASK, made_call("f", '{"a": ')),
                                   "messages[1].tool_calls[0].function.arguments"),
    "image": (with_part(type="image_url", image_url={"url": "x.png"}), "messages[0].content[1].type"),
    "image of TRL": (with_part(type="image"), "messages[0].content[1].type"),
    "audio": (with_part(type="input_audio", input_audio={}), "messages[0].content[1].type"),
    "image in a result": (
        chat(ASK, {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image"}]}]}, SAY),
        "messages[1].content[0].content[0].type",
    ),
    "weight 0": (chat(ASK, {**SAY, "weight": 0}), "messages[1].weight"),
    "train false": (chat(ASK, {**SAY, "train": False}), "messages[1].train"),
    "two systems": (chat(*BRIEF, system="t"), "system"),
    "text and no label": ({"text": "q", "label": None}, "label"),
    "several labels": ({"text": "q", "labels": ["a", "b"]}, "labels"),
    "spans": ({"text": "q", "label": [[0, 1, "X"], [2, 3, "Y"]]}, "label"),
    "SQuAD": ({"id": "1", "context": "c", "question": "q", "answers": {"text": ["a"], "answer_start": [0]}}, "answer"),
    "answer of SQuAD": ({"question": "q", "answer": {"text": ["a"]}}, "answer"),
    "Argilla flattened of two answers": ({"text": "q", "topic.responses": ["a", "b"]}, "responses"),
    "Argilla 1": ({"text": "q", "annotation": "a", "annotation_agent": "b"}, "annotation"),
    "Label Studio JSON-MIN": ({"id": 1, "text": "q", "mood": "a", "annotation_id": 2, "lead_time": 1.5}, "mood"),
    "Label Studio task of spans": (task(result("labels", labels=["a"], start=0, end=1)), "annotations"),
    "Label Studio task of several choices": (task(result("choices", choices=["a", "b"])), "annotations"),
    "Label Studio task without an answer": (task(), "annotations"),
    "Label Studio task whose annotators disagree": (
        task(result("choices", choices=["a"]), result("choices", choices=["b"])), "annotations"),
    "Argilla flattened without a response": ({"text": "q", "topic.responses": None}, "responses"),
    "Argilla record without a response": (record({"text": "q"}), "responses"),
    "Argilla record whose people disagree": (record({"text": "q"}, mood=["a", "b"]), "responses"),
    "Argilla record of two questions": (record({"text": "q"}, mood=["a"], stars=[4]), "responses"),
    "Argilla record of several labels": (record({"text": "q"}, mood=[["a", "b"]]), "responses"),
    "Prodigy": ({"text": "q", "label": "a", "answer": "reject", "_task_hash": 1}, "answer"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (record({"text": "q"}) | {"responses": {"mood": odd}}, "responses")
        for odd in ("x", 5, {"value": "a"}, ["a"], [{"user_id": "1"}])
    ]
    + [
        (record({"text": "q"}, mood=["a"]) | {"metadata": ["a"]}, "metadata"),
        (record({"text": "q", "messages": "z"}, mood=["a"]), "messages"),
        *((task() | {"annotations": odd}, "annotations") for odd in (["x"], {"result": []}, "x")),
    ],
)
def test_an_export_of_another_form_is_a_reject_with_its_field(tmp_path, row, field):
    (item,) = rows_of(write(tmp_path / "a.jsonl", json.dumps(row)))
    assert isinstance(item, Reject) and item.field == field


def verdicts(folder: Path, file: Path):
    """Return every problem that each reading command reports for a file: line and words."""
    rung("init", cwd=folder)
    other = write(folder / "other.jsonl", json.dumps({"question": "something else", "answer": "b"}))
    commands = {
        "convert": ("convert", file, "-o", "converted.jsonl"),
        "dedup": ("dedup", file, "-o", "kept.jsonl"),
        "workers": ("dedup", file, "-o", "kept.jsonl", "--workers", 2),
        "train": ("leakage", "--train", file, "--test", other),
        "test": ("leakage", "--train", other, "--test", file),
        "import": ("import", file, "--as", "train"),
    }
    found = {}
    for name, line in commands.items():
        done = rung("data", *line, "--json", cwd=folder)
        assert done.returncode in (0, 1, 2), done.stderr
        problems = json.loads(done.stdout)["error"]["problems"] if done.returncode == 2 else []
        found[name] = [(int(each["where"].rsplit(" ", 1)[1]), each["message"]) for each in problems]
    document = json.loads(rung("data", "check", file, "--json", cwd=folder).stdout)
    lines = [each["evidence"] for each in document["findings"] if each["name"] == "malformed"]
    found["check"] = [(int(each["key"]), each["note"]) for some in lines for each in some]
    return found


@pytest.mark.parametrize("kind", READ)
def test_a_row_that_is_read_is_read_as_what_it_says(tmp_path, kind):
    row, messages = READ[kind]
    plain = json.dumps(chat(*PAIR))
    file = write(tmp_path / "a.jsonl", plain, json.dumps(row), plain)
    assert [list(item.example.messages) for item in rows_of(file)] == [PAIR, messages, PAIR]
    with RowFile([file]) as rows:
        assert [list(example.messages) for example in rows] == [PAIR, messages, PAIR]
        assert [list(example.messages) for example in rows.fetch([1])] == [messages]
    (again,) = rows_of(write(tmp_path / "b.jsonl", next(iter(rows_of(file, "auto")[1:2])).example.to_json()))
    assert list(again.example.messages) == messages, "what is written is read again as the same"


def test_metadata_of_argilla_with_the_name_of_a_field_is_kept_beside_it(tmp_path):
    made = record({"text": "q", "channel": "a field"}, mood=["a"])
    made["metadata"] |= {"text": "another text", "lang": "en"}
    (item,) = rows_of(write(tmp_path / "a.jsonl", json.dumps(made)))
    kept = {name: item.example.row.get(name) for name in ("channel", "lang", "text", "metadata")}
    beside = {"channel": "chat", "text": "another text"}
    assert kept == {"channel": "a field", "lang": "en", "text": None, "metadata": beside}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_row_that_would_be_misread_is_refused_by_its_field(tmp_path, kind):
    row, field = REFUSED[kind]
    file = write(tmp_path / "a.jsonl", json.dumps(row), json.dumps(chat(*PAIR)), json.dumps(row))
    item, _, again = rows_of(file)
    assert isinstance(item, Reject) and (item.field, item.line) == (field, 1) and again == item._replace(line=3)
    assert item.reason and "{'" not in item.reason
    with RowFile([file]) as rows:
        assert len(list(rows)) == 1 and list(rows.rejects) == [item, again]
    array = tmp_path / "a.json"
    array.write_text(json.dumps([row]))
    assert rows_of(array)[0][2:4] == item[2:4]


@pytest.mark.parametrize(("rows", "refused"), [(READ, False), (REFUSED, True)])
def test_every_command_says_the_same_of_every_odd_row(tmp_path, rows, refused):
    lines = [json.dumps(row) for row, _ in rows.values()]
    file = write(tmp_path / "odd.jsonl", *(lines[:20] if refused else lines))
    found = verdicts(tmp_path, file)
    checked, converted = found.pop("check"), found["convert"]
    assert [line for line, _ in converted] == [line for line, _ in checked] == (list(range(1, 21)) if refused else [])
    assert {name: each for name, each in found.items() if each != converted} == {}
    assert all(note.rstrip(".") in message for (_, message), (_, note) in zip(converted, checked, strict=True))


@pytest.mark.parametrize(
    "row", [{"query": "q", "reply": "a"}, {"text": "q", "mood": "a"}, {"text": "q", "label": "b", "mood": "a"}]
)
def test_columns_are_named_for_json_lines_as_for_a_table(tmp_path, row):
    asked, *_, answer = row
    for file in (
        write(tmp_path / "a.jsonl", json.dumps(row)),
        write(tmp_path / "a.csv", ",".join(row), "q,b,a" if len(row) > 2 else "q,a"),
    ):
        (item,) = rows_of(file, columns=Columns(asked, answer))
        assert list(item.example.messages) == PAIR
        (item,) = rows_of(file, columns=Columns(asked, answer, "mood")) if len(row) > 2 else (item,)
    (item,) = rows_of(tmp_path / "a.jsonl", columns=Columns(asked, "repyl"))
    assert isinstance(item, Reject) and item.field == "repyl"


def test_a_column_that_holds_no_single_text_is_no_answer(tmp_path):
    row = {"id": "1", "question": "q", "answers": {"text": ["a"], "answer_start": [0]}}
    (item,) = rows_of(write(tmp_path / "a.jsonl", json.dumps(row)), columns=Columns(answer="answers"))
    assert isinstance(item, Reject) and item.field == "answers"
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist([row]), tmp_path / "a.parquet")
    (item,) = rows_of(tmp_path / "a.parquet", columns=Columns(answer="answers"))
    assert isinstance(item, Reject) and item.field == "answers"


def duplicates(file, elsewhere):
    """Fingerprints are taken in a pass, or as other processes take them (`--workers`, Ray)."""
    with RowFile([file]) as rows:
        collector = Collector()
        if elsewhere:
            gather(rows, collector, map(hash_chunk, chunks_of_files(rows)))
        else:
            collector.add_rows(rows.said())
        return dedup_prints(collector.finish(rows.fetch), rows.fetch)


def answering(*behind, **arguments):
    """A row that calls a tool with these, as its answer or with messages behind the call."""
    return chat(ASK, made_call("pay", json.dumps(arguments), id=str(arguments)), *behind)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (answering(OKAY, SAY, a=1, b=2), answering(OKAY, SAY, b=2, a=1), True),
        (answering(OKAY, SAY, a=1), answering(OKAY, SAY, a=2), False),
        (chat(ASK, {**SAY, "reasoning_content": "x"}), chat(ASK, {**SAY, "reasoning_content": "y"}), True),
        (chat(ASK, {**SAY, "thinking": "x"}), chat(*PAIR), True),
        (answering(a=1, b=2), answering(b=2, a=1), True),
        (answering(a=1), answering(a="1"), False),
        (answering(path="a b c d e f g h."), answering(path="a b c d e f g h"), False),
        (chat(ASK, {**SAY, "tool_calls": [CALL]}), chat(*PAIR), False),
        (chat(ASK, CALLING), chat(ASK, OLD), True),
        (chat(ASK, CALLING, tools=[1]), chat(ASK, CALLING, tools=[2]), False),
        (chat(*PAIR, system="s"), chat(*PAIR, system="t"), False),
        (chat({**ASK, "content": parts("q")}, SAY), chat(*PAIR), True),
        ({"text": "q", "label": "a"}, {"text": "q", "label": "b"}, False),
        (chat(ASK, {**SAY, "weight": 1}), chat(*PAIR), True),
    ],
)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_a_row_says_beside_its_texts_counts_for_identity(tmp_path, one, other, same, elsewhere):
    file = write(tmp_path / "a.jsonl", json.dumps(one), json.dumps(other))
    assert duplicates(file, elsewhere).exact == int(same)
    rows = [item.example for item in rows_of(file)]
    assert (rows[0].context == rows[1].context and rows[0].answer == rows[1].answer) is same


@pytest.mark.parametrize("elsewhere", [False, True])
def test_calls_that_differ_contradict_one_another_and_are_never_dropped(tmp_path, elsewhere):
    long = " ".join(f"word{n}" for n in range(60))
    for one, other in [
        (answering(city="Paris"), answering(city="London")),
        (answering(note=long, to="Ann"), answering(note=long, to="Bob")),
        (chat(ASK, CALLING), chat(ASK, made_call("stop", MADE["arguments"]))),
        (chat(ASK, CALLING), chat(*PAIR)),
        (chat(ASK, {**CALLING, "reasoning_content": "x"}), chat(ASK, {**SAY, "reasoning_content": "y"})),
    ]:
        file = write(tmp_path / "a.jsonl", json.dumps(one), json.dumps(other))
        found = duplicates(file, elsewhere)
        assert (len(found.kept), found.count("contradiction")) == (2, 1)
        names = [each.name for each in check_files([file]).findings]
        assert "contradictions" in names and "constant" not in names


def test_the_docs_say_of_each_row_what_happens():
    page = (Path(__file__).parents[2] / "docs" / "curation.md").read_text(encoding="utf-8")
    table = page[page.index("### Rows of other makers") : page.index("**Tool calls.**")]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    said = {kind: what.split()[0].rstrip(":") for kinds, what in cells for kind in kinds.split(", ")}
    assert said == dict.fromkeys(READ, "read") | dict.fromkeys(REFUSED, "refused")
