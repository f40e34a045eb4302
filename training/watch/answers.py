"""What a model said, out of a response: a completion, a message, streamed chunks, an error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from training.watch.fields import first, number_at, opened, text_at, texts_in

STOPS = {"max_tokens": "length", "max_output_tokens": "length", "end_turn": "stop", "refusal": "content_filter"}


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


def said_in(reply: Any, obj: Mapping[str, Any]) -> Said:
    """The answer in a response and the object that it was logged in; false where there is neither answer nor error."""
    said = _said(reply)
    error = _error(reply, obj)
    return replace(said, error=error, given=True) if error else said


def _said(reply: Any) -> Said:
    if isinstance(reply, str):
        return _streamed(reply) if reply.lstrip().startswith("data:") else Said(reply, given=bool(reply))
    if isinstance(reply, list):
        return _from_list(reply)
    if not isinstance(reply, Mapping):
        return Said()
    if isinstance(reply.get("choices"), list):
        return _chosen(reply["choices"])
    finish = text_at(reply, "stop_reason", "finish_reason", "incomplete_details.reason")
    finish = STOPS.get(finish, finish)
    if isinstance(reply.get("output"), list):
        parts = [p for item in reply["output"] if isinstance(item, Mapping) for p in texts_in(item.get("content"))]
        return Said("".join(parts), finish, given=True)
    if "content" in reply:
        calls = reply.get("tool_calls")
        return Said("".join(texts_in(reply["content"])), finish, "", _list(calls), given=True)
    plain = first(reply, "text", "response", "answer", "generated_text", "completion", "output_text", "query")
    return Said(plain, finish, given=True) if isinstance(plain, str) else Said()


def _list(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else ()


def _chosen(choices: list[Any]) -> Said:
    """The first choice of a completion, whole or a single chunk."""
    tables = [each for each in choices if isinstance(each, Mapping)]
    if not tables:
        return Said()
    one = next((each for each in tables if each.get("index") == 0), tables[0])
    message = first(one, "message", "delta")
    finish = text_at(one, "finish_reason", "stop_reason")
    if isinstance(message, Mapping):
        text = "".join(texts_in(message.get("content"))) or text_at(message, "refusal")
        return Said(text, finish, "", _list(message.get("tool_calls")), len(tables) - 1, True)
    plain = one.get("text")
    return Said(plain if isinstance(plain, str) else "", finish, others=len(tables) - 1, given=True)


def _from_list(items: list[Any]) -> Said:
    """Chunks, or messages whose last one is the assistant's."""
    tables = [each for each in map(opened, items) if isinstance(each, Mapping)]
    if any("choices" in each for each in tables):
        return join_chunks(map(_said, tables))
    spoken = [each for each in tables if each.get("role") in ("assistant", "ai")]
    if spoken:
        return _said(spoken[-1])
    texts = "".join(texts_in(items))
    return Said(texts, given=bool(texts))


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
    return whole


def _streamed(text: str) -> Said:
    """Server-sent events as they went over the wire."""
    found = []
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data != "[DONE]":
            chunk = opened(data)
            found += [chunk] if isinstance(chunk, Mapping) else []
    return _from_list(found)


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
    return "failed" if str(obj.get("status")).lower() in ("failure", "failed", "error") else ""
