"""What a model said, out of a response: a completion, a message, tool calls, streamed chunks and events, an error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.monitoring.fields import first, number_at, opened, table_in, text_at, texts_in
from workspace.json_types import JsonObject

FINISHES = {
    "length": ("max_tokens", "max_output_tokens", "length", "model_length", "max_length", "token_limit",
               "model_context_window_exceeded"),
    "stop": ("stop", "end_turn", "stop_sequence", "eos", "eos_token", "end", "complete", "completed", "finished"),
    "content_filter": ("content_filter", "content_filtered", "refusal", "safety", "prohibited_content", "blocklist",
                       "recitation", "spii", "guardrail_intervened"),
    "tool_calls": ("tool_calls", "tool_use", "function_call"),
}  # fmt: skip
"""Why answers end, in OpenAI's words, and in those of others."""
_FINISH = {word: name for name, words in FINISHES.items() for word in words}
PLAIN = ("text", "response", "answer", "generated_text", "completion", "output_text")
ENVELOPE = frozenset(
    (*PLAIN, "id", "model", "object", "created", "created_at", "type", "role", "index", "usage", "finish_reason",
     "stop_reason", "finishReason", "logprobs", "metadata", "response_metadata", "additional_kwargs", "generation_info",
     "latency", "cost")
)  # fmt: skip
"""Keys that may be beside a plain answer; an object with other keys is the answer itself, whole."""
ENDS = ("finish_reason", "stop_reason", "finishReason", "incomplete_details.reason")


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, or the error in its place. `finish` is as OpenAI names it: stop, length, content_filter, tool_calls.

    `others` counts further answers to the same request, of which only the first is kept.
    """

    text: str = ""
    finish: str = ""
    error: str = ""
    tool_calls: tuple[Any, ...] = ()
    others: int = 0
    given: bool = False
    """Whether a response is there at all: an empty answer is one."""

    def __bool__(self) -> bool:
        return self.given

    @property
    def says(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.text or self.error or self.tool_calls)


def said_in(reply: Any, obj: Mapping[str, Any]) -> Said:
    """The answer in a response and the object that it was logged in; false where there is neither answer nor error."""
    said = _said(reply)
    if said and not said.finish:
        said = replace(said, finish=_finish(obj))
    said = replace(said, tool_calls=whole_calls(said.tool_calls)) if not _is_chunk(reply) else said
    error = _error(reply, obj)
    return replace(said, error=error, given=True) if error else said


def is_response(value: Any) -> bool:
    """Whether a JSON value found in a text is a response of a server, and not what the model answered."""
    if isinstance(value, list):
        return any(is_response(each) for each in value)
    if not isinstance(value, Mapping):
        return False
    kind = value.get("type")
    event = isinstance(kind, str) and kind.startswith(("response.", "message_", "content_block_"))
    by_kind = event or value.get("object") in ("response", "chat.completion", "chat.completion.chunk")
    spoken = value.get("role") in ("assistant", "ai") and ("content" in value or "tool_calls" in value)
    return by_kind or spoken or isinstance(value.get("choices"), list) or isinstance(value.get("error"), Mapping)


def holds_answer(table: Mapping[str, Any]) -> bool:
    """Whether an object that was logged as the output has an answer in it, and is not itself the answer."""
    if is_response(table) or any(key in table for key in ("content", "tool_calls", "error")):
        return True
    return any(isinstance(table.get(key), str) for key in PLAIN) and not table.keys() - ENVELOPE


def _is_chunk(reply: Any) -> bool:
    return isinstance(reply, Mapping) and reply.get("object") == "chat.completion.chunk"


def _said(reply: Any) -> Said:
    if isinstance(reply, str):
        return _streamed(reply) or Said(reply, given=True)
    if isinstance(reply, list):
        return _from_list(reply)
    if not isinstance(reply, Mapping):
        return Said()
    if isinstance(reply.get("choices"), list):
        return _chosen(reply["choices"])
    finish = _finish(reply)
    if isinstance(reply.get("output"), list):
        items = [item for item in reply["output"] if isinstance(item, Mapping)]
        spoken = [item for item in items if item.get("type", "message") == "message"]
        text = "".join(part for item in spoken for part in texts_in(item.get("content")))
        return Said(text, finish, "", tuple(call for item in items if (call := call_of(item))), given=True)
    if "content" in reply or "tool_calls" in reply:
        return Said("".join(texts_in(reply.get("content"))), finish, "", calls_in(reply), given=True)
    plain = first(reply, *PLAIN)
    return Said(plain, finish, given=True) if isinstance(plain, str) else Said()


def _finish(table: Mapping[str, Any]) -> str:
    word = text_at(table, *ENDS)
    return _FINISH.get(word.lower(), word)


def _chosen(choices: list[Any]) -> Said:
    """The first choice of a completion, whole or a single chunk; of a chunk of another choice only that it is there."""
    tables = [each for each in choices if isinstance(each, Mapping)]
    if not tables:
        return Said()
    places = [each["index"] for each in tables if isinstance(each.get("index"), int)]
    others = max(len(tables) - 1, *places, 0) if places else len(tables) - 1
    one = next((each for each in tables if each.get("index", 0) == 0), None)
    if one is None and "delta" in tables[0]:
        return Said(others=others, given=True)
    one = one or tables[0]
    message = first(one, "message", "delta")
    if isinstance(message, Mapping):
        text = "".join(texts_in(message.get("content"))) or text_at(message, "refusal")
        return Said(text, _finish(one), "", calls_in(message), others, True)
    plain = one.get("text")
    return Said(plain if isinstance(plain, str) else "", _finish(one), others=others, given=True)


def _from_list(items: list[Any]) -> Said:
    """Chunks, events, or messages whose last one is the assistant's."""
    tables = [each for each in map(opened, items) if isinstance(each, Mapping)]
    if any("choices" in each for each in tables):
        return join_chunks(map(_said, tables))
    message = event_message(tables)
    if message is not None:
        return _said(message)
    spoken = [each for each in tables if each.get("role") in ("assistant", "ai")]
    if spoken:
        return _said(spoken[-1])
    texts, calls = "".join(texts_in(items)), calls_in({"content": items})
    return Said(texts, tool_calls=calls, given=bool(texts or calls))


def join_chunks(chunks: Iterable[Said]) -> Said:
    """The answer that chunks make together, in their order."""
    whole = Said()
    for chunk in chunks:
        whole = Said(
            whole.text + chunk.text,
            chunk.finish or whole.finish,
            whole.error or chunk.error,
            whole.tool_calls + chunk.tool_calls,
            max(whole.others, chunk.others),
            whole.given or chunk.given,
        )
    return replace(whole, tool_calls=whole_calls(whole.tool_calls))


def _streamed(text: str) -> Said | None:
    """Server-sent events as they went over the wire; None where the text is something else."""
    if not text.lstrip().startswith(("data:", "event:")):
        return None
    lines = [line.strip("\r ") for line in text.split("\n")]
    found = [opened(line.removeprefix("data:").strip()) for line in lines if line.startswith("data:")]
    tables = [each for each in found if isinstance(each, Mapping)]
    return _from_list(tables) if tables else None


def _error(reply: Any, obj: Mapping[str, Any]) -> str:
    """What went wrong, in the log's own words; empty where nothing did."""
    places = ("error", "error_str", "exception", "error_message", "error_information.error_message")
    for found in (first(table, place) for table in (reply, obj) for place in places):
        if isinstance(found, Mapping) and found:
            found = text_at(found, "message", "error_message", "code", "type") or json.dumps(found, default=str)
        if isinstance(found, str) and found.strip():
            return found.strip()
    status = number_at(obj, "response.status_code", "response.status", "response_status", "status_code", "status")
    if status is not None and 400 <= status < 600:
        return f"HTTP {status:.0f}"
    if str(obj.get("level")).upper() == "ERROR":
        return text_at(obj, "statusMessage", "status_message") or "failed"
    return "failed" if str(obj.get("status")).lower() in ("failure", "failed", "error") else ""


def calls_in(message: Mapping[str, Any]) -> tuple[Any, ...]:
    """The calls of a message: its `tool_calls`, its older `function_call`, `tool_use` parts of its content."""
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        return tuple(calls)
    older = message.get("function_call")
    if isinstance(older, Mapping):
        return ({"index": 0, "type": "function", "function": dict(older)},)
    content = message.get("content")
    return tuple(call for part in content if (call := call_of(part))) if isinstance(content, list) else ()


def call_of(item: Any) -> JsonObject | None:
    """An item of Anthropic's content or of OpenAI's Responses as a call; None for anything else."""
    if not isinstance(item, Mapping) or item.get("type") not in ("tool_use", "function_call"):
        return None
    arguments = item.get("arguments") if item["type"] == "function_call" else item.get("input")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, default=str)
    called = {"name": item.get("name"), "arguments": arguments}
    return {"id": item.get("call_id") or item.get("id"), "type": "function", "function": called}


def whole_calls(pieces: Iterable[Any]) -> tuple[Any, ...]:
    """Calls put together from their deltas: pieces of one index are one call, unless another id begins there."""
    made: list[Any] = []
    at: dict[int, int] = {}
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, Mapping) else None
        if not isinstance(index, int) or isinstance(index, bool):
            made.append(piece)
            continue
        rest = {key: value for key, value in piece.items() if key != "index"}
        known = made[at[index]] if index in at else None
        if known is None or (rest.get("id") and known.get("id") and rest["id"] != known["id"]):
            at[index] = len(made)
            made.append(rest)
        else:
            made[at[index]] = _added(known, rest)
    return tuple(made)


def _added(known: Mapping[str, Any], delta: Mapping[str, Any]) -> JsonObject:
    """The call with what this delta brings: more of its arguments, or what it did not have yet."""
    old, new = table_in(known, "function"), table_in(delta, "function")
    function = {**new, **{key: value for key, value in old.items() if value is not None}}
    before, more = old.get("arguments"), new.get("arguments")
    if isinstance(more, str):
        function["arguments"] = (before if isinstance(before, str) else "") + more
    kept = {key: value for key, value in known.items() if value is not None}
    return {**delta, **kept, **({"function": function} if function else {})}


STREAM_ENDS = ("response.completed", "response.incomplete", "response.failed")


def event_message(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The message that these events make together; None where they are of another kind."""
    kinds = [str(event.get("type")) for event in events]
    if any(kind.startswith("response.") for kind in kinds):
        return _responses(events)
    if any(kind in ("content_block_delta", "content_block_start", "message_delta") for kind in kinds):
        return _anthropic(events)
    return None


def _responses(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for event in reversed(events):
        if event.get("type") in STREAM_ENDS and isinstance(event.get("response"), Mapping):
            return event["response"]  # type: ignore[no-any-return]
    said = (event.get("delta") for event in events if event.get("type") == "response.output_text.delta")
    return {"content": "".join(part for part in said if isinstance(part, str))}


def _anthropic(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    text, pieces = "", []
    made: JsonObject = {}
    for event in events:
        delta, began, opening = (table_in(event, key) for key in ("delta", "content_block", "message"))
        made |= {key: opening[key] for key in ("id", "model") if key in opening}
        text += "".join(each["text"] for each in (began, delta) if isinstance(each.get("text"), str))
        call = call_of({**began, "input": ""})
        if call is not None:
            pieces.append({**call, "index": event.get("index")})
        elif isinstance(delta.get("partial_json"), str):
            pieces.append({"index": event.get("index"), "function": {"arguments": delta["partial_json"]}})
        if delta.get("stop_reason"):
            made["stop_reason"] = delta["stop_reason"]
    return {**made, "content": text, "tool_calls": list(whole_calls(pieces))}
