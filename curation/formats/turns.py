"""The rules for a list of messages: a quick yes or no for every row, a sentence for those that failed."""

from __future__ import annotations

from typing import Any

from curation.formats.jsonline import Malformed, kind_of
from workspace.errors import did_you_mean

ROLES = ("system", "user", "assistant", "tool")
OTHER_NAMES = {
    "human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatbot": "assistant",
    "ai": "assistant", "developer": "system", "function": "tool", "observation": "tool",
}  # fmt: skip
NEXT: dict[str, dict[Any, str]] = {
    "start": {"system": "system", "user": "user"},
    "system": {"user": "user"},
    "user": {"assistant": "assistant"},
    "assistant": {"user": "user"},
    "calling": {"tool": "tool", "user": "user"},
    "tool": {"tool": "tool", "assistant": "assistant"},
}
"""Which role may follow. `calling` is an assistant message with tool calls."""
ENDS = ("assistant", "calling")


def are_sound(messages: Any, unanswered: bool = False) -> bool:
    """Whether `messages` keeps all rules; with `unanswered` the last may be the user's."""
    if type(messages) is not list:
        return False
    state = "start"
    try:
        for message in messages:
            content = message["content"]
            if (type(content) is not str or not content) and not _may_be_other(message):
                return False
            state = NEXT[state][message["role"]]
            if state == "assistant" and "tool_calls" in message and _has_calls(message):
                state = "calling"
    except (KeyError, TypeError, IndexError):
        return bool(messages) and _are_sound_slowly(messages, unanswered)
    return state in ENDS or (unanswered and state == "user")


def check_turns(messages: Any, field: str = "messages", unanswered: bool = False) -> None:
    """Raise Malformed with the first rule that `messages` breaks."""
    if type(messages) is not list:
        raise Malformed(field, f'"{field}" must be a list of messages, found {kind_of(messages)}.')
    if not messages:
        raise Malformed(field, f'"{field}" is empty.')
    state = "start"
    for number, message in enumerate(messages):
        state = _check_one(message, state, f"{field}[{number}]")
    if state not in ENDS and not (unanswered and state == "user"):
        hint = (
            "give it an answer, or import it --as pool: unanswered rows are queued for one" if state == "user" else ""
        )
        raise Malformed(field, f'the last message is from "{messages[-1]["role"]}", it must be the assistant\'s.', hint)


def _are_sound_slowly(messages: list[Any], unanswered: bool) -> bool:
    """For rows that the quick loop stumbles over: an assistant's tool call may have no content at all."""
    try:
        check_turns(messages, unanswered=unanswered)
    except Malformed:
        return False
    return True


def _may_be_other(message: Any) -> bool:
    """Whether content that is not a plain text is right: parts by type, or none beside tool calls."""
    content = message.get("content")
    if type(content) is list:
        return bool(content) and all(_is_part(part) for part in content)
    return message.get("role") == "assistant" and _has_calls(message) and (content is None or content == "")


def _is_part(part: Any) -> bool:
    if type(part) is not dict or type(part.get("type")) is not str:
        return False
    return part["type"] != "text" or (type(part.get("text")) is str and bool(part["text"]))


def _has_calls(message: Any) -> bool:
    return type(message.get("tool_calls")) is list and bool(message["tool_calls"])


def _check_one(message: Any, state: str, field: str) -> str:
    """Check one message; return the state after it."""
    if type(message) is not dict:
        raise Malformed(field, f'"{field}" must be an object with role and content, found {kind_of(message)}.')
    if "role" not in message:
        found = ", ".join(f'"{key}"' for key in message)
        near = next((key for key in message if did_you_mean(key, ["role"])), "")
        hint = 'did you mean "role"?' if near else 'ShareGPT turns ("from", "value") stand under "conversations"'
        raise Malformed(f"{field}.role", f'"role" is missing; found keys {found or "none"}.', hint)
    role = message["role"]
    if role not in ROLES:
        raise _bad_role(role, field)
    _check_content(message, field)
    if role not in NEXT[state]:
        raise Malformed(f"{field}.role", _bad_order(role, state))
    return "calling" if role == "assistant" and _has_calls(message) else str(role)


def _bad_role(role: Any, field: str) -> Malformed:
    shown = f'"{role}"' if isinstance(role, str) else kind_of(role)
    meant = OTHER_NAMES.get(role.lower(), "") if isinstance(role, str) else ""
    hint = f'did you mean "{meant}"?' if meant else did_you_mean(str(role), ROLES).strip().replace("Did", "did")
    return Malformed(f"{field}.role", f"{shown} is not a role; expected system, user, assistant or tool.", hint)


def _check_content(message: dict[str, Any], field: str) -> None:
    content = message.get("content")
    if (type(content) is str and content) or _may_be_other(message):
        return
    field += ".content"
    if "content" not in message:
        raise Malformed(field, f'"content" is missing; found keys {", ".join(f"{k!r}" for k in message)}.')
    if content == "":
        raise Malformed(field, f"the content of the {message['role']} message is empty.")
    raise Malformed(field, f'"content" must be a text that is not empty, found {kind_of(content)}.')


def _bad_order(role: str, state: str) -> str:
    if role == "system":
        return "a system message may only stand first."
    if role == "tool":
        return "a tool message must follow an assistant message that called a tool."
    if state in ("start", "system"):
        return f'the first message after the system message must be the user\'s, found "{role}".'
    return f'"{role}" follows "{"assistant" if state == "calling" else state}"; user and assistant take turns.'
