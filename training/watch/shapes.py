"""What one line of a request log says, in whichever of the usual shapes it is written.

Read are OpenAI-style chat and text completions (as vLLM's batches, LiteLLM, Helicone, Portkey, Langfuse and plain
gateways log them), OpenAI's Responses, Anthropic's Messages, streamed chunks, and lines that hold feedback alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from training.watch.answers import Said, said_in
from training.watch.feedback import Feedback, feedback_in
from training.watch.fields import as_time, first, number_at, opened, table_at, text_at, texts_in, unboxed
from training.watch.masking import masked_text

ASKING = ("messages", "prompt", "prompt_messages", "input", "request", "request_body", "body", "proxy_server_request")
SAYING = ("choices", "response", "response_body", "output", "completion")
JUDGING = ("rating", "feedback", "scores", "edit", "comment")
KNOWN = frozenset((*ASKING, *SAYING, *JUDGING))
IDS = ("id", "request_id", "custom_id", "call_id", "completion_id", "litellm_call_id", "request.id")
STARTS = ("startTime", "start_time", "request_created_at", "created_at", "timestamp", "time", "ts", "@timestamp", "at")
ENDS = ("endTime", "end_time", "response_created_at", "completed_at")
OTHER_CALLS = ("embedding", "moderation", "rerank", "transcription", "speech", "image")


@dataclass
class Part:
    """What one line tells of a request: `kind` is request, response, whole, chunk, feedback or other (see `why`).

    `ids` are all names under which other lines may speak of the same request, `trace` that of a conversation, which
    may hold several. `seconds` is how long it took.
    """

    kind: str
    ids: tuple[str, ...] = ()
    trace: str = ""
    why: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
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
    """Which of the files of an import it stands in, from 0."""


def read_part(line: Mapping[str, Any]) -> Part:
    """What this object says. Never raises: what cannot be used is of the kind `other`, with the reason."""
    obj = unboxed(line, KNOWN)
    body, reply = _body(obj), _reply(obj)
    messages, why = _asked(body)
    said = said_in(reply, obj)
    feedback = feedback_in(obj)
    kind = _kind(obj, messages, said, feedback)
    part = Part(
        kind,
        _ids(obj, reply),
        text_at(obj, "trace_id", "traceId"),
        messages=messages,
        said=said,
        feedback=feedback,
    )
    if why or kind == "other":
        part.kind, part.why = "other", why or _why_other(obj)
    part.model = text_at(body, "model") or text_at(obj, "model", "response.model") or text_at(reply, "model")
    _measures(part, obj, reply)
    return part


def _body(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the request stands: beside the response, below a key, or the object itself."""
    below = table_at(
        obj, "request.body", "request.json", "request", "request_body", "proxy_server_request.body", "body"
    )
    if below is not None and _holds_question(below):
        return below
    inner = table_at(obj, "input")
    return inner if inner is not None and not _holds_question(obj, but="input") and _holds_question(inner) else obj


def _holds_question(table: Mapping[str, Any], but: str = "") -> bool:
    keys = {"messages", "prompt", "prompt_messages", "input", "inputs"} - {but}
    return any(table.get(key) for key in keys)


def _reply(obj: Mapping[str, Any]) -> Any:
    """What came back, as it stands: an object, a text, a list of chunks; None where nothing did."""
    if obj.get("choices") is not None or obj.get("object") in ("response", "chat.completion.chunk"):
        return obj
    for path in ("response.body", "response.json", "response", "response_body", "response_obj", "output", "completion"):
        if (found := first(obj, path)) is not None:
            return opened(found)
    return first(obj, "completion_message", "answer", "generated_text", "outputs")


def _asked(body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The messages of a request, or why they cannot be kept; an empty list where it asks nothing."""
    raw = first(body, "messages", "prompt_messages", "input", "prompt", "inputs")
    raw = opened(raw) if isinstance(raw, str) and not isinstance(body.get("prompt"), str) else raw
    if isinstance(raw, Mapping):
        raw = raw.get("messages")
    if isinstance(raw, str):
        raw = [{"role": "user", "content": raw}]
    if not isinstance(raw, list):
        return [], ""
    if raw and all(isinstance(each, str) for each in raw):
        return ([{"role": "user", "content": raw[0]}], "") if len(raw) == 1 else ([], "several prompts in one request")
    made = [_message(each) for each in raw]
    bad = next((each for each in made if isinstance(each, str)), "")
    if bad:
        return [], bad
    messages = [each for each in made if isinstance(each, dict)]
    system = "\n".join(texts_in(first(body, "system", "instructions")))
    head = [{"role": "system", "content": system}] if system.strip() and messages else []
    return head + messages, ""


def _message(raw: Any) -> dict[str, Any] | str | None:
    """A message as rows hold it; a sentence where a row cannot; None where it is no message (a reasoning item)."""
    if not isinstance(raw, Mapping):
        return "a message is no object"
    if "role" not in raw and isinstance(raw.get("type"), str):
        return None
    role = {"developer": "system", "human": "user", "ai": "assistant", "function": "tool"}.get(
        str(raw.get("role")), str(raw.get("role"))
    )
    if role not in ("system", "user", "assistant", "tool"):
        return f'the role "{masked_text(role)[:40]}" is not one of system, user, assistant, tool'
    content = raw.get("content")
    if isinstance(content, list) and any(_is_no_text(part) for part in content):
        return "a message holds an image, a sound or a file, which a row cannot"
    kept: dict[str, Any] = {"role": role, "content": "\n".join(texts_in(content))}
    for key in ("tool_calls", "tool_call_id", "name"):
        if raw.get(key):
            kept[key] = raw[key]
    return kept


def _is_no_text(part: Any) -> bool:
    kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
    return kind not in ("text", "input_text", "output_text", "tool_use", "tool_result", "thinking")


def _kind(obj: Mapping[str, Any], messages: Sequence[Any], said: Said, feedback: Feedback) -> str:
    call = str(obj.get("call_type") or obj.get("url") or obj.get("endpoint") or "").lower()
    if any(word in call for word in OTHER_CALLS) or str(obj.get("object")) in ("embedding", "list"):
        return "other"
    if obj.get("object") == "chat.completion.chunk":
        return "chunk"
    if messages:
        return "whole" if said else "request"
    if said:
        return "response"
    return "feedback" if feedback else "other"


def _why_other(obj: Mapping[str, Any]) -> str:
    call = obj.get("call_type") or obj.get("url") or obj.get("object")
    if isinstance(call, str) and call:
        return f"no chat or text completion: {masked_text(call)[:60]}"
    return "neither a request, nor an answer, nor feedback"


def _ids(obj: Mapping[str, Any], reply: Any) -> tuple[str, ...]:
    found = [first(obj, path) for path in IDS]
    if isinstance(reply, Mapping):
        found += [first(reply, "id"), first(reply, "request_id")]
    return tuple(dict.fromkeys(str(each) for each in found if isinstance(each, str | int) and each != ""))


def _measures(part: Part, obj: Mapping[str, Any], reply: Any) -> None:
    """Time, tokens and money, where they stand."""
    start = next((t for key in STARTS if (t := as_time(obj.get(key)))), None)
    end = next((t for key in ENDS if (t := as_time(obj.get(key)))), None)
    part.at = start or end or as_time(first(reply, "created", "created_at"))
    part.seconds = _seconds(obj, start, end)
    usage = [table for table in (first(reply, "usage"), obj.get("usage"), obj) if isinstance(table, Mapping)]
    for name, keys in (
        ("input_tokens", ("prompt_tokens", "input_tokens", "input")),
        ("output_tokens", ("completion_tokens", "output_tokens", "output")),
    ):
        counts = (number_at(table, *keys) for table in usage)
        count = next((n for n in counts if n is not None and 0 <= n < 1e9), None)
        setattr(part, name, None if count is None else int(count))
    cost = number_at(
        obj, "response_cost", "cost_usd", "cost", "spend", "total_cost", "usage.cost", "response.usage.cost"
    )
    part.cost_usd = cost if cost is not None and cost >= 0 else None


def _seconds(obj: Mapping[str, Any], start: datetime | None, end: datetime | None) -> float | None:
    if start and end and end >= start:
        return (end - start).total_seconds()
    milli = number_at(obj, "latency_ms", "duration_ms", "response_time_ms", "delay_ms", "response.response_time")
    found = milli / 1000 if milli is not None else number_at(obj, "seconds", "latency", "duration", "response_time")
    return found if found is not None and 0 <= found < 86_400 else None
