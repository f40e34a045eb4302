"""Lines of request logs, each read as part of a request.

Read are OpenAI-style chat and text completions and Responses (as vLLM's batches and plain gateways log them), LiteLLM's
standard payload, Langfuse's observations, traces and scores, and lines that hold feedback alone. A streamed answer is
read where it was logged whole.
`otel_spans.py` makes such lines of OpenTelemetry's.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from training.monitoring.fields import (
    Feedback,
    Message,
    as_time,
    at_path,
    feedback_in,
    first,
    first_said,
    is_no_text,
    is_score,
    number_at,
    only_text,
    opened,
    table_at,
    text_at,
    texts_in,
)
from training.monitoring.pii import masked_text
from workspace.json_types import JsonObject

FINISHES = {"max_tokens": "length", "max_output_tokens": "length", "end_turn": "stop", "completed": "stop"}
"""Stop reasons of other services in OpenAI's words; OpenAI's own are kept."""
ENDS = ("finish_reason", "stop_reason", "incomplete_details.reason")
STREAM = re.compile(r"\s*(event:[^\n]*\n)?data: *\{")
"""Start of server-sent events, as sent over the wire."""
CHUNK = "chat.completion.chunk"
IN_PIECES = "a streamed answer in pieces: log it whole"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, or the error in its place. `finish` is as OpenAI names it: stop, length, content_filter, tool_calls.

    `others` counts further answers to the same request, of which only the first is kept. `unread` says why the answer
    cannot be kept.
    """

    text: str = ""
    finish: str = ""
    error: str = ""
    tool_calls: tuple[Any, ...] = ()
    others: int = 0
    given: bool = False
    """True if a response is there at all: an empty answer is one."""
    unread: str = ""

    def __bool__(self) -> bool:
        return self.given

    @property
    def says(self) -> bool:
        """True if it holds anything."""
        return bool(self.text or self.error or self.tool_calls)


def said_in(reply: Any, obj: Mapping[str, Any]) -> Said:
    """Return the answer in a response and the object it was logged in; false without an answer or an error."""
    said = _said(reply)
    if said and not said.finish:
        said = replace(said, finish=_finish(obj))
    error = _error(reply, obj)
    return replace(said, error=error, given=True) if error else said


def is_response(value: Any) -> bool:
    """True if a JSON value found in a text is a server's response, not the model's answer."""
    if isinstance(value, list):
        return any(is_response(each) for each in value)
    if not isinstance(value, Mapping):
        return False
    spoken = value.get("role") == "assistant" and ("content" in value or "tool_calls" in value)
    by_kind = value.get("object") in ("response", "chat.completion", CHUNK)
    return by_kind or spoken or isinstance(value.get("choices"), list) or isinstance(value.get("error"), Mapping)


def _said(reply: Any) -> Said:
    if isinstance(reply, str):
        return Said(reply, given=True, unread=IN_PIECES if STREAM.match(reply) else "")
    if isinstance(reply, list):
        return _from_list(reply)
    if not isinstance(reply, Mapping):
        return Said()
    if reply.get("object") == CHUNK:
        return Said(given=True, unread=IN_PIECES)
    if isinstance(reply.get("choices"), list):
        return _chosen(reply["choices"])
    if isinstance(reply.get("output"), list):
        items = [item for item in reply["output"] if isinstance(item, Mapping)]
        spoken = [item for item in items if item.get("type", "message") == "message"]
        text = "".join(part for item in spoken for part in texts_in(item.get("content")))
        return Said(text, _finish(reply), tool_calls=tuple(c for item in items if (c := call_of(item))), given=True)
    if "content" in reply or "tool_calls" in reply:
        return _from_message(reply, _finish(reply))
    plain = first(reply, "text", "response", "answer", "generated_text", "completion", "output_text")
    return Said(plain, _finish(reply), given=True) if isinstance(plain, str) else Said()


def _from_message(message: Mapping[str, Any], finish: str, others: int = 0) -> Said:
    content = message.get("content")
    text = "".join(texts_in(content)) or text_at(message, "refusal")
    unread = "an answer in parts that are no text" if is_no_text(content) else ""
    return Said(text, finish, "", calls_in(message), others, True, unread)


def _finish(table: Mapping[str, Any]) -> str:
    word = text_at(table, *ENDS)
    return FINISHES.get(word.lower(), word)


def _chosen(choices: list[Any]) -> Said:
    tables = [each for each in choices if isinstance(each, Mapping)]
    if not tables:
        return Said()
    others = len(tables) - 1
    one = next((each for each in tables if each.get("index", 0) == 0), tables[0])
    message = one.get("message")
    if isinstance(message, Mapping):
        return _from_message(message, _finish(one), others)
    plain = one.get("text")
    return Said(plain if isinstance(plain, str) else "", _finish(one), others=others, given=True)


def _from_list(items: list[Any]) -> Said:
    """Return messages whose last one is the assistant's, or parts of one."""
    tables = [each for each in map(opened, items) if isinstance(each, Mapping)]
    if any("choices" in each for each in tables):
        return Said(given=True, unread=IN_PIECES)
    spoken = [each for each in tables if each.get("role") == "assistant"]
    if spoken:
        return _said(spoken[-1])
    said = _from_message({"content": items}, "")
    return said if said.says or said.unread else Said()


def _error(reply: Any, obj: Mapping[str, Any]) -> str:
    """Return the error in the log's own words; empty if there is none."""
    places = ("error", "error_str", "error_message", "error_information.error_message")
    for found in (first(table, place) for table in (reply, obj) for place in places):
        if isinstance(found, Mapping) and found:
            found = text_at(found, "message", "code", "type") or json.dumps(found, default=str)
        if isinstance(found, str) and found.strip():
            return found.strip()
    status = number_at(obj, "response.status_code", "status_code")
    if status is not None and 400 <= status < 600:
        return f"HTTP {status:.0f}"
    if str(obj.get("level")).upper() == "ERROR":
        return text_at(obj, "statusMessage") or "failed"
    return "failed" if str(obj.get("status")).lower() in ("failure", "failed", "error") else ""


def calls_in(message: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the tool calls of a message."""
    calls = message.get("tool_calls")
    return tuple(calls) if isinstance(calls, list) else ()


def call_of(item: Any) -> JsonObject | None:
    """Return an item of OpenAI's Responses as a call of a chat; None for anything else."""
    if not isinstance(item, Mapping) or item.get("type") != "function_call":
        return None
    called = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id") or item.get("id"), "type": "function", "function": called}


QUESTIONS = ("messages", "input", "prompt")
SAYING = ("choices", "response", "output", "completion")
WRAPPED = ("standard_logging_object", "payload")
"""Keys under which a logger puts the object that is meant."""
IDS = ("id", "request_id", "custom_id")
OTHER_CALLS = ("embedding", "moderation", "rerank", "transcription", "speech", "image")
CHAT_CALLS = ("completion", "completions", "responses", "messages")
"""Last words of calls and addresses that identify a chat, whatever their host or deployment is called."""


@dataclass
class LogPart:
    """The content of one line: `kind` is request, response, whole, feedback or other (see `why`).

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
    """Read one object. Never raises: what cannot be used is of the kind `other`, with the reason."""
    inner = table_at(line, *WRAPPED)
    obj, why = _generation(inner if inner.keys() & {*QUESTIONS, *SAYING, "request"} else line)
    body, reply = _body(obj), _reply(obj)
    messages, fault = _asked(body)
    said, feedback = said_in(reply, obj), feedback_in(obj)
    why = why or fault or said.unread
    kind = "other" if why else _kind(obj, messages, said, feedback)
    start, end = (_moment(obj, names) for names in (START_TIMES, END_TIMES))
    cost = number_at(obj, *COSTS)
    return LogPart(
        kind=kind,
        ids=_ids(obj, reply),
        trace=text_at(obj, "trace_id", "traceId"),
        why=why or (_why_other(obj, feedback) if kind == "other" else ""),
        messages=messages,
        said=said,
        feedback=feedback,
        model=text_at(body, "model") or text_at(obj, "model", "providedModelName") or text_at(reply, "model"),
        at=start or end or _moment(reply, ("created", "created_at")),
        seconds=_seconds(obj, start, end),
        input_tokens=_tokens(obj, reply, "prompt_tokens", "input_tokens", "input"),
        output_tokens=_tokens(obj, reply, "completion_tokens", "output_tokens", "output"),
        cost_usd=cost if cost is not None and cost >= 0 else None,
    )


def _generation(obj: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the one generation of a trace with observations; a reason if there are several."""
    observed = obj.get("observations")
    tables = [each for each in observed if isinstance(each, Mapping)] if isinstance(observed, list) else []
    found = [each for each in tables if str(each.get("type")).upper() == "GENERATION"]
    if not found:
        return obj, ""
    if len(found) > 1:
        return obj, f"a trace of {len(found)} generations: export its observations, one a line"
    scores = [score for each in (obj, found[0]) if isinstance(each.get("scores"), list) for score in each["scores"]]
    return {**found[0], "scores": scores, "traceId": obj.get("id")}, ""


def _body(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the request: below a key, or the object itself."""
    below = table_at(obj, "request.body", "request", "body")
    return below if first_said(below, *QUESTIONS) else obj


def _reply(obj: Mapping[str, Any]) -> Any:
    """Return the response as it was logged: an object, a text, a list of messages; None if nothing came back."""
    if obj.get("choices") is not None or obj.get("object") in ("response", CHUNK):
        return obj
    found: Any = first_said(obj, "response.body", "response", "output", "completion")
    if isinstance(found, Mapping):
        keys = ("content", "tool_calls", "error")
        holds = is_response(found) or any(key in found for key in keys) or only_text(found) is not None
        is_answer = bool(found) and not holds and found is obj.get("output")
        return json.dumps(found, ensure_ascii=False, default=str) if is_answer else found
    inside = opened(found)
    return inside if is_response(inside) else found


def _asked(body: Mapping[str, Any]) -> tuple[list[Message], str]:
    """Return the messages of a request, or why they cannot be kept; an empty list where it asks nothing."""
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
        made = _message(each)
        if isinstance(made, str):
            return [], made
        messages += made
    system = "\n".join(texts_in(first(body, "instructions", "system")))
    head = [{"role": "system", "content": system}] if system.strip() and messages else []
    return head + messages, ""


def _talk_in(raw: Mapping[str, Any] | str) -> Any:
    """Return the messages or the one text in what a request holds; JSON of another kind is itself the text."""
    found = opened(raw)
    if isinstance(found, Mapping) and isinstance(found.get("messages"), list):
        return found["messages"]
    if isinstance(found, list) and any(isinstance(each, Mapping) and "role" in each for each in found):
        return found
    if isinstance(raw, str):
        return raw
    said = only_text(raw)
    return json.dumps(raw, ensure_ascii=False, default=str) if said is None and raw else said


def _message(raw: Any) -> list[Message] | str:
    """Return a message as rows hold it; none for another item (reasoning); a sentence if a row cannot hold it."""
    if not isinstance(raw, Mapping):
        return "a message is no object"
    if "role" not in raw and isinstance(raw.get("type"), str):
        return _item(raw)
    role = "system" if raw.get("role") == "developer" else str(raw.get("role"))
    if role not in ("system", "user", "assistant", "tool"):
        return f'the role "{masked_text(role)[:40]}" is not one of system, user, assistant, tool'
    if is_no_text(raw.get("content")):
        return "a message holds an image, a sound, a file or a call in parts, which a row cannot"
    kept: Message = {"role": role, "content": "\n".join(texts_in(raw.get("content")))}
    calls = calls_in(raw)
    kept |= {"tool_calls": list(calls)} if calls else {}
    return [kept | {key: raw[key] for key in ("tool_call_id", "name") if raw.get(key)}]


def _item(raw: Mapping[str, Any]) -> list[Message]:
    """Return an item of the Responses API that is no message: a call, its result; none for any other."""
    call = call_of(raw)
    if call is not None:
        return [{"role": "assistant", "content": "", "tool_calls": [call]}]
    if raw["type"] != "function_call_output":
        return []
    made: Message = {"role": "tool", "content": "\n".join(texts_in(raw.get("output")))}
    return [made | ({"tool_call_id": raw["call_id"]} if isinstance(raw.get("call_id"), str) else {})]


def _kind(obj: Mapping[str, Any], messages: Sequence[Any], said: Said, feedback: Feedback) -> str:
    call = text_at(obj, "call_type", "url").lower()
    other = any(word in call for word in OTHER_CALLS) and not call.partition("?")[0].rstrip("/").endswith(CHAT_CALLS)
    if other or str(obj.get("object")) in ("embedding", "list"):
        return "other"
    if messages:
        return "whole" if said else "request"
    if feedback and not said.says:
        return "feedback"
    return "response" if said else "other"


def _why_other(obj: Mapping[str, Any], feedback: Feedback) -> str:
    call = text_at(obj, "call_type", "url", "object")
    if call:
        return f"no chat or text completion: {masked_text(call)[:60]}"
    if feedback.unread:
        return "a score that no person gave"
    if isinstance(obj.get("data"), list):
        return "a page of several records: write each on a line of its own"
    return "neither a request, nor an answer, nor feedback"


def _ids(obj: Mapping[str, Any], reply: Any) -> tuple[str, ...]:
    found = [obj.get(key) for key in (("observationId",) if is_score(obj) else IDS)]
    if isinstance(reply, Mapping):
        found.append(reply.get("id"))
    return tuple(dict.fromkeys(str(each) for each in found if isinstance(each, str | int) and each != ""))


START_TIMES = ("startTime", "start_time", "timestamp", "created_at", "time")
END_TIMES = ("endTime", "end_time", "completed_at")
COSTS = ("response_cost", "cost_usd", "cost", "totalCost", "calculatedTotalCost", "costDetails.total", "usage.cost")


def _moment(obj: Any, names: Sequence[str]) -> datetime | None:
    return next((moment for name in names if (moment := as_time(at_path(obj, name)))), None)


def _tokens(obj: Mapping[str, Any], reply: Any, *names: str) -> int | None:
    """Return a count below `usage`, or beside the texts by its full name (a text may have the short name)."""
    usages = (first(reply, "usage"), obj.get("usage"), obj.get("usageDetails"))
    found = (*(number_at(table, *names) for table in usages), number_at(obj, *names[:-1]))
    return next((int(n) for n in found if n is not None and 0 <= n < 1e9), None)


def _seconds(obj: Mapping[str, Any], start: datetime | None, end: datetime | None) -> float | None:
    if start and end and end >= start:
        return (end - start).total_seconds()
    milli = number_at(obj, "latency_ms", "duration_ms")
    found = milli / 1000 if milli is not None else number_at(obj, "latency", "seconds")
    return found if found is not None and 0 <= found < 86_400 else None
