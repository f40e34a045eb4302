"""Tool calls in the one form that all of Rung compares (name and arguments, in their order, without ids), and turns,
tools and calls as the two hosted protocols write them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chat.protocols import Turn
from workspace.json_types import JsonObject

Call = Mapping[str, Any]
"""`{"name": "...", "arguments": {...}}`: arguments parsed, their keys sorted at every level."""
_LIST = re.compile(r"^\[", re.M)
_TABLE = re.compile(r"^-> ", re.M)
_FIELD = re.compile(r"\s+(\S+)\s+(\S.*)")


def calls_of(message: Mapping[str, Any]) -> list[Call]:
    """Return the calls of a message. OpenAI writes arguments as a text of JSON: it is parsed, if it is JSON."""
    calls = message.get("tool_calls")
    return [canonical(call) for call in calls if isinstance(call, Mapping)] if isinstance(calls, list | tuple) else []


def canonical(call: Mapping[str, Any]) -> Call:
    """Return one call as name and arguments."""
    made = call.get("function", call)
    made = made if isinstance(made, Mapping) else {"name": made}
    return {"name": made.get("name"), "arguments": _sorted(arguments_of(made))}


def arguments_of(made: Mapping[str, Any]) -> Any:
    """Return the arguments of a call: the object that a text holds, the text itself if it is no JSON; {} for none."""
    given = made.get("arguments")
    if given is None or given == "":
        return {}
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return given


def with_calls(text: str, calls: Sequence[Call]) -> str:
    """Return an answer as one text: what is said, if anything, and the calls as one line of JSON."""
    if not calls:
        return text
    line = json.dumps(list(calls), ensure_ascii=False)
    return f"{text}\n{line}" if text else line


def call_table(call: Call) -> str:
    """Return a call as a small table: the tool's name, and a line for each argument with its value as JSON."""
    given = call["arguments"]
    if not isinstance(given, Mapping):
        given = {"arguments": given}
    width = max(map(len, given), default=0)
    lines = [f"  {name:<{width}}  {json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]
    return "\n".join([f"-> {call['name']}", *lines])


def from_tables(answer: str) -> tuple[str, list[Call]]:
    """Return the text, and the calls of the tables at its end; none if a line cannot be read."""
    for found in _TABLE.finditer(answer):
        if calls := _tables(answer[found.start() :].splitlines()):
            return answer[: found.start()].rstrip("\n"), calls
    return answer, []


def _tables(lines: Sequence[str]) -> list[Call]:
    calls: list[dict[str, Any]] = []
    for line in filter(str.strip, lines):
        field = _FIELD.fullmatch(line)
        if line.startswith("-> "):
            calls.append({"name": line[3:].strip(), "arguments": {}})
        elif field is None or field[1] in calls[-1]["arguments"]:
            return []
        else:
            try:
                value = json.loads(field[2])
            except (ValueError, RecursionError):
                if field[2][0] in '"[{':
                    return []
                value = field[2].strip()
            calls[-1]["arguments"][field[1]] = value
    return [canonical(call) for call in calls]


def parted(answer: str) -> tuple[str, list[Call]]:
    """Return what `with_calls` put together: the text, and the calls that end it (over one line or several)."""
    end = answer.rstrip()
    if not end.endswith("]") or '"arguments"' not in end:
        return answer, []
    for found in _LIST.finditer(end):
        try:
            calls = json.loads(end[found.start() :])
        except (ValueError, RecursionError):
            continue
        if calls and all(map(_is_call, calls)):
            return end[: found.start()].rstrip("\n"), [canonical(call) for call in calls]
    return answer, []


def for_template(turns: Sequence[Mapping[str, Any]], *, as_text: bool = False) -> list[Mapping[str, Any]]:
    """Return the turns for chat templates: "" for a message that only calls; arguments as objects, or JSON texts."""
    return [_for_template(turn, as_text) if turn.get("tool_calls") else turn for turn in turns]


def _for_template(turn: Mapping[str, Any], as_text: bool) -> Mapping[str, Any]:
    calls = []
    for call in turn["tool_calls"]:
        made = call.get("function", call)
        arguments = arguments_of(made)
        given = json.dumps(arguments, ensure_ascii=False) if as_text and not isinstance(arguments, str) else arguments
        outer = {key: value for key, value in call.items() if key != "function"} if "function" in call else {}
        calls.append({"type": "function", **outer, "function": {**made, "arguments": given}})
    return {**turn, "content": turn.get("content") or "", "tool_calls": calls}


def _is_call(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"name", "arguments"} and isinstance(value["name"], str)


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list | tuple) else value


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
    return [{"type": "function", "function": each} for each in _with_schemas(tools)]


def claude_tools(tools: Any) -> list[JsonObject]:
    """Return a row's tools as Anthropic takes them."""
    return [
        {
            **{key: value for key, value in each.items() if key in ("name", "description")},
            "input_schema": each["parameters"],
        }
        for each in _with_schemas(tools)
    ]


def functions_of(tools: Any) -> Iterator[JsonObject]:
    """Yield each tool's name, description and schema (`parameters` or `input_schema`), as the row has them."""
    for tool in tools if isinstance(tools, list) else ():
        made = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if isinstance(made, Mapping):
            yield dict(made)


def _with_schemas(tools: Any) -> Iterator[JsonObject]:
    for made in functions_of(tools):
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
