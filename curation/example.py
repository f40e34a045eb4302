"""One row of a dataset, in canonical form, and the three texts that similarity is defined on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from chat.tool_calls import call_table, calls_of, from_tables, parted, with_calls
from workspace.json_types import JsonObject

_decode = msgspec.json.Decoder().decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode


def text_of(content: Any) -> str:
    """Return the text of a message's content: a string as it is, the text parts of a list joined by newlines."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(str(part["text"]) for part in content if isinstance(part, Mapping) and "text" in part)
    return ""


def said_in(message: Mapping[str, Any]) -> str:
    """Return all that a message says: its text, and its tool calls as one line of JSON (`chat.tool_calls`)."""
    text = text_of(message.get("content"))
    return with_calls(text, calls_of(message)) if message.get("tool_calls") else text


UNTRAINED = ("weight", "train", "loss")
"""Keys of a message that say, as 0 or false, that it is not to be trained on."""


def is_trained(message: Mapping[str, Any]) -> bool:
    """True if no key of a message says that it is not to be trained on."""
    return not any(message.get(key, 1) in (0, False) for key in UNTRAINED)


@dataclass(frozen=True)
class Example:
    """A canonical row: `{"messages": [...]}`, `{"prompt", "chosen", "rejected"}` or `{"text": ...}`, other keys kept.

    `row` is never changed; a change makes a new Example.
    """

    row: Mapping[str, Any]

    @cached_property
    def messages(self) -> tuple[Mapping[str, Any], ...]:
        """All messages; for a preference row the prompt's and the chosen answer's."""
        if "messages" in self.row:
            return tuple(self.row["messages"])
        if "chosen" in self.row:
            return (*_turns(self.row.get("prompt", ""), "user"), *_turns(self.row["chosen"], "assistant"))
        return ()

    @cached_property
    def is_answered(self) -> bool:
        """True if the last message is the assistant's."""
        return bool(self.messages) and self.messages[-1].get("role") == "assistant"

    @cached_property
    def asked(self) -> tuple[Mapping[str, Any], ...]:
        """The messages before the answer: what an arm is given."""
        return self.messages[:-1] if self.is_answered else self.messages

    @cached_property
    def question(self) -> str:
        """All message contents but system's and the last assistant's, joined by newlines; of a text row the text."""
        if not self.messages:
            return str(self.row.get("text", ""))
        return "\n".join(text_of(m.get("content")) for m in self.asked if m.get("role") != "system")

    @cached_property
    def answer(self) -> str | None:
        """The last assistant message, text and calls; None for a row without an answer. Reasoning is no part of it."""
        return said_in(self.messages[-1]) if self.is_answered else None

    @property
    def tests(self) -> str:
        """Python that checks an answer which is a program; empty where the row has none."""
        return str(self.row.get("tests") or "")

    @cached_property
    def calls(self) -> bool:
        """True if the answer calls tools."""
        return self.is_answered and bool(self.messages[-1].get("tool_calls"))

    @cached_property
    def system(self) -> str:
        """System messages joined by newlines."""
        return "\n".join(text_of(m.get("content")) for m in self.messages if m.get("role") == "system")

    @cached_property
    def setting(self) -> str:
        """The system message and, where there are some, the calls and other keys of the messages before the answer.

        Ids and reasoning are left out: two rows that call the same tools with the same arguments have one setting.
        """
        beside = [[place, *found] for place, m in enumerate(self.asked) if (found := _beside(m))]
        return json.dumps([self.system, beside], sort_keys=True, ensure_ascii=False) if beside else self.system

    @cached_property
    def context(self) -> str:
        """Return the part besides question and answer that must be equal: the setting and the tools."""
        return json.dumps([self.setting, self.row.get("tools")], sort_keys=True, ensure_ascii=False)

    @cached_property
    def content_hash(self) -> str:
        """Hex SHA-256 of the row as canonical JSON: its identity in the store."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, line: str | bytes) -> Example:
        """Read `to_json`'s output. msgspec takes a fifth of json's time; json reads what msgspec refuses (1e400)."""
        try:
            return cls(_decode(line))
        except (msgspec.MsgspecError, UnicodeError):
            return cls(json.loads(line))

    def to_json(self) -> str:
        """Return one line of JSON, keys in their own order, no line break at the end."""
        return _encode(self.row)

    def until(self, turn: int) -> Example:
        """Return the row as it ends with its assistant's turn of that number, from 1; 0 leaves it whole."""
        ends = [at for at, message in enumerate(self.messages, 1) if message.get("role") == "assistant"]
        return Example({**self.row, "messages": self.messages[: ends[turn - 1]]}) if turn else self

    def with_answer(self, text: str) -> Example:
        """Return the same row with another (or a first) answer; as calls where `answer_turn` takes it so."""
        return Example({**self.row, "messages": [*self.asked, self.answer_turn(text)]})

    def answer_turn(self, text: str) -> JsonObject:
        """Return the message that has this text as its answer: the one that is there where it already says this.

        Calls at its end are read as calls where the row has tools or its answer called one; else they are text.
        """
        said, calls = parted(text) if self.calls or self.row.get("tools") else (text, [])
        if self.calls and with_calls(said, calls) == self.answer:
            return dict(self.messages[-1])
        if not calls:
            return {"role": "assistant", "content": text}
        made = [{"type": "function", "function": call} for call in calls]
        return {"role": "assistant", "content": said or None, "tool_calls": made}


def _beside(message: Mapping[str, Any]) -> list[Any]:
    """Return the parts of a message besides role and content, calls in canonical form; empty if there are none."""
    if len(message) == 2:
        return []
    others = {key: value for key, value in message.items() if key not in _NO_IDENTITY and value not in (None, [], "")}
    calls = calls_of(message)
    return [calls, others] if calls or others else []


_REASONING = ("reasoning_content", "thinking")
_NO_IDENTITY = frozenset(("role", "content", "tool_calls", "tool_call_id", "id", *UNTRAINED, *_REASONING))
"""Keys of a message that do not tell two rows apart by themselves."""


def _turns(part: Any, role: str) -> tuple[Mapping[str, Any], ...]:
    """Return a prompt or answer of a preference row, which is a string or a list of messages."""
    return ({"role": role, "content": part},) if isinstance(part, str) else tuple(part)


def edited_text(row: Mapping[str, Any]) -> str:
    """Return the text that an edit changes: the last answer (calls as tables), the better of a pair, or the text."""
    example = Example(row)
    if example.calls:
        said, calls = text_of(example.messages[-1].get("content")), calls_of(example.messages[-1])
        text = "\n".join(filter(None, [said, *map(call_table, calls)]))
        return text if from_tables(text) == (said, calls) else with_calls(said, calls)
    return example.answer or "" if example.messages else str(row.get("text", ""))


def chat_row(question: str, answer: str, system: str = "", **other: Any) -> dict[str, Any]:
    """Return a canonical single-turn row."""
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **other}


def assistant_texts(example: Example) -> list[str]:
    """Return the texts of all assistant messages; of a text row the text."""
    if not example.messages:
        return [example.question]
    return [
        content for m in example.messages if m["role"] == "assistant" and isinstance(content := m.get("content"), str)
    ]


def all_messages(example: Example) -> tuple[Mapping[str, Any], ...]:
    """Return the messages, and behind them those of a preference row's rejected answer; of a text row none."""
    if "messages" in example.row or "chosen" not in example.row:
        return example.messages
    return (*example.messages, *_turns(example.row.get("rejected") or (), "assistant"))


def all_texts(example: Example) -> list[str]:
    """Return all texts of a row: each message with its calls, the rejected answer, the plain text."""
    return [said_in(message) for message in all_messages(example)] or [example.question]


class AsideText(NamedTuple):
    """Text outside the messages' content. `place`: `reasoning`, `tool call` or `tools`; `message`: number or -1."""

    message: int
    place: str
    text: str


def aside_texts(example: Example) -> list[AsideText]:
    """Return reasoning, values of tool arguments (without JSON's escapes), and descriptions of tools."""
    found = []
    for number, message in enumerate(all_messages(example)):
        if len(message) == 2:
            continue
        found += [AsideText(number, "reasoning", text_of(message[key])) for key in _REASONING if message.get(key)]
        found += [AsideText(number, "tool call", _strings(call["arguments"])) for call in calls_of(message)]
    tools = example.row.get("tools") or ()
    found += [AsideText(-1, "tools", _strings(tool)) for tool in ([tools] if isinstance(tools, str) else tools)]
    return [aside for aside in found if aside.text]


def every_text(example: Example) -> list[str]:
    """Return all that a row holds to be read: what it says, and what is beside that."""
    return [*all_texts(example), *(aside.text for aside in aside_texts(example))]


def _strings(value: Any) -> str:
    """Return the strings in a value, at any depth, one a line."""
    if isinstance(value, str):
        return value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return "\n".join(filter(None, map(_strings, parts)))
