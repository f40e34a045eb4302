"""What one line of a request log says, in whichever of the usual shapes it is written.

Read are OpenAI-style chat and text completions (as vLLM's batches, LiteLLM, Langfuse and plain gateways log them),
OpenAI's Responses, Anthropic's Messages, streamed chunks, and lines that hold feedback alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from training.monitoring.feedback import Feedback, feedback_in, is_comment, is_score
from training.monitoring.fields import (
    Message,
    as_number,
    as_time,
    first,
    first_said,
    number_at,
    opened,
    table_at,
    text_at,
    texts_in,
    unboxed,
)
from training.monitoring.pii import masked_text
from training.monitoring.response_text import Said, call_of, calls_in, holds_answer, is_response, said_in

QUESTIONS = ("messages", "prompt_messages", "input", "prompt", "inputs", "question", "instruction")
ASKING = (*QUESTIONS, "request", "request_body", "body", "proxy_server_request")
SAYING = ("choices", "response", "response_body", "output", "completion", "answer")
JUDGING = ("rating", "feedback", "scores", "edit", "comment")
KNOWN = frozenset((*ASKING, *SAYING, *JUDGING, "full_request", "full_response"))
IDS = ("id", "request_id", "custom_id", "call_id", "completion_id", "litellm_call_id", "request.id")
OTHER_CALLS = ("embedding", "moderation", "rerank", "transcription", "speech", "image")
CHAT_CALLS = ("completion", "completions", "responses", "messages")
"""How calls and addresses end that are no others, whatever their host or deployment is called."""


@dataclass
class LogPart:
    """What one line says about a request: `kind` is request, response, whole, chunk, feedback or other (see `why`).

    `ids` are all names under which other lines may speak of the same request, `trace` that of a conversation, which
    may hold several. `seconds` is how long it took.
    """

    kind: str
    ids: tuple[str, ...] = ()
    trace: str = ""
    why: str = ""
    messages: list[Message] = field(default_factory=list)
    said: Said = field(default_factory=Said)
    feedback: Feedback = field(default_factory=Feedback)
    model: str = ""
    at: datetime | None = None
    seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    line: int = 0
    file: int = 0
    """Index of its file among the files of an import, from 0."""
    more: tuple[int, ...] = ()
    """Further lines that belong to this request."""


def read_part(line: Mapping[str, Any]) -> LogPart:
    """What this object says. Never raises: what cannot be used is of the kind `other`, with the reason."""
    obj, why = _generation(unboxed(line, KNOWN))
    body, reply = _body(obj), _reply(obj)
    messages, fault = _asked(body)
    said = said_in(reply, obj)
    feedback = feedback_in(obj)
    kind = _kind(obj, messages, said, feedback)
    part = LogPart(kind, _ids(obj, reply), _trace(obj), messages=messages, said=said)
    part.feedback = feedback
    if why or fault or kind == "other":
        part.kind, part.why = "other", why or fault or _why_other(obj, feedback)
    part.model = text_at(body, "model") or text_at(obj, "model", "response.model", "providedModelName")
    part.model = part.model or text_at(reply, "model")
    for name, value in counted(obj, reply).items():
        setattr(part, name, value)
    return part


def _generation(obj: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Of a trace that holds observations its one generation; of several a reason."""
    observed = obj.get("observations")
    if not isinstance(observed, list):
        return obj, ""
    tables = [each for each in observed if isinstance(each, Mapping)]
    found = [each for each in tables if str(each.get("type")).upper() == "GENERATION"]
    if not found:
        return obj, ""
    if len(found) > 1:
        return obj, f"a trace of {len(found)} generations: export its observations, one a line"
    scores = [score for each in (obj, found[0]) if isinstance(each.get("scores"), list) for score in each["scores"]]
    return {**found[0], "scores": scores, "traceId": obj.get("id")}, ""


def _body(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the request is: beside the response, below a key, or the object itself."""
    below = table_at(
        obj,
        "request.body",
        "request.json",
        "request",
        "request_body",
        "full_request",
        "proxy_server_request.body",
        "body",
    )
    if below is not None and _holds_question(below):
        return below
    inner = table_at(obj, "input")
    return inner if inner is not None and not _holds_question(obj, but="input") and _holds_question(inner) else obj


def _holds_question(table: Mapping[str, Any], but: str = "") -> bool:
    return bool(first_said(table, *(key for key in QUESTIONS if key != but and table.get(key))))


def _reply(obj: Mapping[str, Any]) -> Any:
    """The response as it was logged: an object, a text, a list of chunks; None where nothing came back."""
    if obj.get("choices") is not None or obj.get("object") in ("response", "chat.completion.chunk"):
        return obj
    below = ("response.body", "response.json", "response", "response_body", "full_response", "response_obj", "output")
    found: Any = first_said(obj, *below, "completion", "completion_message", "answer", "generated_text", "outputs")
    if isinstance(found, Mapping):
        if not found or holds_answer(found) or found is not obj.get("output"):
            return found
        return json.dumps(found, ensure_ascii=False, default=str)
    inside = opened(found)
    return inside if is_response(inside) else found


def _asked(body: Mapping[str, Any]) -> tuple[list[Message], str]:
    """The messages of a request, or why they cannot be kept; an empty list where it asks nothing."""
    raw = first_said(body, *QUESTIONS)
    if isinstance(raw, Mapping | str):
        raw = _talk_in(raw)
    if isinstance(raw, str):
        raw = [{"role": "user", "content": raw}] if raw.strip() else []
    if not isinstance(raw, list):
        return [], ""
    if raw and all(isinstance(each, str) for each in raw):
        return ([{"role": "user", "content": raw[0]}], "") if len(raw) == 1 else ([], "several prompts in one request")
    messages: list[Message] = []
    for each in raw:
        made = _messages(each)
        if isinstance(made, str):
            return [], made
        messages += made
    system = "\n".join(texts_in(first(body, "system", "instructions")))
    head = [{"role": "system", "content": system}] if system.strip() and messages else []
    return head + messages, ""


def _talk_in(raw: Mapping[str, Any] | str) -> Any:
    """The messages or the one text in what a request holds; JSON of another kind is itself the text."""
    found = opened(raw)
    if isinstance(found, Mapping):
        said = first_said(found, "messages", "question", "prompt", "query", "text", "content", "input")
        if said is None or (isinstance(raw, str) and "messages" not in found):
            return raw if isinstance(raw, str) else json.dumps(found, ensure_ascii=False, default=str) if found else ""
        return said
    spoken = isinstance(found, list) and any(isinstance(each, Mapping) and "role" in each for each in found)
    return found if spoken else raw


def _messages(raw: Any) -> list[Message] | str:
    """A message as rows hold it, as several where it holds results of tools; none for what is no message (a reasoning
    item); a sentence where a row cannot hold it.
    """
    if not isinstance(raw, Mapping):
        return "a message is no object"
    if "role" not in raw and isinstance(raw.get("type"), str):
        return _item(raw)
    role = {"developer": "system", "human": "user", "ai": "assistant", "function": "tool"}.get(
        str(raw.get("role")), str(raw.get("role"))
    )
    if role not in ("system", "user", "assistant", "tool"):
        return f'the role "{masked_text(role)[:40]}" is not one of system, user, assistant, tool'
    content = raw.get("content")
    if isinstance(content, list) and any(_is_no_text(part) for part in content):
        return "a message holds an image, a sound or a file, which a row cannot"
    kept: Message = {"role": role, "content": "\n".join(texts_in(content))}
    calls = calls_in(raw)
    kept |= {"tool_calls": list(calls)} if calls else {}
    kept |= {key: raw[key] for key in ("tool_call_id", "name") if raw.get(key)}
    results = [made for part in content if (made := _result(part))] if isinstance(content, list) else []
    return [*results, kept] if kept["content"] or calls or not results else results


def _item(raw: Mapping[str, Any]) -> list[Message]:
    """An item of the Responses API that is no message: a call, its result; none for any other."""
    call, result = call_of(raw), _result(raw)
    if call is not None:
        return [{"role": "assistant", "content": "", "tool_calls": [call]}]
    return [result] if result is not None else []


def _result(part: Any) -> Message | None:
    """What a tool gave back, as a message of its own; None for anything else."""
    if not isinstance(part, Mapping) or part.get("type") not in ("tool_result", "function_call_output"):
        return None
    said = part.get("content") if part["type"] == "tool_result" else part.get("output")
    made: Message = {"role": "tool", "content": "\n".join(texts_in(said))}
    name = part.get("tool_use_id") or part.get("call_id")
    return {**made, "tool_call_id": name} if isinstance(name, str) else made


def _is_no_text(part: Any) -> bool:
    kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
    return kind not in ("text", "input_text", "output_text", "tool_use", "tool_result", "thinking")


def _kind(obj: Mapping[str, Any], messages: Sequence[Any], said: Said, feedback: Feedback) -> str:
    call = str(obj.get("call_type") or obj.get("url") or obj.get("endpoint") or "").lower()
    other = any(word in call for word in OTHER_CALLS) and not call.partition("?")[0].rstrip("/").endswith(CHAT_CALLS)
    if other or str(obj.get("object")) in ("embedding", "list"):
        return "other"
    if obj.get("object") == "chat.completion.chunk":
        return "chunk"
    if messages:
        return "whole" if said else "request"
    if feedback and not said.says:
        return "feedback"
    return "response" if said else "other"


def _why_other(obj: Mapping[str, Any], feedback: Feedback) -> str:
    call = obj.get("call_type") or obj.get("url") or obj.get("object")
    if isinstance(call, str) and call:
        return f"no chat or text completion: {masked_text(call)[:60]}"
    if feedback.unread:
        return "a score that no person gave"
    if isinstance(obj.get("data"), list):
        return "a page of several records: write each on a line of its own"
    return "neither a request, nor an answer, nor feedback"


def _trace(obj: Mapping[str, Any]) -> str:
    if is_comment(obj):
        return text_at(obj, "objectId") if str(obj["objectType"]).upper() == "TRACE" else ""
    return text_at(obj, "trace_id", "traceId")


def _ids(obj: Mapping[str, Any], reply: Any) -> tuple[str, ...]:
    if is_comment(obj):
        return () if _trace(obj) else (text_at(obj, "objectId"),)
    score = ("observationId", "observation_id")
    found = [first(obj, path) for path in (score if is_score(obj) else IDS)]
    if isinstance(reply, Mapping):
        found += [first(reply, "id"), first(reply, "request_id")]
    return tuple(dict.fromkeys(str(each) for each in found if isinstance(each, str | int) and each != ""))


START_TIMES = (
    "startTime",
    "start_time",
    "request_created_at",
    "created_at",
    "timestamp",
    "time",
    "ts",
    "@timestamp",
    "at",
)
END_TIMES = ("endTime", "end_time", "response_created_at", "completed_at")
TOKENS = {
    "input_tokens": (("prompt_tokens", "input_tokens", "promptTokens", "inputTokens"), "input"),
    "output_tokens": (("completion_tokens", "output_tokens", "completionTokens", "outputTokens"), "output"),
}
"""Names of a count, and the one that a count shares with a text: below `usage`, or as a number."""
COSTS = ("response_cost", "cost_usd", "cost", "spend", "total_cost", "totalCost", "calculatedTotalCost",
         "costDetails.total", "usage.cost", "response.usage.cost")  # fmt: skip


def counted(obj: Mapping[str, Any], reply: Any) -> dict[str, datetime | float | None]:
    """`at`, `seconds`, `input_tokens`, `output_tokens`, `cost_usd`; None for what the log does not say."""
    start = next((t for key in START_TIMES if (t := as_time(obj.get(key)))), None)
    end = next((t for key in END_TIMES if (t := as_time(obj.get(key)))), None)
    cost = number_at(obj, *COSTS)
    return {
        "at": start or end or as_time(first(reply, "created", "created_at")),
        "seconds": _seconds(obj, start, end),
        **{name: _tokens(obj, reply, *keys) for name, keys in TOKENS.items()},
        "cost_usd": cost if cost is not None and cost >= 0 else None,
    }


def _tokens(obj: Mapping[str, Any], reply: Any, names: tuple[str, ...], short: str) -> int | None:
    usages = (first(reply, "usage"), obj.get("usage"), obj.get("usageDetails"), first(reply, "response.usage"))
    found = [number_at(table, *names, short) for table in usages if isinstance(table, Mapping)]
    bare = obj.get(short)
    found += [number_at(obj, *names), as_number(bare) if isinstance(bare, int) else None]
    return next((int(n) for n in found if n is not None and 0 <= n < 1e9), None)


def _seconds(obj: Mapping[str, Any], start: datetime | None, end: datetime | None) -> float | None:
    if start and end and end >= start:
        return (end - start).total_seconds()
    milli = number_at(obj, "latency_ms", "duration_ms", "response_time_ms", "delay_ms", "response.response_time")
    found = milli / 1000 if milli is not None else number_at(obj, "seconds", "latency", "duration", "response_time")
    return found if found is not None and 0 <= found < 86_400 else None
