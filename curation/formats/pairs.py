"""Rows of one question and one answer (prompt and completion, question and answer), and plain text."""

from __future__ import annotations

from typing import Any

from curation.example import Example
from curation.formats.jsonline import Malformed, kind_of
from curation.formats.names import free, need, need_text, others, rest, room, single, turns_of
from curation.formats.turns import are_sound, check_turns


def read_prompt_completion(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """TRL's prompt and completion, both texts or both lists of messages; `label` (unpaired) is an other key."""
    free(row, "messages")
    messages = as_turns(row, "prompt", "user") + as_turns(row, "completion", "assistant")
    if not are_sound(messages):
        check_turns(messages)
    return {"messages": messages, **rest(row, "prompt", "completion")}


def read_question_answer(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """`question` and `answer`, both texts."""
    free(row, "messages")
    messages = [
        {"role": "user", "content": need_text(row, "question")},
        {"role": "assistant", "content": need_text(row, "answer")},
    ]
    return {"messages": messages, **rest(row, "question", "answer")}


def read_text(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """`text`, as it is."""
    need_text(row, "text")
    return row


def write_prompt_completion(example: Example, plain: bool) -> dict[str, Any]:
    """Strings where `plain` (one question, one answer), else everything up to the answer, and the answer."""
    other = others(example)
    room(other, "prompt/completion", "prompt", "completion")
    if plain:
        question, answer = single(example, "plain prompt/completion")
        return {"prompt": question, "completion": answer, **other}
    turns = [dict(turn) for turn in turns_of(example, "prompt/completion")]
    return {"prompt": turns[:-1], "completion": turns[-1:], **other}


def as_turns(row: dict[str, Any], key: str, role: str) -> list[dict[str, Any]]:
    """A part that is a text or a list of messages, as messages. Raises Malformed."""
    part = need(row, key)
    if type(part) is str:
        return [{"role": role, "content": need_text(row, key)}]
    if type(part) is not list or not part:
        raise Malformed(key, f'"{key}" must be a text or a list of messages, found {kind_of(part)}.')
    for number, turn in enumerate(part):
        if type(turn) is not dict:
            raise Malformed(f"{key}[{number}]", f"must be a message, found {kind_of(turn)}.")
    return list(part)
