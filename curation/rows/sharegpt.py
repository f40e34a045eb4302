"""ShareGPT rows: `conversations` of `from` and `value`; names, tool calls and other keys of a turn are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from curation.example import Example
from curation.rows.jsonline import Malformed, kind_of
from curation.rows.names import CannotHold, free, need, others, rest, room, turns_of, with_system
from curation.rows.turns import read_turns
from workspace.errors import did_you_mean

ROLE_OF = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
    "bing": "assistant", "bard": "assistant", "model": "assistant", "system": "system", "tool": "tool",
    "observation": "tool", "function_response": "tool", "function_call": "assistant",
}  # fmt: skip
FROM_OF = {"user": "human", "assistant": "gpt", "system": "system", "tool": "tool"}


def read(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """`conversations` (and a top-level `system`, as some sets have it) as messages. Raises Malformed."""
    turns = need(row, "conversations")
    if type(turns) is not list:
        raise Malformed("conversations", f'"conversations" must be a list of turns, found {kind_of(turns)}.')
    free(row, "messages")
    messages = [_message(turn, f"conversations[{number}]") for number, turn in enumerate(turns)]
    messages, used = with_system(row, read_turns(messages, "conversations", unanswered))
    return {"messages": messages, **rest(row, "conversations", *used)}


def write(example: Example) -> dict[str, Any]:
    """`conversations`, the system message as its first turn."""
    turns = turns_of(example, "ShareGPT")
    other = others(example)
    room(other, "ShareGPT", "conversations")
    if isinstance(other.get("system"), str) and not any(turn["role"] == "system" for turn in turns):
        raise CannotHold("system", 'the other key "system" would be read as a system message; rename it.')
    return {"conversations": [_turn(turn) for turn in turns], **other}


def _message(turn: Any, field: str) -> dict[str, Any]:
    if type(turn) is not dict:
        raise Malformed(field, f'"{field}" must be an object with from and value, found {kind_of(turn)}.')
    name = need(turn, "from", 'chat messages ("role", "content") belong under "messages"')
    role = ROLE_OF.get(name) if type(name) is str else None
    if role is None:
        shown = f'"{name}"' if isinstance(name, str) else kind_of(name)
        hint = did_you_mean(str(name), ROLE_OF).strip().replace("Did", "did")
        raise Malformed(f"{field}.from", f"{shown} is not a speaker; expected human, gpt, system or tool.", hint)
    if name == "function_call":
        return {"role": role, "content": None, "tool_calls": [_call(turn, field)], **rest(turn, "from", "value")}
    for key in ("role", "content"):
        free(turn, key)
    value = {"content": turn["value"]} if "value" in turn else {}
    return {"role": role, **value, **rest(turn, "from", "value")}


def _call(turn: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return the call in a `function_call` turn: its value is JSON with name and arguments."""
    value = need(turn, "value")
    try:
        call = json.loads(value) if isinstance(value, str) else value
        return {"type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
    except (ValueError, KeyError, TypeError):
        raise Malformed(f"{field}.value", "a function_call must be JSON with name and arguments.") from None


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    other = rest(message, "role", "content")
    room(other, "ShareGPT turn", "from", "value")
    value = {"value": message["content"]} if "content" in message else {}
    return {"from": FROM_OF[message["role"]], **value, **other}
