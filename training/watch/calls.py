"""Tool calls in an answer, in the form that OpenAI's chat completions have, whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from training.watch.fields import table_in


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


def call_of(item: Any) -> dict[str, Any] | None:
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


def _added(known: Mapping[str, Any], delta: Mapping[str, Any]) -> dict[str, Any]:
    """The call with what this delta brings: more of its arguments, or what it did not have yet."""
    old, new = table_in(known, "function"), table_in(delta, "function")
    function = {**new, **{key: value for key, value in old.items() if value is not None}}
    before, more = old.get("arguments"), new.get("arguments")
    if isinstance(more, str):
        function["arguments"] = (before if isinstance(before, str) else "") + more
    kept = {key: value for key, value in known.items() if value is not None}
    return {**delta, **kept, **({"function": function} if function else {})}
