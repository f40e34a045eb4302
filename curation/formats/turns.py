"""The rules for a list of messages: a quick yes or no for every row; for those that failed pydantic finds what it is,
and a sentence says so.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from curation.formats.jsonline import Malformed, kind_of
from workspace.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

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
_KEPT = ConfigDict(strict=True, extra="allow")
_Text = Annotated[str, Field(min_length=1)]


class _Said(TypedDict):
    """A part of a content that is text."""

    __pydantic_config__ = _KEPT  # type: ignore[misc]
    type: Literal["text"]
    text: _Text


class _Other(TypedDict):
    """A part of another type, as an image is."""

    __pydantic_config__ = _KEPT  # type: ignore[misc]
    type: str


def _kind_of_part(part: Any) -> str:
    return "text" if type(part) is dict and part.get("type") == "text" else "other"


_Part = Annotated[Annotated[_Said, Tag("text")] | Annotated[_Other, Tag("other")], Discriminator(_kind_of_part)]
_Parts = Annotated[list[_Part], Field(min_length=1)]


class _Message(TypedDict):
    """A message as a chat row holds it; other keys are kept."""

    __pydantic_config__ = _KEPT  # type: ignore[misc]
    role: Literal["system", "user", "assistant", "tool"]
    content: _Text | _Parts


class _Calling(TypedDict):
    """An assistant's message that calls tools: it may say nothing."""

    __pydantic_config__ = _KEPT  # type: ignore[misc]
    role: Literal["assistant"]
    content: NotRequired[str | _Parts | None]


@cache
def _message() -> TypeAdapter[_Message]:
    return TypeAdapter(_Message)


@cache
def _calling() -> TypeAdapter[_Calling]:
    return TypeAdapter(_Calling)


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
    calls = type(message) is dict and message.get("role") == "assistant" and _has_calls(message)
    try:
        (_calling() if calls else _message()).validate_python(message)
    except ValidationError as error:
        raise _told(error.errors(include_url=False)[0], message, field) from None
    role = str(message["role"])
    if role not in NEXT[state]:
        raise Malformed(f"{field}.role", _bad_order(role, state))
    return "calling" if calls else role


def _told(fault: ErrorDetails, message: Any, field: str) -> Malformed:
    """The sentence for what pydantic found first: its place, and whether it is missing or wrong."""
    if not fault["loc"]:
        return Malformed(field, f'"{field}" must be an object with role and content, found {kind_of(message)}.')
    key = str(fault["loc"][0])
    place = f"{field}.{key}"
    if fault["type"] == "missing":
        found = ", ".join(f'"{name}"' for name in message) or "none"
        return Malformed(place, f'"{key}" is missing; found keys {found}.', _meant(message) if key == "role" else "")
    if key == "role":
        return _bad_role(message["role"], field)
    if message["content"] == "":
        return Malformed(place, f"the content of the {message['role']} message is empty.")
    return Malformed(place, f'"content" must be a text that is not empty, found {kind_of(message["content"])}.')


def _meant(message: dict[str, Any]) -> str:
    near = any(did_you_mean(key, ["role"]) for key in message)
    return 'did you mean "role"?' if near else 'ShareGPT turns ("from", "value") stand under "conversations"'


def _bad_role(role: Any, field: str) -> Malformed:
    shown = f'"{role}"' if isinstance(role, str) else kind_of(role)
    meant = OTHER_NAMES.get(role.lower(), "") if isinstance(role, str) else ""
    hint = f'did you mean "{meant}"?' if meant else did_you_mean(str(role), ROLES).strip().replace("Did", "did")
    return Malformed(f"{field}.role", f"{shown} is not a role; expected system, user, assistant or tool.", hint)


def _bad_order(role: str, state: str) -> str:
    if role == "system":
        return "a system message may only stand first."
    if role == "tool":
        return "a tool message must follow an assistant message that called a tool."
    if state in ("start", "system"):
        return f'the first message after the system message must be the user\'s, found "{role}".'
    return f'"{role}" follows "{"assistant" if state == "calling" else state}"; user and assistant take turns.'
