"""Rows of one question and one answer (prompt and completion, question and answer, Alpaca), and plain text."""

from __future__ import annotations

from typing import Any

from curation.example import Example
from curation.rows.jsonline import Malformed, kind_of
from curation.rows.names import (
    CannotHold,
    answer_key,
    free,
    need,
    need_text,
    others,
    rest,
    room,
    scalar_text,
    single,
    turns_of,
    with_system,
)  # fmt: skip
from curation.rows.turns import read_turns

PAIRS = (("question", "answer"), ("query", "response"), ("input", "output"))


def read_prompt_completion(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """TRL's prompt and completion, both texts or both lists of messages; `label` (unpaired) is an other key."""
    free(row, "messages")
    messages = read_turns(
        as_turns(row, "prompt", "user") + as_turns(row, "completion", "assistant"), "prompt+completion"
    )
    messages, used = with_system(row, messages)
    return {"messages": messages, **rest(row, "prompt", "completion", *used)}


def read_question_answer(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """`question` and `answer`, `query` and `response`, or `input` and `output`: both texts."""
    asked, said = next((pair for pair in PAIRS if set(pair) <= row.keys()), PAIRS[0])
    return _pair(row, asked, need_text(row, asked), said, need_text(row, said))


def read_labelled(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """`text` and a key that a table would take for its answer, as `datasets` writes a table of texts and labels."""
    key = answer_key(row)
    return _pair(row, "text", need_text(row, "text"), key, scalar_text(row[key], key, "answer"))


def _pair(row: dict[str, Any], asked: str, question: str, said: str, answer: str) -> dict[str, Any]:
    free(row, "messages")
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    messages, used = with_system(row, turns)
    return {"messages": messages, **rest(row, asked, said, *used)}


def read_text(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """`text`, as it is."""
    need_text(row, "text")
    return row


def write_prompt_completion(example: Example, plain: bool) -> dict[str, Any]:
    """Return strings where `plain` (one question, one answer), else everything up to the answer, and the answer."""
    other = others(example)
    room(other, "prompt/completion", "prompt", "completion")
    if plain:
        question, answer = single(example, "plain prompt/completion")
        return {"prompt": question, "completion": answer, **other}
    turns = [dict(turn) for turn in turns_of(example, "prompt/completion")]
    return {"prompt": turns[:-1], "completion": turns[-1:], **other}


def as_turns(row: dict[str, Any], key: str, role: str) -> list[dict[str, Any]]:
    """Return a part that is a text or a list of messages, as messages. Raises Malformed."""
    part = need(row, key)
    if type(part) is str:
        return [{"role": role, "content": need_text(row, key)}]
    if type(part) is not list or not part:
        raise Malformed(key, f'"{key}" must be a text or a list of messages, found {kind_of(part)}.')
    for number, turn in enumerate(part):
        if type(turn) is not dict:
            raise Malformed(f"{key}[{number}]", f"must be a message, found {kind_of(turn)}.")
    return list(part)


def read_alpaca(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """Alpaca's `instruction`, `input`, `output`, with `system` and `history` as LLaMA-Factory has them; Dolly calls the
    same `instruction`, `context`, `response`. The question is instruction and input joined by a newline; `input` stays
    beside, to be parted again.
    """
    more, said = ("input", "output") if "output" in row else ("context", "response")
    instruction, output = need_text(row, "instruction"), need_text(row, said)
    extra = row.get(more)
    if extra is not None and type(extra) is not str:
        raise Malformed(more, f'"{more}" must be a text, found {kind_of(extra)}.')
    free(row, "messages")
    question = f"{instruction}\n{extra}" if extra else instruction
    messages = [*_system(row), *_history(row), {"role": "user", "content": question}]
    messages.append({"role": "assistant", "content": output})
    kept = {"input": extra} if extra else {}
    return {"messages": messages, **kept, **rest(row, "instruction", more, said, "system", "history")}


def write_alpaca(example: Example) -> dict[str, Any]:
    """Return one question and one answer; a key `input` that ends the question is parted from it again."""
    question, answer = single(example, "Alpaca")
    other = others(example)
    for key in ("instruction", "output", "system", "history"):
        if key in other:
            raise CannotHold(key, f'the other key "{key}" is one that an Alpaca row uses itself; rename it.')
    extra = other.pop("input", "")
    if not isinstance(extra, str):
        raise CannotHold("input", 'the other key "input" is no text; Alpaca uses it itself: rename it.')
    instruction = question.removesuffix(f"\n{extra}") if extra else question
    if extra and (instruction == question or not instruction):
        raise CannotHold("input", 'the other key "input" is not the end of the question; rename it.')
    return {"instruction": instruction, "input": extra, "output": answer, **other}


def _system(row: dict[str, Any]) -> list[dict[str, Any]]:
    system = row.get("system")
    if system is None or system == "":
        return []
    return [{"role": "system", "content": need_text(row, "system")}]


def _history(row: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for number, pair in enumerate(row.get("history") or []):
        if type(pair) is not list or len(pair) != 2 or not all(type(text) is str and text for text in pair):
            raise Malformed(f"history[{number}]", '"history" must hold pairs of texts: question, answer.')
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return messages
