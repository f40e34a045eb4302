"""The rules for a list of messages: a quick yes or no for every row, a sentence on the fault of those that failed.

Forms of other makers are read as the canonical ones: OpenAI's `developer`, `function` and `function_call`; Anthropic's
parts `tool_use`, `tool_result` and `thinking`; ShareGPT's `conversations` of `from` and `value`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.example import UNTRAINED, Example, text_of
from curation.rows.jsonline import Malformed, kind_of, strict_json
from curation.rows.names import CannotHold, free, need, others, rest, room, turns_of, with_system
from workspace.errors import did_you_mean
from workspace.json_types import JsonObject

ROLES = ("system", "user", "assistant", "tool")
ROLE_OF = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
    "bing": "assistant", "bard": "assistant", "model": "assistant", "system": "system", "tool": "tool",
    "observation": "tool", "function_response": "tool", "function_call": "assistant",
}  # fmt: skip
OTHER_NAMES = {**ROLE_OF, "bot": "assistant", "chatbot": "assistant", "ai": "assistant"}
"""Roles that are meant by other names."""
NEXT: dict[str, dict[Any, str]] = {
    "start": {"system": "system", "user": "user"},
    "system": {"user": "user"},
    "user": {"assistant": "assistant"},
    "assistant": {"user": "user"},
    "calling": {"tool": "tool", "user": "user"},
    "tool": {"tool": "tool", "assistant": "assistant"},
}
"""Roles that may follow a role. `calling` is an assistant message with tool calls."""
ENDS = ("assistant", "calling")


def are_plain(messages: Any, unanswered: bool = False) -> bool:
    """True if `messages` is canonical as it is: role and content alone, each content a text, in a right order.

    With `unanswered` the last may be the user's. False of anything that needs a closer look (`read_turns`).
    """
    if type(messages) is not list:
        return False
    state = "start"
    try:
        for message in messages:
            content = message["content"]
            if type(content) is not str or not content or len(message) != 2:
                return False
            state = NEXT[state][message["role"]]
    except (KeyError, TypeError, IndexError):
        return False
    return state == "assistant" or (unanswered and state == "user")


def read_turns(messages: Any, field: str = "messages", unanswered: bool = False) -> list[dict[str, Any]]:
    """Return canonical messages: parts that are text joined by newlines, everything else as it is.

    Older and other forms of tool calls become the canonical one (`modern`). Raises Malformed with the
    first rule that `messages` breaks, for an answer that is marked as one not to train on, and for one that calls tools
    without a name or with arguments that are no object.
    """
    if are_plain(messages, unanswered):
        return messages  # type: ignore[no-any-return]
    if type(messages) is not list:
        raise Malformed(field, f'"{field}" must be a list of messages, found {kind_of(messages)}.')
    if not messages:
        raise Malformed(field, f'"{field}" is empty.')
    placed = list(modern(messages, field))
    _check_turns(placed, field, unanswered)
    place, last = placed[-1]
    if last["role"] == "assistant":
        _check_trained(last, place)
        check_calls(last.get("tool_calls") or (), f"{place}.tool_calls")
    turns = [
        {**message, "content": text_of(message["content"])} if type(message.get("content")) is list else message
        for _, message in placed
    ]
    same = len(turns) == len(messages) and all(new is old for new, old in zip(turns, messages, strict=True))
    return messages if same else turns


def _check_turns(placed: Sequence[tuple[str, Any]], field: str, unanswered: bool) -> None:
    """Raise Malformed with the first rule that the messages, each with its place, break."""
    state = "start"
    for place, message in placed:
        state = _check_one(message, state, place)
    if state not in ENDS and not (unanswered and state == "user"):
        hint = (
            "give it an answer, or import it --as pool: unanswered rows are queued for one" if state == "user" else ""
        )
        role = placed[-1][1]["role"]
        raise Malformed(field, f'the last message is from "{role}", it must be the assistant\'s.', hint)


def _check_one(message: Any, state: str, field: str) -> str:
    if type(message) is not dict:
        raise Malformed(field, f'"{field}" must be an object with role and content, found {kind_of(message)}.')
    if "role" not in message:
        near = any(did_you_mean(key, ["role"]) for key in message)
        hint = 'did you mean "role"?' if near else 'ShareGPT turns ("from", "value") belong under "conversations"'
        raise _missing("role", message, field, hint)
    role, content = message["role"], message.get("content")
    if type(role) is not str or role not in ROLES:
        raise _bad_role(role, field)
    calls = role == "assistant" and type(message.get("tool_calls")) is list and bool(message["tool_calls"])
    if "content" not in message and not calls:
        raise _missing("content", message, field)
    if not _says(content) and not (calls and content in (None, "")):
        said = f'"content" must be a text that is not empty, found {kind_of(content)}.'
        raise Malformed(f"{field}.content", f"the content of the {role} message is empty." if content == "" else said)
    if role not in NEXT[state]:
        raise Malformed(f"{field}.role", _bad_order(role, state))
    return "calling" if calls else role


def _is_text(value: Any) -> bool:
    return type(value) is str and bool(value)


def _says(content: Any) -> bool:
    """True if a content is a text, or a list of parts that are text, none of them empty."""
    if type(content) is not list:
        return _is_text(content)
    return bool(content) and all(
        type(part) is dict and part.get("type") in TEXT_PARTS and _is_text(part.get("text")) for part in content
    )


def _missing(key: str, message: JsonObject, field: str, hint: str = "") -> Malformed:
    found = ", ".join(f'"{name}"' for name in message) or "none"
    return Malformed(f"{field}.{key}", f'"{key}" is missing; found keys {found}.', hint)


def _check_trained(answer: JsonObject, field: str) -> None:
    """Refuse an answer that is marked as one not to be trained on."""
    for key in UNTRAINED:
        if key in answer and answer[key] in (0, False) and answer[key] is not None:
            value = json.dumps(answer[key])
            raise Malformed(
                f"{field}.{key}", f'the answer has "{key}": {value}: it is marked as not to be trained on.',
                "leave the row out, or drop its last message (rows without an answer: --as pool)",
            )  # fmt: skip


def _bad_role(role: Any, field: str) -> Malformed:
    shown = f'"{role}"' if isinstance(role, str) else kind_of(role)
    meant = OTHER_NAMES.get(role.lower(), "") if isinstance(role, str) else ""
    hint = f'did you mean "{meant}"?' if meant else did_you_mean(str(role), ROLES).strip().replace("Did", "did")
    return Malformed(f"{field}.role", f"{shown} is not a role; expected system, user, assistant or tool.", hint)


def _bad_order(role: str, state: str) -> str:
    if role == "system":
        return "a system message may only be first."
    if role == "tool":
        return "a tool message must follow an assistant message that called a tool."
    if state in ("start", "system"):
        return f'the first message after the system message must be the user\'s, found "{role}".'
    return f'"{role}" follows "{"assistant" if state == "calling" else state}"; user and assistant take turns.'


def read_chat(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """Return the row with canonical messages, a `system` beside them as the first. Raises Malformed."""
    messages, used = with_system(row, read_turns(need(row, "messages"), unanswered=unanswered))
    return row if messages is row["messages"] else {**rest(row, *used), "messages": messages}


def write_chat(example: Example) -> dict[str, Any]:
    """Return the canonical row; of a preference row the chosen answer, with `rejected` kept beside."""
    if "messages" in example.row:
        return dict(example.row)
    turns = turns_of(example, "chat")
    return {"messages": [dict(turn) for turn in turns], **others(example)}


NEWER_ROLES = {"developer": "system", "function": "tool"}
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
            message = {**message, "role": NEWER_ROLES[message["role"]]}
        if message.get("function_call"):
            call = {"type": "function", "function": message["function_call"]}
            message = {**rest(message, "function_call"), "tool_calls": [call]}
        if type(message.get("content")) is list:
            for made in _of_parts(message, f"{place}.content"):
                yield place, made
        else:
            yield place, message


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
        message = {**message, "content": found["text"] or None}
        if found["tool_use"]:
            message["tool_calls"] = [*(message.get("tool_calls") or []), *map(_call, found["tool_use"])]
        if found["thinking"]:
            message["reasoning_content"] = "\n".join(str(part.get("thinking") or "") for part in found["thinking"])
        yield message


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


FROM_OF = {"user": "human", "assistant": "gpt", "system": "system", "tool": "tool"}


def read_sharegpt(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """`conversations` (and a top-level `system`, as some sets have it) as messages. Raises Malformed."""
    turns = need(row, "conversations")
    if type(turns) is not list:
        raise Malformed("conversations", f'"conversations" must be a list of turns, found {kind_of(turns)}.')
    free(row, "messages")
    messages = [_message(turn, f"conversations[{number}]") for number, turn in enumerate(turns)]
    messages, used = with_system(row, read_turns(messages, "conversations", unanswered))
    return {"messages": messages, **rest(row, "conversations", *used)}


def write_sharegpt(example: Example) -> dict[str, Any]:
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
        return {
            "role": role,
            "content": None,
            "tool_calls": [_called(turn, field)],
            **rest(turn, "from", "value"),
        }
    for key in ("role", "content"):
        free(turn, key)
    value = {"content": turn["value"]} if "value" in turn else {}
    return {"role": role, **value, **rest(turn, "from", "value")}


def _called(turn: Mapping[str, Any], field: str) -> dict[str, Any]:
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
