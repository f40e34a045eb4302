"""Answers out of responses: completions, messages, tool calls, errors."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from training.monitoring.fields import first, is_no_text, number_at, only_text, opened, text_at, texts_in
from workspace.json_types import JsonObject

FINISHES = {"max_tokens": "length", "max_output_tokens": "length", "end_turn": "stop", "completed": "stop"}
"""Why answers end in the words of others than OpenAI's chat; OpenAI's own are kept."""
ENDS = ("finish_reason", "stop_reason", "incomplete_details.reason")
STREAM = re.compile(r"\s*(event:[^\n]*\n)?data: *\{")
"""How server-sent events begin, as they go over the wire."""
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
    """Whether a response is there at all: an empty answer is one."""
    unread: str = ""

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
    error = _error(reply, obj)
    return replace(said, error=error, given=True) if error else said


def is_response(value: Any) -> bool:
    """Whether a JSON value found in a text is a response of a server, and not what the model answered."""
    if isinstance(value, list):
        return any(is_response(each) for each in value)
    if not isinstance(value, Mapping):
        return False
    spoken = value.get("role") == "assistant" and ("content" in value or "tool_calls" in value)
    by_kind = value.get("object") in ("response", "chat.completion", CHUNK)
    return by_kind or spoken or isinstance(value.get("choices"), list) or isinstance(value.get("error"), Mapping)


def holds_answer(table: Mapping[str, Any]) -> bool:
    """Whether an object that was logged as the output has an answer in it, and is not itself the answer."""
    keys = ("content", "tool_calls", "error")
    return is_response(table) or any(key in table for key in keys) or only_text(table) is not None


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
        return _message(reply, _finish(reply))
    plain = first(reply, "text", "response", "answer", "generated_text", "completion", "output_text")
    return Said(plain, _finish(reply), given=True) if isinstance(plain, str) else Said()


def _message(message: Mapping[str, Any], finish: str, others: int = 0) -> Said:
    content = message.get("content")
    text = "".join(texts_in(content)) or text_at(message, "refusal")
    unread = "an answer in parts that are no text" if is_no_text(content) else ""
    return Said(text, finish, "", calls_in(message), others, True, unread)


def _finish(table: Mapping[str, Any]) -> str:
    word = text_at(table, *ENDS)
    return FINISHES.get(word.lower(), word)


def _chosen(choices: list[Any]) -> Said:
    """The first choice of a completion."""
    tables = [each for each in choices if isinstance(each, Mapping)]
    if not tables:
        return Said()
    others = len(tables) - 1
    one = next((each for each in tables if each.get("index", 0) == 0), tables[0])
    message = one.get("message")
    if isinstance(message, Mapping):
        return _message(message, _finish(one), others)
    plain = one.get("text")
    return Said(plain if isinstance(plain, str) else "", _finish(one), others=others, given=True)


def _from_list(items: list[Any]) -> Said:
    """Messages whose last one is the assistant's, or parts of one."""
    tables = [each for each in map(opened, items) if isinstance(each, Mapping)]
    if any("choices" in each for each in tables):
        return Said(given=True, unread=IN_PIECES)
    spoken = [each for each in tables if each.get("role") == "assistant"]
    if spoken:
        return _said(spoken[-1])
    said = _message({"content": items}, "")
    return said if said.says or said.unread else Said()


def _error(reply: Any, obj: Mapping[str, Any]) -> str:
    """What went wrong, in the log's own words; empty where nothing did."""
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
    """The tool calls of a message."""
    calls = message.get("tool_calls")
    return tuple(calls) if isinstance(calls, list) else ()


def call_of(item: Any) -> JsonObject | None:
    """An item of OpenAI's Responses as a call of a chat; None for anything else."""
    if not isinstance(item, Mapping) or item.get("type") != "function_call":
        return None
    called = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id") or item.get("id"), "type": "function", "function": called}
