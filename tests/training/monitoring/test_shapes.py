"""Log lines in each of the shapes that gateways and traces write, streams and calls too; none crashes the reader."""

import itertools
import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from as_logged import ASKED, generation, joined, litellm, score
from hosted_replies import completion
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from in_shell import rung

from rung.start import start_project
from training.monitoring.fields import as_time, on_scale, scale_of
from training.monitoring.log_import import read_logs
from training.monitoring.log_lines import read_part
from training.monitoring.otel_spans import spans_in
from training.monitoring.requests import join

SAID = {"id": "c-1", "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}
PIECE = {"id": "c-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "x"}}]}
STREAM = 'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'


def test_lines_that_find_no_other_are_set_aside_each_with_its_reason():
    """A request may end with the start of its answer."""
    row = {"messages": [*ASKED, {"role": "assistant", "content": "a"}]}
    made = joined(
        {"custom_id": "b", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": ASKED}},
        {"id": "vllm-9", "custom_id": "a", "response": {"status_code": 200, "body": SAID}, "error": None},
        {"rating": 5},
        row,
        {"id": "p", **row},
        {"id": "p", "response": SAID},
        {"request_id": "gone", "rating": 5},
    )
    why = dict(made.aside)
    told = why.pop(4)
    assert why == {
        1: "a request without its answer",
        2: "an answer without its request",
        3: "feedback that names no request",
    }
    assert all(name in told for name in ("response", "choices", "completion", "rung data import"))
    assert (len(made.requests), [part.ids for part in made.feedback]) == (1, [("gone",)])


def test_each_line_of_feedback_leaves_what_the_others_said():
    made = joined(
        {"request_id": "x", "rating": "down", "comment": "wrong side"},
        litellm(1, "q", "a", request_id="x", trace_id="t"),
        {"trace_id": "t", "edit": "b"},
    )
    said = made.requests[0].feedback
    assert (said.rating, said.comment, said.edit, made.requests[0].more) == (-1.0, "wrong side", "b", (1, 3))


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


@budget(max_examples=40)
@given(st.lists(st.dictionaries(KEYS, JSON, max_size=6), max_size=6))
def test_no_object_is_lost_or_crashes_the_parser(lines):
    made = joined(*lines)
    assert len(made.requests) + made.joined + len(made.aside) + len(made.feedback) == len(lines)
    for request in made.requests:
        assert request.messages and all(isinstance(m["content"], str) for m in request.messages)
        assert isinstance(request.said.text, str) and request.said
    json.dumps([[request.messages, request.said.tool_calls] for request in made.requests], default=str)


CALL = {"id": "t-1", "type": "function", "function": {"name": "look_up", "arguments": '{"code": "E11"}'}}
ITEMS = [
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
    {"type": "function_call", "call_id": "t-1", "name": "look_up", "arguments": '{"code": "E11"}'},
]
RESULT = {"type": "function_call_output", "call_id": "t-1", "output": "E11.9"}
PARSED = ('{"code": "E11", "side": "left"}', '["E11", "E13"]', '{"answer": "E11", "n": 1}')
HUGE = {"input": 10**400, "output": 7, "cost": 10**400, "startTime": 10**400}
CUT = {"text": "a", "finish": "length", "tool_calls": (CALL,)}
USUAL = {"kind": "whole", "messages": ASKED, "text": "a", "finish": "stop", "error": ""}
FIELDS = [
    ({"request": json.dumps({"messages": ASKED}), "response": json.dumps(SAID)}, USUAL),
    ({"messages": ASKED, **SAID}, USUAL),
    ({"payload": {"messages": ASKED, "response": SAID}}, USUAL),
    ({"input": {"messages": ASKED}, "output": {"role": "assistant", "content": "a", "finish_reason": "stop"}}, USUAL),
    ({"input": "q", "object": "response", "output": [{"content": [{"type": "output_text", "text": "a"}]}],
      "finish_reason": "stop"}, USUAL),
    ({"prompt": "q", "object": "text_completion", "choices": [{"text": "a", "finish_reason": "stop"}]}, USUAL),
    ({"request": {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]},
      "response": {"type": "message", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}}, USUAL),
    ({"call_type": "aembedding", "input": "x", "response": {}}, {"why": "no chat or text completion: aembedding"}),
    ({"url": "https://api.openai.com/v1/images/generations", "prompt": "a cat", "response": {}},
     {"why": "no chat or text completion: https://api.openai.com/v1/images/generations"}),
    ({"level": "INFO", "msg": "started"}, {"why": "neither a request, nor an answer, nor feedback"}),
    ({"prompt": ["a", "b"], "response": SAID}, {"why": "several prompts in one request"}),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "response": SAID},
     {"why": "a message holds an image, a sound, a file or a call in parts, which a row cannot"}),
    ({"messages": ASKED, "response": {"content": [{"type": "tool_use", "name": "f", "input": {}}]}},
     {"why": "an answer in parts that are no text"}),
    *((line, {"why": "a streamed answer in pieces: log it whole"})
      for line in ({"messages": ASKED, "response": STREAM}, {"messages": ASKED, "response": [PIECE]}, PIECE)),
    ({"data": [generation("o-1")], "meta": {}}, {"why": "a page of several records: write each on a line of its own"}),
    ({"request": {"system": "S", "messages": ASKED}, "response": SAID},
     {"messages": [{"role": "system", "content": "S"}, *ASKED]}),
    (litellm(2, "q", "a", metadata={"rating": 1}),
     {"seconds": 0.5, "cost_usd": 0.001, "input_tokens": 9, "output_tokens": 3, "rating": 1.0,
      "at": datetime(2025, 11, 24, 16, 2, tzinfo=UTC)}),
    ({"url": "https://images.example.org/v1/chat/completions", "messages": ASKED, "response": SAID}, {"kind": "whole"}),
    ({"url": "https://x.example.org/openai/deployments/speech-desk/chat/completions?api-version=2024-10-21",
      "messages": ASKED, "response": SAID}, {"kind": "whole"}),
    ({"url": "https://rerank.example.org/v1/responses/", "messages": ASKED, "response": SAID}, {"kind": "whole"}),
    ({"messages": ASKED, "response": None, "status": "failure", "error_str": "timeout"},
     {"kind": "whole", "error": "timeout", "text": ""}),
    ({"request": {"messages": ASKED}, "response": {"status_code": 429, "body": {"error": "no"}}},
     {"kind": "whole", "error": "no", "text": ""}),
    ({"messages": ASKED, "response": {}, "status_code": 500}, {"kind": "whole", "error": "HTTP 500", "text": ""}),
    *(({"messages": ASKED, "response": SAID, "error": nothing}, {"error": ""}) for nothing in ({}, "", [], None)),
    *(({"messages": ASKED, "response": None, "error": nothing, "error_str": "timeout"}, {"error": "timeout"})
      for nothing in ({}, "", [], None)),
    ({"request": {"messages": ASKED}, "response": {
        "object": "response", "output": ITEMS, "incomplete_details": {"reason": "max_output_tokens"}}}, CUT),
    ({"request": {"messages": ASKED}, "response": {
        "choices": [{"message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "length"}]}}, CUT),
    *(({"messages": ASKED, "response": "a", "finish_reason": word}, {"finish": "length"})
      for word in ("max_tokens", "MAX_TOKENS", "length")),
    ({"messages": ASKED, "response": {"content": "a", "stop_reason": "max_tokens"}}, {"finish": "length"}),
    ({"input": [*ASKED, ITEMS[0], ITEMS[2], RESULT], "response": "b"},
     {"messages": [*ASKED, {"role": "assistant", "content": "", "tool_calls": [CALL]},
                   {"role": "tool", "content": "E11.9", "tool_call_id": "t-1"}]}),
    ({"prompt": "q", "completion": "a", **HUGE},
     {"kind": "whole", "input_tokens": None, "output_tokens": None, "cost_usd": None, "at": None}),
    ({"prompt": "q", "input": 12, "completion": "a", "output": 3, "prompt_tokens": 12},
     {"messages": ASKED, "text": "a", "input_tokens": 12, "output_tokens": None}),
    ({"messages": ASKED, "response": "a", "usage": {"input": 12, "output": 3}},
     {"text": "a", "input_tokens": 12, "output_tokens": 3}),
    ({"input": "42", "output": "7"},
     {"messages": [{"role": "user", "content": "42"}], "text": "7", "input_tokens": None, "output_tokens": None}),
    ({"messages": ASKED, "response": 200, "completion": "a", "output": True}, {"text": "a"}),
    *(({key: answer, "response": "a"}, {"messages": [{"role": "user", "content": answer}]})
      for key in ("input", "prompt") for answer in PARSED),
    (generation("o-1", output=json.loads(PARSED[0]), input={"note": "n", "age": 3}),
     {"text": PARSED[0], "messages": [{"role": "user", "content": '{"note": "n", "age": 3}'}]}),
    *(({"messages": ASKED, "response": broken}, {"text": broken})
      for broken in ('{"role": "user", "content": "\\ud800"}', "[" * 900 + "]" * 900, '{"a": 1, "a": 2}')),
    ({"messages": ASKED, "response": ""}, {"kind": "whole", "text": "", "error": ""}),
    ({"id": "x", "response": "", "rating": "up"}, {"kind": "feedback"}),
    (generation("o-1", modelParameters={}, metadata={"a": 1}, statusMessage=None),
     {"kind": "whole", "ids": ("o-1",), "trace": "trace-of-o-1", "model": "house", "seconds": 1.5, "input_tokens": 9,
      "output_tokens": 3, "cost_usd": 0.002}),
    (generation("o-1", output=None, level="ERROR", statusMessage="rate limit"),
     {"kind": "whole", "error": "rate limit"}),
    (generation("o-1", usage=None, usageDetails={"input": 5, "output": 2}, calculatedTotalCost=None,
                costDetails={"total": 0.5}), {"input_tokens": 5, "output_tokens": 2, "cost_usd": 0.5}),
    (generation("o-1", output={"text": "a", "codes": ["E11"]}), {"text": '{"text": "a", "codes": ["E11"]}'}),
    (generation("o-1", output={"answer": "a"}), {"text": "a"}),
    (generation("o-1", scores=[score(1)]), {"rating": 1.0}),
    (generation("o-1", scores=[score(0.1, name="toxicity"), score(0.3, source="EVAL"), score(1)]), {"rating": 1.0}),
    (generation("o-1", **{"user-feedback": [1], "toxicity": [0.1]}), {"rating": 1.0}),
    (generation("o-1", userFeedback=[0, 1]), {"rating": 1.0}),
    (generation("o-1", scores=[{"name": "quality", "value": 1}]), {"rating": 1.0}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "fields"), FIELDS)
def test_what_is_read_of_a_line(line, fields):
    part = read_part(line)
    found = {**vars(part), **asdict(part.said), "rating": part.feedback.rating}
    assert {name: found[name] for name in fields} == fields and (part.kind == "other") is bool(part.why)


def test_a_model_that_only_one_half_names_is_still_the_requests():
    halves = [{"custom_id": "a", "body": {"messages": ASKED}},
              {"custom_id": "a", "response": {"body": {"model": "other", "choices": [{"message": {"content": "x"}}]}}},
              {"custom_id": "b", "body": {"messages": ASKED, "model": "house"}},
              {"custom_id": "b", "response": {"body": {"choices": [{"message": {"content": "y"}}]}}}]  # fmt: skip
    made = joined(*halves, model="house")
    assert [r.said.text for r in made.requests] == ["y"] and [line for line, _ in made.aside] == [1, 2]
    assert made.joined == 1


@dataclass(frozen=True)
class Exchange:
    """An exchange that was logged. `cuts` are places at which a stream breaks the answer."""

    name: str
    question: str
    answer: str
    cut: bool
    rating: str | None
    apart: bool
    shape: str
    cuts: tuple[int, ...] = ()

    @property
    def asked(self):
        return [{"role": "system", "content": "House line."}, {"role": "user", "content": self.question}]

    @property
    def end(self):
        return "length" if self.cut else "stop"

    @property
    def whole(self):
        return completion(self.answer, self.end) | {"id": self.name, "model": "house"}

    @property
    def items(self):
        places = [0, *sorted({cut % (len(self.answer) + 1) for cut in self.cuts}), len(self.answer)]
        parts = [{"type": "output_text", "text": self.answer[a:b]} for a, b in itertools.pairwise(places)]
        why = {"incomplete_details": {"reason": "max_output_tokens"}} if self.cut else {"finish_reason": "stop"}
        return {"id": self.name, "object": "response", "status": "incomplete" if self.cut else "completed", **why,
                "output": [{"type": "reasoning", "summary": []},
                           {"type": "message", "role": "assistant", "content": parts}]}  # fmt: skip


SHAPES = {
    "litellm": lambda e: [{"id": e.name, "call_type": "acompletion", "status": "success", "model": "house",
                           "startTime": 1_764_000_000.0, "messages": e.asked, "response": e.whole, "error_str": None}],
    "openai": lambda e: [{"request": {"model": "house", "messages": e.asked}, "response": e.whole}],
    "bodies": lambda e: [{"request": {"url": "/v1/chat/completions", "body": json.dumps({"messages": e.asked})},
                          "response": {"status_code": 200, "headers": {}, "body": e.whole}}],
    "langfuse": lambda e: [{"id": e.name, "type": "GENERATION", "level": "DEFAULT", "input": e.asked, "model": "house",
                            "output": {"role": "assistant", "content": e.answer, "finish_reason": e.end},
                            "usage": {"input": 9, "output": 3}, "scores": []}],
    "batch": lambda e: [{"custom_id": e.name, "method": "POST", "url": "/v1/chat/completions",
                         "body": {"model": "house", "messages": e.asked}},
                        {"id": f"b-{e.name}", "custom_id": e.name, "error": None,
                         "response": {"status_code": 200, "body": e.whole}}],
    "responses": lambda e: [{"request": {"instructions": "House line.", "input": e.question}, "response": e.items}],
    "own": lambda e: [{"id": e.name, "messages": e.asked, "response": e.answer, "finish_reason": e.end}],
    "own parts": lambda e: [{"id": e.name, "prompt": json.dumps(e.asked), "input": 9, "completion": e.answer,
                             "output": 3, "stop_reason": "MAX_TOKENS" if e.cut else "end_turn"}],
}  # fmt: skip
SIGNS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(SIGNS, min_size=1, max_size=20) | st.sampled_from([
    '{"code": "E11", "side": "left"}', '["E11", "E13"]', "42", "data: see the table", "event: none", "[DONE]", "null",
    '{"answer": "x", "n": 1}', '{"role": "user"}', '{"content": "x"}', "a\u2028b\x85c\nd", "true", "up", '"', "{", "[",
])  # fmt: skip
EXCHANGES = st.builds(
    Exchange,
    name=st.uuids().map(str),
    question=TEXTS.filter(str.strip),
    answer=TEXTS,
    cut=st.booleans(),
    rating=st.sampled_from([None, "up", "down"]),
    apart=st.booleans(),
    shape=st.sampled_from(sorted(SHAPES)),
    cuts=st.tuples(st.integers(0, 20), st.integers(0, 20)),
)


def written(exchanges: list[Exchange], order):
    """Their lines, those of one exchange in order, else as `order` draws it; ratings inside or on own lines."""
    queues = [SHAPES[each.shape](each) for each in exchanges]
    for each, lines in zip(exchanges, list(queues), strict=True):
        if each.rating and each.apart:
            queues.append([{"id": each.name, "rating": each.rating, "comment": "said later"}])
        elif each.rating:
            lines[0]["feedback"] = {"rating": each.rating, "comment": "said later"}
    turns = [number for number, lines in enumerate(queues) for _ in lines]
    order.shuffle(turns)
    return [queues[number].pop(0) for number in turns]


@budget(max_examples=120, deadline=None)
@given(st.lists(EXCHANGES, min_size=1, max_size=6, unique_by=lambda each: each.name), st.randoms(), st.booleans())
def test_what_went_in_comes_out(exchanges: list[Exchange], order, plain):
    lines = written(exchanges, order)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(b"".join(json.dumps(x, ensure_ascii=plain).encode() + b"\n" for x in lines))
        made = join(read_logs([path], keep_rejects=False).parts)
    assert made.aside == [] and made.feedback == []
    assert len(made.requests) + made.joined == len(lines)
    found = {name: request for request in made.requests for name in request.ids}
    for each in exchanges:
        request = found[each.name]
        assert [(m["role"], m["content"]) for m in request.messages] == [
            ("system", "House line."),
            ("user", each.question),
        ], each.shape
        assert (request.said.text, request.said.finish, request.said.error) == (each.answer, each.end, ""), each.shape
        rating = {None: None, "up": 1.0, "down": -1.0}[each.rating]
        assert (request.feedback.rating, request.feedback.comment) == (rating, "said later" if each.rating else "")


def value(plain):
    """A value as OTLP writes it."""
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(each) for each in plain]}}
    if isinstance(plain, dict):
        return {"kvlistValue": {"values": attributes(plain)}}
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {kinds[type(plain)]: str(plain) if type(plain) is int else plain}


def attributes(table):
    return [{"key": key, "value": value(each)} for key, each in table.items()]


TRACE_ASKED = [{"role": "user", "parts": [{"type": "text", "content": "What is E11?"}]}]
TRACE_SAID = [{"role": "assistant", "parts": [{"type": "text", "content": "Diabetes."}], "finish_reason": "stop"}]
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "house",
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be short."}]),
    "gen_ai.input.messages": json.dumps(TRACE_ASKED),
    "gen_ai.output.messages": json.dumps(TRACE_SAID),
}


def span(table, name="s1", **more):
    return {"traceId": "t1", "spanId": name, "name": "chat house", "startTimeUnixNano": "1764000000000000000",
            "endTimeUnixNano": "1764000001500000000", "attributes": attributes(table), **more}  # fmt: skip


def export(*spans):
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def test_a_span_is_a_request_with_its_answer():
    structured = {**CHAT, "gen_ai.input.messages": TRACE_ASKED, "gen_ai.output.messages": TRACE_SAID}
    structured["gen_ai.usage.prompt_tokens"] = 99  # the older name, beside the one of today
    flat = {"gen_ai.request.model": "house", "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be short.",
            "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "What is E11?",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Diabetes.",
            "gen_ai.completion.0.finish_reason": "stop",
            "gen_ai.usage.prompt_tokens": 9, "gen_ai.usage.completion_tokens": 3}  # fmt: skip
    printed = {"name": "chat", "context": {"trace_id": "t1", "span_id": "s1"}, "attributes": CHAT,
               "start_time": "2025-11-24T16:00:00.000Z", "end_time": "2025-11-24T16:00:01.500Z"}  # fmt: skip
    for line in (export(span(CHAT)), export(span(structured)), export(span(flat)), printed, span(CHAT)):
        [request] = joined(*spans_in(line)).requests
        assert [(m["role"], m["content"]) for m in request.messages] == [
            ("system", "Be short."), ("user", "What is E11?")
        ]  # fmt: skip
        assert (request.said.text, request.said.finish, request.model) == ("Diabetes.", "stop", "house")
        assert (request.input_tokens, request.output_tokens, request.seconds) == (9, 3, 1.5)


def test_calls_and_their_results_are_kept():
    call = {"type": "tool_call", "id": "k", "name": "look_up", "arguments": {"code": "E11"}}
    result = {"type": "tool_call_response", "id": "k", "response": "Diabetes"}
    asked = [*TRACE_ASKED, {"role": "assistant", "parts": [call]}, {"role": "tool", "parts": [result]}]
    [request] = joined(*spans_in(export(span({**CHAT, "gen_ai.input.messages": json.dumps(asked)})))).requests
    _, _, called, told = request.messages
    assert called["tool_calls"][0]["function"] == {"name": "look_up", "arguments": '{"code": "E11"}'}
    assert (told["role"], told["content"], told["tool_call_id"]) == ("tool", "Diabetes", "k")


def test_what_is_no_call_is_set_aside_with_the_reason_and_every_span_counts(tmp_path):
    image = [{"role": "user", "parts": [{"type": "blob", "content": "aaaa"}]}]
    lines = [
        export(
            span(CHAT),
            span({"http.method": "GET"}, "s2"),
            span({**CHAT, "gen_ai.operation.name": "invoke_agent"}, "s3"),
            span({"gen_ai.operation.name": "chat"}, "s4"),
            span({**CHAT, "gen_ai.input.messages": json.dumps(image)}, "s5"),
        ),
        export(),
        {"resourceSpans": "odd"},
        export(span({k: v for k, v in CHAT.items() if "output" not in k}, "s6", status={"code": 2, "message": "429"})),
    ]
    start_project(tmp_path)
    (tmp_path / "traces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = rung("watch", "import", "traces.jsonl", "--json", cwd=tmp_path)
    made = json.loads(done.stdout)["import"]
    assert (made["lines"], made["requests"], made["failed"], made["aside"]) == (8, 2, 1, 6)
    again = json.loads(rung("watch", "import", "traces.jsonl", "--json", cwd=tmp_path).stdout)
    assert again["import"] is None
    found = json.loads(rung("advise", "--logs", "traces.jsonl", "--json", cwd=tmp_path).stdout)
    assert found["calls"] == 2
