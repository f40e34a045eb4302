"""OpenTelemetry traces as request logs: OTLP of the collector, spans of SDKs, flat attributes, and what is no call."""

import json

from as_logged import joined
from in_shell import rung

from rung.start import start_project
from training.monitoring.otel_spans import spans_in


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


ASKED = [{"role": "user", "parts": [{"type": "text", "content": "What is E11?"}]}]
SAID = [{"role": "assistant", "parts": [{"type": "text", "content": "Diabetes."}], "finish_reason": "stop"}]
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "house",
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be short."}]),
    "gen_ai.input.messages": json.dumps(ASKED),
    "gen_ai.output.messages": json.dumps(SAID),
}


def span(table, name="s1", **more):
    return {"traceId": "t1", "spanId": name, "name": "chat house", "startTimeUnixNano": "1764000000000000000",
            "endTimeUnixNano": "1764000001500000000", "attributes": attributes(table), **more}  # fmt: skip


def export(*spans):
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def test_a_span_is_a_request_with_its_answer():
    structured = {**CHAT, "gen_ai.input.messages": ASKED, "gen_ai.output.messages": SAID}
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
    asked = [*ASKED, {"role": "assistant", "parts": [call]}, {"role": "tool", "parts": [result]}]
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
