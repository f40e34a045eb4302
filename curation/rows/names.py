"""Small parts that the formats share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from curation.example import Example, text_of
from curation.rows.jsonline import Malformed, kind_of
from workspace.errors import did_you_mean

QUESTIONS = (
    "question", "prompt", "instruction", "input", "query", "user", "utterance", "text", "sentence", "problem",
    "diagnosis", "message", "request", "source",
)  # fmt: skip
ANSWERS = (
    "answer", "completion", "output", "response", "assistant", "reply", "label", "category", "intent", "class",
    "code", "target", "solution", "summary", "translation",
)  # fmt: skip
"""Names of columns and keys that are taken for question and answer, the first that is there."""


class CannotHold(Malformed):
    """The target format has no place for something in the row: the field, and a sentence why."""


def need(row: Mapping[str, Any], key: str, what: str = "") -> Any:
    """Return the value of `key`; raises Malformed with the keys that were found instead."""
    if key not in row:
        near = next((k for k in row if did_you_mean(k, [key])), "")
        found = ", ".join(f'"{k}"' for k in list(row)[:12]) or "none"
        hint = f'did you mean "{key}" for "{near}"?' if near else what
        raise Malformed(key, f'"{key}" is missing; found keys {found}.', hint)
    return row[key]


def need_text(row: Mapping[str, Any], key: str) -> str:
    """Return the text of `key`; raises Malformed where it is missing, no text, or empty."""
    value = need(row, key)
    if type(value) is not str:
        raise Malformed(key, f'"{key}" must be a text, found {kind_of(value)}.')
    if not value:
        raise Malformed(key, f'"{key}" is empty.')
    return value


def first_of(names: Iterable[str], known: Sequence[str], taken: str = "") -> str:
    """Return the first `known` name that is among `names` (in any case), as `names` writes it; "" for none."""
    by_name = {name.lower(): name for name in names if name != taken}
    return next((by_name[word] for word in known if word in by_name), "")


def answer_key(row: Iterable[str]) -> str:
    """Return the key beside `text` that holds a row's answer, as a table of texts and labels has it; "" for none."""
    return first_of(row, (*ANSWERS, "labels"), "text")


def scalar_text(value: Any, key: str, part: str) -> str:
    """Return the text of a single value: a text, a number, true or false, or a list of one such. Raises Malformed."""
    if type(value) is list and len(value) == 1:
        value = value[0]
    if value is None or value in ("", []):
        raise Malformed(key, f'"{key}" is empty; it is the {part}.')
    if isinstance(value, list | dict):
        held = ", ".join(f'"{name}"' for name in list(value)[:6]) if isinstance(value, dict) else f"{len(value)} values"
        raise Malformed(
            key, f'"{key}" holds {kind_of(value)} ({held}); the {part} must be one text.', f'put one text under "{key}"'
        )
    return str(value)


def with_system(row: Mapping[str, Any], messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the messages behind the row's own `system`, and the keys that were used for it.

    Anthropic, Bedrock and ShareGPT sets hold the system message there, as a text or as parts. Raises Malformed if a
    system message with another text is among the messages already.
    """
    system = row.get("system")
    if type(system) is list and system and all(type(part) is dict and type(part.get("text")) is str for part in system):
        system = text_of(system)
    if type(system) is not str:
        return messages, ()
    if messages and messages[0]["role"] == "system":
        if system not in ("", messages[0]["content"]):
            raise Malformed(
                "system", 'the row has a key "system" and a system message that differ.', "keep one of them"
            )
    elif system:
        messages = [{"role": "system", "content": system}, *messages]
    return messages, ("system",)


def free(row: Mapping[str, Any], key: str) -> None:
    """Raise Malformed if the other keys of a row hold one that the canonical row needs itself."""
    if key in row:
        raise Malformed(key, f'the other key "{key}" is one that a chat row needs itself.', f'rename "{key}"')


def rest(row: Mapping[str, Any], *used: str) -> dict[str, Any]:
    """Return the other keys of a row, in their order."""
    return {key: value for key, value in row.items() if key not in used}


def room(row: Mapping[str, Any], target: str, *keys: str) -> None:
    """Raise CannotHold if another key of the row has a name that the target uses itself."""
    for key in keys:
        if key in row:
            raise CannotHold(key, f'the other key "{key}" is one that a {target} row uses itself; rename it.')


def turns_of(example: Example, target: str) -> tuple[Mapping[str, Any], ...]:
    """Return the messages of a row that has some; raises CannotHold for a text row."""
    if not example.messages:
        raise CannotHold("text", f"a text row has no answer, which {target} rows need.")
    return example.messages


def others(example: Example) -> dict[str, Any]:
    """Return the keys of a canonical row beside its messages; of a preference row also `rejected`."""
    return rest(example.row, "messages") if "messages" in example.row else rest(example.row, "prompt", "chosen")


def single(example: Example, target: str) -> tuple[str, str]:
    """Question and answer of a row that is exactly one of each, as texts; raises CannotHold otherwise."""
    turns = turns_of(example, target)
    roles = [turn["role"] for turn in turns]
    if "system" in roles:
        raise CannotHold("messages[0]", f"{target} has no place for a system message.")
    if roles != ["user", "assistant"]:
        raise CannotHold("messages", f"{target} holds one question and one answer; this row has {len(turns)} messages.")
    for number, turn in enumerate(turns):
        more = sorted(set(turn) - {"role", "content"})
        if more or not isinstance(turn.get("content"), str) or not turn["content"]:
            held = ", ".join(more) or "content that is not one text"
            raise CannotHold(f"messages[{number}]", f"{target} has no place for {held}.")
    return turns[0]["content"], turns[1]["content"]
