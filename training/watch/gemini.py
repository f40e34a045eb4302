"""Gemini's `generateContent`, as its batches, Vertex AI's logs and gateways write it, in the words of chat completions.

A request holds `contents`, an answer `candidates`, both made of `parts`
(https://ai.google.dev/api/generate-content, read 2026-11-27). Keys come in camel case from the REST interface and in
snake case from the Python client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from training.watch.fields import first, opened, table_in, text_at

REQUESTS = ("request", "full_request", "request_body", "body", "request_payload", "requestPayload", "input")
RESPONSES = ("response", "full_response", "response_body", "response_payload", "responsePayload", "output")
REFUSED = "content_filter"


def in_chat_words(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The logged object with what is Gemini's rewritten; the same object where nothing is."""
    said = next((key for key in RESPONSES if _answers(opened(obj.get(key)))), None)
    answers = _answers(obj)
    asked = next((key for key in REQUESTS if _asks(opened(obj.get(key)), bool(said) or answers)), None)
    asks = _asks(obj, bool(said) or answers)
    if not (asked or asks or said or answers):
        return obj
    made = {key: value for key, value in obj.items() if key not in (asked, said, *(("contents",) if asks else ()))}
    made |= _request(obj) if asks else {"request": _request(opened(obj[asked]))} if asked else {}
    made = (
        {**_response(obj), **made} if answers else {**made, "response": _response(opened(obj[said]))} if said else made
    )
    return _told(made, obj)


def answer_in_chat_words(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A single answer of Gemini's, or a chunk of a stream, rewritten; anything else as it is."""
    return _response(value) if _answers(value) else value


def _told(made: dict[str, Any], obj: Mapping[str, Any]) -> dict[str, Any]:
    """With what a batch or a log says beside request and answer: when, by which name, and what failed."""
    names = {"timestamp": ("logging_time", "processed_time"), "request_id": ("key",)}
    more = {name: value for name, keys in names.items() if name not in obj and (value := first(obj, *keys)) is not None}
    status = obj.get("status")
    failed = isinstance(status, str) and status.strip() and not (made.get("response") or made.get("choices"))
    return {**made, **more, **({"error": status} if failed and not obj.get("error") else {})}


def _asks(value: Any, known: bool) -> bool:
    """Whether it holds `contents` made of parts, or is such turns; a plain text only beside an answer that is `known`
    for one of Gemini's.
    """
    if isinstance(value, list):
        return any(isinstance(each, Mapping) and "parts" in each for each in value)
    contents = value.get("contents") if isinstance(value, Mapping) else None
    if isinstance(contents, str):
        return known
    turns = contents if isinstance(contents, list) else [contents]
    return any((isinstance(each, Mapping) and "parts" in each) or (known and isinstance(each, str)) for each in turns)


def _answers(value: Any) -> bool:
    """Whether it is an answer of Gemini's, the turn of its model, or the list that a stream was made of."""
    if isinstance(value, list):
        return any(isinstance(each, Mapping) and _answers(each) for each in value)
    if not isinstance(value, Mapping) or "choices" in value:
        return False
    found = value.get("candidates")
    if isinstance(found, list):
        return any(
            isinstance(each, Mapping) and {"content", "finishReason", "finish_reason"} & each.keys() for each in found
        )
    turn = value.get("role") == "model" and "parts" in value
    return turn or first(value, "promptFeedback.blockReason", "prompt_feedback.block_reason") is not None


def _request(value: Any) -> dict[str, Any]:
    table: Mapping[str, Any] = {"contents": value} if isinstance(value, list) else value
    contents = table["contents"]
    turns = contents if isinstance(contents, list) else [contents]
    system = "\n".join(_texts(first(table, "systemInstruction", "system_instruction")))
    head = [{"role": "system", "content": system}] if system.strip() else []
    kept = {key: value for key, value in table.items() if key != "contents"}
    return {**kept, "messages": head + [message for turn in turns for message in _messages(turn)]}


def _messages(turn: Any) -> Iterator[dict[str, Any]]:
    """A turn as messages: results of functions each as one of a tool, what else it says as one of its role."""
    if isinstance(turn, str):
        yield {"role": "user", "content": turn}
        return
    if not isinstance(turn, Mapping):
        return
    for part in _parts(turn):
        given = first(part, "functionResponse", "function_response")
        if isinstance(given, Mapping):
            made = {"role": "tool", "content": json.dumps(given.get("response"), ensure_ascii=False, default=str)}
            yield {**made, **({"name": given["name"]} if isinstance(given.get("name"), str) else {})}
    texts, calls = list(_texts(turn)), _calls(turn)
    data = ("inlineData", "inline_data", "fileData", "file_data")
    if any(key in part for part in _parts(turn) for key in data):
        yield {"role": "user", "content": [{"type": "file"}]}
    elif texts or calls:
        role = "assistant" if turn.get("role") == "model" else str(turn.get("role") or "user")
        yield {"role": role, "content": "".join(texts), **({"tool_calls": calls} if calls else {})}


def _response(value: Any) -> Any:
    if isinstance(value, list):
        return [_response(each) if isinstance(each, Mapping) and _answers(each) else each for each in value]
    found = [{"content": value}] if "parts" in value else value.get("candidates") or []
    choices = [_choice(each, n) for n, each in enumerate(found) if isinstance(each, Mapping)]
    if not choices:
        choices = [{"index": 0, "message": {"content": ""}, "finish_reason": REFUSED}]
    usage = first(value, "usageMetadata", "usage_metadata")
    names = {"prompt_tokens": ("promptTokenCount", "prompt_token_count"),
             "completion_tokens": ("candidatesTokenCount", "candidates_token_count")}  # fmt: skip
    return {
        "id": text_at(value, "responseId", "response_id"),
        "model": text_at(value, "modelVersion", "model_version"),
        "created_at": first(value, "createTime", "create_time"),
        "usage": {name: first(usage, *keys) for name, keys in names.items()},
        "choices": choices,
    }


def _choice(candidate: Mapping[str, Any], number: int) -> dict[str, Any]:
    content = table_in(candidate, "content")
    index = candidate.get("index")
    return {
        "index": index if isinstance(index, int) else number,
        "message": {"content": "".join(_texts(content)), "tool_calls": _calls(content)},
        "finish_reason": text_at(candidate, "finishReason", "finish_reason"),
    }


def _calls(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [first(part, "functionCall", "function_call") for part in _parts(turn)]
    return [
        {
            **({"id": call["id"]} if isinstance(call.get("id"), str) else {}),
            "type": "function",
            "function": {"name": call.get("name"), "arguments": json.dumps(call.get("args") or {}, default=str)},
        }
        for call in found
        if isinstance(call, Mapping)
    ]


def _texts(turn: Any) -> Iterator[str]:
    """What a turn says; what a model only thought is no part of it."""
    if isinstance(turn, str):
        yield turn
    elif isinstance(turn, Mapping):
        for part in _parts(turn):
            if isinstance(part.get("text"), str) and part.get("thought") is not True:
                yield part["text"]


def _parts(turn: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = turn.get("parts")
    found = parts if isinstance(parts, list) else [parts]
    return [{"text": part} if isinstance(part, str) else part for part in found if isinstance(part, str | Mapping)]
