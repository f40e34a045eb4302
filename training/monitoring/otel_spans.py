"""OpenTelemetry traces: spans of model calls (`gen_ai.*` attributes) as the objects that a gateway logs.

Read are OTLP's JSON (a line of the collector's file exporter holds many spans) and single spans as SDKs print them.
Messages are those of the semantic conventions (`gen_ai.input.messages`, `gen_ai.output.messages`, as JSON text or as
OTLP's values), or flat attributes as OpenLLMetry writes them (`gen_ai.prompt.0.content`). Source:
https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/gen-ai/gen-ai-spans.md
"""

import json
from collections.abc import Mapping
from typing import Any

from training.monitoring.fields import first, opened
from workspace.json_types import JsonObject

CALLS = ("chat", "text_completion", "generate_content", "completion")
"""Operations that are one call of a model; agents and tools have spans of their own around them."""
FAILED = ("2", "STATUS_CODE_ERROR", "ERROR")
USAGE = {
    "prompt_tokens": ("input_tokens", "prompt_tokens"),
    "completion_tokens": ("output_tokens", "completion_tokens"),
}


def spans_in(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the spans of a line, each as a gateway would log it; the line itself where it holds none."""
    if isinstance(line.get("resourceSpans"), list):
        scopes = [scope for each in _tables(line["resourceSpans"]) for scope in _tables(each.get("scopeSpans"))]
        spans: list[Mapping[str, Any]] = [_logged(span) for scope in scopes for span in _tables(scope.get("spans"))]
        return spans or [{"call_type": "an export without spans"}]
    return [_logged(line)] if "attributes" in line and ("spanId" in line or "context" in line) else [line]


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _logged(span: Mapping[str, Any]) -> JsonObject:
    """Return a span as a logged request with its answer; one that is no call of a model by its name alone."""
    found = _attributes(span.get("attributes"))
    asked, said = _messages(found, "input", "prompt"), _messages(found, "output", "completion")
    if str(found.get("gen_ai.operation.name", "chat")) not in CALLS or not asked:
        model = any(key.startswith("gen_ai.") for key in found)
        return {"call_type": f"a span {'without captured messages' if model else 'of no model'}: {span.get('name')}"}
    system = _text(opened(found.get("gen_ai.system_instructions")))
    ends = opened(found.get("gen_ai.response.finish_reasons"))
    end = ends[0] if isinstance(ends, list) and ends else None
    choices = [
        {"index": n, "message": each, "finish_reason": each.pop("finish_reason", end)} for n, each in enumerate(said)
    ]
    usage = {ours: next((found[f"gen_ai.usage.{n}"] for n in names if f"gen_ai.usage.{n}" in found), None)
             for ours, names in USAGE.items()}  # fmt: skip
    status = first(span, "status.code", "status.status_code")
    failed = str(status) in FAILED
    return {
        "id": found.get("gen_ai.response.id") or first(span, "spanId", "context.span_id"),
        "traceId": first(span, "traceId", "context.trace_id"),
        "model": found.get("gen_ai.response.model") or found.get("gen_ai.request.model"),
        "startTime": first(span, "startTimeUnixNano", "start_time"),
        "endTime": first(span, "endTimeUnixNano", "end_time"),
        "messages": ([{"role": "system", "content": system}] if system else []) + asked,
        "response": {"choices": choices, "usage": usage} if said else None,
        "error": (first(span, "status.message", "status.description") or "failed") if failed else None,
    }


def _attributes(given: Any) -> JsonObject:
    """Attributes by name, from OTLP's list of keys and values or from an object."""
    if isinstance(given, Mapping):
        return dict(given)
    return {str(each.get("key")): _value(each.get("value")) for each in _tables(given)}


def _value(given: Any) -> Any:
    if not isinstance(given, Mapping) or len(given) != 1:
        return given
    kind, value = next(iter(given.items()))
    if kind == "arrayValue":
        return [_value(each) for each in first(value, "values") or []]
    if kind == "kvlistValue":
        return _attributes(first(value, "values"))
    return value


def _messages(found: Mapping[str, Any], name: str, flat: str) -> list[JsonObject]:
    """Return messages as OpenAI's chat has them; an empty list where none were captured."""
    given = opened(found.get(f"gen_ai.{name}.messages"))
    if given is None:
        given = _flat(found, f"gen_ai.{flat}.")
    return [_message(each) for each in _tables(given)]


def _flat(found: Mapping[str, Any], start: str) -> list[JsonObject]:
    """`gen_ai.prompt.0.role` and its like as a list of messages, in order."""
    made: dict[int, JsonObject] = {}
    for key, value in found.items():
        number, _, field = key.removeprefix(start).partition(".")
        if key.startswith(start) and number.isdecimal() and field in ("role", "content", "finish_reason"):
            made.setdefault(int(number), {})[field] = value
    return [made[number] for number in sorted(made)]


def _message(given: Mapping[str, Any]) -> JsonObject:
    """Text, calls and results of a message's parts; a part of another kind stays, so that the line is set aside."""
    parts = _tables(given.get("parts"))
    kinds = {str(part.get("type")) for part in parts}
    made: JsonObject = {
        "role": given.get("role") or "assistant",
        "content": _text(parts) if parts else given.get("content"),
    }
    if other := kinds - {"text", "reasoning", "tool_call", "tool_call_response"}:
        made["content"] = [{"type": sorted(other)[0]}]
    if calls := [_call(part) for part in parts if part.get("type") == "tool_call"]:
        made["tool_calls"] = calls
    for part in parts:
        if part.get("type") == "tool_call_response":
            result = first(part, "response", "result")
            made |= {"role": "tool", "content": result if isinstance(result, str) else json.dumps(result)}
            made |= {"tool_call_id": part["id"]} if part.get("id") else {}
    return made | ({"finish_reason": given["finish_reason"]} if given.get("finish_reason") else {})


def _call(part: Mapping[str, Any]) -> JsonObject:
    arguments = part.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": part.get("id"), "type": "function", "function": {"name": part.get("name"), "arguments": text}}


def _text(parts: Any) -> str:
    return "".join(str(part.get("content") or "") for part in _tables(parts) if part.get("type", "text") == "text")
