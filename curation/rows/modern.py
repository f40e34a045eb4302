"""Messages in older and other makers' forms, read as the canonical ones: roles, tool calls, their results, thoughts.

OpenAI's `developer`, `function` and `function_call`; Anthropic's parts `tool_use`, `tool_result` and `thinking`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.rows.jsonline import Malformed, kind_of, strict_json
from workspace.json_types import JsonObject

ROLES = {"developer": "system", "function": "tool"}
TEXT_PARTS = ("text", "input_text", "output_text")
"""Types of parts that are text: of chat messages, and of OpenAI's Responses."""


def modern(messages: Sequence[Any], field: str) -> Iterator[tuple[str, Any]]:
    """Yield each message in canonical form, with the place in `field` that it came from.

    A message with nothing to change is yielded as the same object; results of tools become messages of their own.
    Raises Malformed for a part that is no text.
    """
    for number, message in enumerate(messages):
        place = f"{field}[{number}]"
        if type(message) is not dict:
            yield place, message
            continue
        if message.get("role") in ("developer", "function"):
            message = {**message, "role": ROLES[message["role"]]}
        if message.get("function_call"):
            message = _without_function_call(message)
        if type(message.get("content")) is list:
            for made in _of_parts(message, f"{place}.content"):
                yield place, made
        else:
            yield place, message


def _without_function_call(message: Mapping[str, Any]) -> JsonObject:
    """Return the message with its one old call as `tool_calls`."""
    other = {key: value for key, value in message.items() if key != "function_call"}
    return {**other, "tool_calls": [{"type": "function", "function": message["function_call"]}]}


OWNER = {"tool_use": "assistant", "thinking": "assistant", "tool_result": "user"}
"""Anthropic's parts that are read, each with the role whose message may hold it."""


def _of_parts(message: JsonObject, field: str) -> Iterator[JsonObject]:
    """Yield the messages of a content's parts: results as messages of the tool, then the texts and calls."""
    found: dict[str, list[Any]] = {"text": [], **{kind: [] for kind in OWNER}}
    for number, part in enumerate(message["content"]):
        place = f"{field}[{number}]"
        kind = part.get("type") if type(part) is dict else None
        if str(kind) in OWNER and OWNER[str(kind)] == message.get("role"):
            found[str(kind)].append(_result(part, place) if kind == "tool_result" else part)
        elif type(kind) is str and kind not in TEXT_PARTS:
            raise Malformed(f"{place}.type", f'a part of type "{kind}"; Rung reads text parts only.')
        else:
            found["text"].append(part)
    yield from found["tool_result"]
    if len(found["text"]) == len(message["content"]):
        yield message
    elif found["text"] or not found["tool_result"]:
        yield _with_calls({**message, "content": found["text"] or None}, found["tool_use"], found["thinking"])


def _with_calls(message: JsonObject, calls: list[Any], thoughts: list[Any]) -> JsonObject:
    """Return the message with calls and thoughts that were parts of its content."""
    if calls:
        made = [_call(part) for part in calls]
        message["tool_calls"] = [*(message.get("tool_calls") or []), *made]
    if thoughts:
        message["reasoning_content"] = "\n".join(str(part.get("thinking", "")) for part in thoughts)
    return message


def _call(part: Mapping[str, Any]) -> JsonObject:
    made = {"type": "function", "function": {"name": part.get("name"), "arguments": part.get("input")}}
    return {"id": part["id"], **made} if "id" in part else made


def _result(part: Mapping[str, Any], field: str) -> JsonObject:
    """Return a `tool_result` part as a message of the tool."""
    content = part.get("content")
    for number, inner in enumerate(content if type(content) is list else ()):
        kind = inner.get("type") if type(inner) is dict else None
        if kind not in TEXT_PARTS:
            raise Malformed(f"{field}.content[{number}].type", f'a part of type "{kind}"; Rung reads text parts only.')
    said = {"tool_call_id": part["tool_use_id"]} if "tool_use_id" in part else {}
    failed = {"is_error": True} if part.get("is_error") else {}
    return {"role": "tool", "content": content, **said, **failed}


def check_calls(calls: Sequence[Any], field: str) -> None:
    """Raise Malformed for a call without a name, or whose arguments are no object (or a text of one)."""
    for number, call in enumerate(calls):
        place = f"{field}[{number}]"
        made = call.get("function", call) if type(call) is dict else None
        if type(made) is not dict or type(made.get("name")) is not str or not made["name"]:
            raise Malformed(f"{place}.function.name", "a call must name its function.")
        given = made.get("arguments")
        if type(given) is str and given.strip():
            try:
                given = strict_json(given.encode("utf-8", "surrogatepass"))
            except Malformed as error:
                raise Malformed(f"{place}.function.arguments", f"the arguments are {error.reason}") from None
        if given not in (None, "") and type(given) is not dict:
            raise Malformed(
                f"{place}.function.arguments", f"the arguments of a call must be an object, found {kind_of(given)}."
            )
