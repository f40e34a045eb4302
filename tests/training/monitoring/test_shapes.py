"""Log lines in each of the shapes that gateways write; none can crash the reader."""

import json

import pytest
from as_logged import ASKED, joined, litellm
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from training.monitoring.fields import as_time, on_scale, opened, scale_of
from training.monitoring.log_lines import read_part
from training.monitoring.pii import Masker

SAID = {"id": "c-1", "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}
PIECE = {"id": "c-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "x"}}]}
STREAM = 'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    "line",
    [
        {"request": json.dumps({"messages": ASKED}), "response": json.dumps(SAID)},
        {"messages": ASKED, **SAID},
        {"payload": {"messages": ASKED, "response": SAID}},
        {"input": {"messages": ASKED}, "output": {"role": "assistant", "content": "a", "finish_reason": "stop"}},
        {"input": "q", "object": "response", "output": [{"content": [{"type": "output_text", "text": "a"}]}],
         "finish_reason": "stop"},
        {"prompt": "q", "object": "text_completion", "choices": [{"text": "a", "finish_reason": "stop"}]},
        {"request": {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]},
         "response": {"type": "message", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}},
    ],
)  # fmt: skip
def test_every_usual_shape_gives_question_answer_and_end(line):
    """More shapes are in test_round_trip.py."""
    part = read_part(line)
    assert part.kind == "whole"
    assert [dict(m) for m in part.messages] == ASKED
    assert (part.said.text, part.said.finish, part.said.error) == ("a", "stop", "")


def test_measures_and_system_message():
    part = read_part(litellm(2, "q", "a", metadata={"rating": 1}))
    assert (part.seconds, part.cost_usd, part.input_tokens, part.output_tokens) == (0.5, 0.001, 9, 3)
    assert part.at is not None and part.at.isoformat() == "2025-11-24T16:02:00+00:00"
    assert part.feedback.rating == 1.0
    claude = read_part({"request": {"system": "S", "messages": ASKED}, "response": SAID})
    assert claude.messages[0] == {"role": "system", "content": "S"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"call_type": "aembedding", "input": "x", "response": {}}, "no chat or text completion: aembedding"),
        ({"url": "https://api.openai.com/v1/images/generations", "prompt": "a cat", "response": {}},
         "no chat or text completion: https://api.openai.com/v1/images/generations"),
        ({"level": "INFO", "msg": "started"}, "neither a request, nor an answer, nor feedback"),
        ({"prompt": ["a", "b"], "response": SAID}, "several prompts in one request"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "response": SAID},
         "a message holds an image, a sound, a file or a call in parts, which a row cannot"),
        ({"messages": ASKED, "response": {"content": [{"type": "tool_use", "name": "f", "input": {}}]}},
         "an answer in parts that are no text"),
        ({"messages": ASKED, "response": STREAM}, "a streamed answer in pieces: log it whole"),
        ({"messages": ASKED, "response": [PIECE]}, "a streamed answer in pieces: log it whole"),
        (PIECE, "a streamed answer in pieces: log it whole"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_set_aside_with_its_reason(line, why):
    part = read_part(line)
    assert (part.kind, part.why) == ("other", why)


@pytest.mark.parametrize(
    "url",
    [
        "https://images.example.org/v1/chat/completions",
        "https://x.example.org/openai/deployments/speech-desk/chat/completions?api-version=2024-10-21",
        "https://rerank.example.org/v1/responses/",
    ],
)
def test_a_chat_is_one_whatever_its_host_is_called(url):
    assert read_part({"url": url, "messages": ASKED, "response": SAID}).kind == "whole"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({"messages": ASKED, "response": None, "status": "failure", "error_str": "timeout"}, "timeout"),
        ({"request": {"messages": ASKED}, "response": {"status_code": 429, "body": {"error": "no"}}}, "no"),
        ({"messages": ASKED, "response": {}, "status_code": 500}, "HTTP 500"),
    ],
)  # fmt: skip
def test_a_failed_request_keeps_its_error(line, error):
    part = read_part(line)
    assert part.kind == "whole" and part.said.error == error and part.said.text == ""


def test_halves_that_find_no_other_are_set_aside_each_with_its_reason():
    """Halves that join are in test_round_trip.py."""
    made = joined(
        {"custom_id": "b", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": ASKED}},
        {"id": "vllm-9", "custom_id": "a", "response": {"status_code": 200, "body": SAID}, "error": None},
    )  # fmt: skip
    assert made.requests == [] and made.aside == [
        (1, "a request without its answer"),
        (2, "an answer without its request"),
    ]


def test_a_row_for_training_is_told_as_one_with_what_was_looked_for():
    row = {"messages": [*ASKED, {"role": "assistant", "content": "a"}]}
    ((_, why), (_, other)) = joined(row, {"id": "r", "messages": ASKED}).aside
    for name in ("response", "choices", "output", "completion", "rung data import"):
        assert name in why
    assert "choices" not in other
    answered = joined({"id": "p", **row}, {"id": "p", "response": SAID})
    assert len(answered.requests) == 1 and not answered.aside, "the start of an answer that the model went on with"


def test_feedback_on_lines_of_its_own_finds_its_request():
    made = joined(
        {"request_id": "x", "rating": "down", "comment": "wrong side"},
        litellm(1, "q", "a", request_id="x", trace_id="t"),
        {"trace_id": "t", "edit": "b"},
        {"request_id": "gone", "rating": 5},
        {"rating": 5},
    )  # fmt: skip
    said = made.requests[0].feedback
    assert (said.rating, said.comment, said.edit) == (-1.0, "wrong side", "b")
    assert [part.ids for part in made.feedback] == [("gone",)]
    assert made.aside == [(5, "feedback that names no request")]


@pytest.mark.parametrize(
    ("ratings", "scale", "worst", "best"),
    [
        ([0, 1, 1], (0, 1), -1, 1),
        ([-1, 1], (-1, 1), -1, 1),
        ([5, 1, 4], (1, 5), -1, 1),
        ([0, 5], (0, 5), -1, 1),
        ([10, 3], (1, 10), -0.5556, 1),
        ([95, 3], (0, 100), -0.94, 0.9),
    ],
)
def test_the_scale_of_ratings_is_told_by_all_of_them(ratings, scale, worst, best):
    assert scale_of(ratings) == scale
    assert (on_scale(min(ratings), scale), on_scale(max(ratings), scale)) == (worst, best)


def test_a_number_of_any_length_is_no_count_and_no_crash():
    line = {"prompt": "q", "completion": "a", "input": 10**400, "output": 7, "cost": 10**400, "startTime": 10**400}
    part = read_part(line)
    assert (part.kind, part.input_tokens, part.output_tokens, part.cost_usd, part.at) == (
        "whole",
        None,
        None,
        None,
        None,
    )


def test_times_in_every_form():
    forms = (1_764_000_000, "1764000000", 1_764_000_000_000, 1.764e18, "2025-11-24T16:00:00Z", "2025-11-24 16:00:00")
    assert {str(as_time(form)) for form in forms} == {"2025-11-24 16:00:00+00:00"}
    assert [as_time(x) for x in ("soon", 12, None, True, [], "9999999999999999999999", float("nan"))] == [None] * 7


NAMES = (
    *("id", "object", "choices", "message", "delta", "content", "role", "messages", "request", "response", "body"),
    *("prompt", "input", "output", "error", "status", "usage", "rating", "feedback", "scores", "value", "edit", "url"),
    *("comment", "startTime", "endTime", "created", "model", "tool_calls", "metadata", "text", "data", "observations"),
    *("traceId", "value", "source", "name", "stringValue", "index", "function", "arguments", "type", "content_block"),
    *("finish_reason", "usageDetails", "partial_json", "question", "user-feedback", "function_call", "level"),
)
KEYS = st.sampled_from(NAMES) | st.text(max_size=3)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(
    ["user", "assistant", "chat.completion.chunk", "response", "data: {", '{"messages": [{"role": 1}]}', "[1", "stop",
     "GENERATION", "EVAL", "tool_use", "tool_result", "function_call", "content_block_start", "response.completed",
     'data: {"type": "message_delta", "delta": 1}', '{"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}']
)  # fmt: skip
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


@budget(max_examples=60)
@given(st.lists(st.dictionaries(KEYS, JSON, max_size=6), max_size=6))
def test_no_object_is_lost_or_crashes_the_parser(lines):
    made = joined(*lines)
    assert len(made.requests) + made.joined + len(made.aside) + len(made.feedback) == len(lines)
    for request in made.requests:
        assert request.messages and all(isinstance(m["content"], str) for m in request.messages)
        assert isinstance(request.said.text, str) and request.said
    json.dumps([[request.messages, request.said.tool_calls] for request in made.requests], default=str)


@pytest.mark.parametrize("inner", ['{"role": "user", "content": "\\ud800"}', "[" * 900 + "]" * 900, '{"a": 1, "a": 2}'])
def test_a_text_that_is_no_strict_json_stays_a_text(inner):
    assert opened(inner) == inner
    said = read_part({"messages": ASKED, "response": inner}).said
    assert said.text == inner and said.text.encode()
    assert Masker().inside({"arguments": inner}) == {"arguments": inner}


@pytest.mark.parametrize("nothing", [{}, "", [], None])
def test_an_error_that_says_nothing_is_none(nothing):
    assert read_part({"messages": ASKED, "response": SAID, "error": nothing}).said.error == ""
    line = {"messages": ASKED, "response": None, "error": nothing, "error_str": "timeout"}
    assert read_part(line).said.error == "timeout"
