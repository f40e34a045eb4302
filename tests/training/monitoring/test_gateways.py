"""Logs as gateways really write them: streams, tool calls, ends, counts, answers that are JSON, halves of a request."""

import json

import pytest
from as_logged import ASKED, generation, joined, litellm

from training.monitoring.log_import import read_logs
from training.monitoring.log_lines import LogPart, read_part
from workspace.errors import InputError

CALL = {"id": "t-1", "type": "function", "function": {"name": "look_up", "arguments": '{"code": "E11"}'}}
ITEMS = [
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
    {"type": "function_call", "call_id": "t-1", "name": "look_up", "arguments": '{"code": "E11"}'},
]


def test_a_page_of_records_says_what_to_do():
    part = read_part({"data": [generation("o-1")], "meta": {"page": 1}})
    assert part.kind == "other" and part.why


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (json.dumps([litellm(1, "q", "a")]), "jq -c '.[]' {} > lines.jsonl"),
        (json.dumps([litellm(1, "q", "a")], indent=1), "jq -c '.[]' {} > lines.jsonl"),
        (json.dumps(litellm(1, "q", "a"), indent=1), "jq -c . {} > lines.jsonl"),
    ],
)
def test_json_that_is_no_lines_is_refused_with_the_command_that_makes_lines(write, text, command):
    log = write([text])
    with pytest.raises(InputError) as error:
        read_logs([log], keep_rejects=True)
    assert error.value.hint == command.format(log)


@pytest.mark.parametrize(
    "reply",
    [
        {"object": "response", "output": ITEMS, "incomplete_details": {"reason": "max_output_tokens"}},
        {"choices": [{"message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "length"}]},
    ],
)
def test_whoever_wrote_it_text_calls_and_a_cut_end_are_the_same(reply):
    said = read_part({"request": {"messages": ASKED}, "response": reply}).said
    assert (said.text, said.finish) == ("a", "length")
    assert [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in said.tool_calls] == [
        ("t-1", "look_up", {"code": "E11"})
    ]


@pytest.mark.parametrize(
    ("word", "end"),
    [("max_tokens", "length"), ("MAX_TOKENS", "length"), ("length", "length"), ("end_turn", "stop"), ("odd", "odd")],
)
def test_ends_have_one_word(word, end):
    for line in (
        {"messages": ASKED, "response": "a", "finish_reason": word},
        {"messages": ASKED, "choices": [{"message": {"content": "a"}, "finish_reason": word}]},
        {"messages": ASKED, "response": {"content": "a", "stop_reason": word}},
    ):
        assert read_part(line).said.finish == end


def test_calls_and_results_of_tools_in_a_request_are_kept():
    items = [*ASKED, ITEMS[0], ITEMS[2], {"type": "function_call_output", "call_id": "t-1", "output": "E11.9"}]
    messages = read_part({"input": items, "response": "b"}).messages
    assert [m["role"] for m in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"] == [CALL]
    assert messages[2] == {"role": "tool", "content": "E11.9", "tool_call_id": "t-1"}


def test_counts_of_tokens_are_no_texts_and_texts_no_counts():
    part = read_part({"prompt": "q", "input": 12, "completion": "a", "output": 3, "prompt_tokens": 12})
    assert (part.messages, part.said.text, part.input_tokens, part.output_tokens) == (ASKED, "a", 12, None)
    part = read_part({"messages": ASKED, "response": "a", "usage": {"input": 12, "output": 3}})
    assert (part.said.text, part.input_tokens, part.output_tokens) == ("a", 12, 3)
    part = read_part({"input": "42", "output": "7"})
    assert (part.messages[0]["content"], part.said.text, part.input_tokens, part.output_tokens) == (
        "42",
        "7",
        None,
        None,
    )
    part = read_part({"messages": ASKED, "response": 200, "completion": "a", "output": True})
    assert part.said.text == "a"


@pytest.mark.parametrize("answer", ['{"code": "E11", "side": "left"}', '["E11", "E13"]', '{"answer": "E11", "n": 1}'])
def test_an_answer_and_a_question_that_are_json_stay_what_they_are(answer):
    for key in ("input", "prompt"):
        assert read_part({key: answer, "response": "a"}).messages == [{"role": "user", "content": answer}]
    parsed = read_part(generation("o-1", output={"code": "E11", "side": "left"}, input={"note": "n", "age": 3}))
    assert json.loads(parsed.said.text) == {"code": "E11", "side": "left"}
    assert json.loads(parsed.messages[0]["content"]) == {"note": "n", "age": 3}


def test_an_empty_answer_is_one_and_feedback_beside_an_empty_answer_is_feedback():
    part = read_part({"messages": ASKED, "response": ""})
    assert (part.kind, part.said.text, part.said.error) == ("whole", "", "")
    assert read_part({"id": "x", "response": "", "rating": "up"}).kind == "feedback"


def test_a_model_that_only_one_half_names_is_still_the_requests():
    halves = [{"custom_id": "a", "body": {"messages": ASKED}},
              {"custom_id": "a", "response": {"body": {"model": "other", "choices": [{"message": {"content": "x"}}]}}},
              {"custom_id": "b", "body": {"messages": ASKED, "model": "house"}},
              {"custom_id": "b", "response": {"body": {"choices": [{"message": {"content": "y"}}]}}}]  # fmt: skip
    made = joined(*halves, model="house")
    assert [r.said.text for r in made.requests] == ["y"] and [line for line, _ in made.aside] == [1, 2]
    assert made.joined == 1


def test_parts_know_the_lines_that_belong_to_them():
    made = joined({"id": "x", "messages": ASKED}, {"id": "x", "response": "a"}, {"id": "x", "rating": "up"})
    assert [(request.line, request.more) for request in made.requests] == [(1, (2, 3))]
    assert isinstance(made.requests[0], LogPart)
