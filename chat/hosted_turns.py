"""Turns, tools and calls as the two hosted protocols write them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chat.protocols import Turn
from chat.tool_calls import arguments_of
from workspace.json_types import JsonObject


def openai_turns(turns: Sequence[Turn]) -> list[JsonObject]:
    """Return the turns with every call's arguments as a text of JSON, and an id for it and its result."""
    made = []
    for turn in _numbered(turns):
        sent: JsonObject = {"role": turn["role"], "content": turn.get("content")}
        if turn.get("tool_calls"):
            sent["tool_calls"] = [
                {"id": name, "type": "function", "function": {**said, "arguments": json.dumps(said["arguments"])}}
                for name, said in turn["tool_calls"]
            ]
        if turn["role"] == "tool":
            sent["tool_call_id"] = turn["tool_call_id"]
        made.append(sent)
    return made


def claude_turns(turns: Sequence[Turn]) -> list[JsonObject]:
    """Return the turns but for the system's: calls and results are parts of a content, results of one call together."""
    made: list[JsonObject] = []
    for turn in _numbered(turn for turn in turns if turn["role"] != "system"):
        if turn["role"] == "tool":
            result = {"type": "tool_result", "tool_use_id": turn["tool_call_id"], "content": turn["content"]}
            if made and made[-1]["role"] == "user" and isinstance(made[-1]["content"], list):
                made[-1]["content"].append(result)
            else:
                made.append({"role": "user", "content": [result]})
        elif turn.get("tool_calls"):
            said = [{"type": "text", "text": turn["content"]}] if turn.get("content") else []
            calls = [
                {"type": "tool_use", "id": name, "name": call["name"], "input": call["arguments"]}
                for name, call in turn["tool_calls"]
            ]
            made.append({"role": "assistant", "content": [*said, *calls]})
        else:
            made.append({"role": turn["role"], "content": turn["content"]})
    return made


def openai_tools(tools: Any) -> list[JsonObject]:
    """Return a row's tools as OpenAI takes them."""
    return [{"type": "function", "function": each} for each in _functions(tools)]


def claude_tools(tools: Any) -> list[JsonObject]:
    """Return a row's tools as Anthropic takes them."""
    return [
        {
            **{key: value for key, value in each.items() if key in ("name", "description")},
            "input_schema": each["parameters"],
        }
        for each in _functions(tools)
    ]


def _functions(tools: Any) -> Iterator[JsonObject]:
    """Yield each tool's name, description and parameters, whichever of the two makers' forms a row has."""
    for tool in tools if isinstance(tools, list) else ():
        made = dict(tool.get("function", tool))
        schema = made.pop("input_schema", None) or made.get("parameters") or {"type": "object", "properties": {}}
        yield {**made, "parameters": schema}


def _numbered(turns: Any) -> Iterator[JsonObject]:
    """Yield the turns with calls as pairs of an id and the call, and with the id of its call in every result."""
    waiting: list[str] = []
    for number, turn in enumerate(turns):
        if turn.get("tool_calls"):
            waiting = []
            calls = []
            for place, call in enumerate(turn["tool_calls"]):
                said: Mapping[str, Any] = call.get("function", call)
                waiting.append(str(call.get("id") or f"call_{number}_{place}"))
                calls.append((waiting[-1], {"name": said["name"], "arguments": arguments_of(said)}))
            yield {**turn, "tool_calls": calls}
        elif turn["role"] == "tool":
            name = str(turn.get("tool_call_id") or (waiting[0] if waiting else "call"))
            waiting = [each for each in waiting if each != name]
            yield {**turn, "tool_call_id": name}
        else:
            yield dict(turn)
