"""Rows of one question and one answer (prompt and completion, Alpaca), preference rows as TRL has them, plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from workspace.json_types import JsonObject

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
    system = [{"role": "system", "content": need_text(row, "system")}] if row.get("system") not in (None, "") else []
    messages = [*system, *_history(row), {"role": "user", "content": question}]
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


def _history(row: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    history = row.get("history") or []
    if type(history) is not list:
        raise Malformed("history", f'"history" must be a list of pairs of texts, found {kind_of(history)}.')
    for number, pair in enumerate(history):
        if type(pair) is not list or len(pair) != 2 or not all(type(text) is str and text for text in pair):
            raise Malformed(f"history[{number}]", '"history" must hold pairs of texts: question, answer.')
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return messages


def read_preference(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """Return the row, its texts as texts; a prompt that chosen and rejected share (TRL's implicit prompt) is taken out.

    With a `system` beside them the three parts become lists of messages, the prompt's first being the system's.
    OpenAI's `input`, `preferred_output` and `non_preferred_output`, and HH-RLHF's two whole talks, are read as these.
    """
    if "preferred_output" in row and "chosen" not in row:
        row = _of_openai(row)
    if "messages" in row:
        row = rest(row, "messages")
    if "prompt" not in row and type(row.get("chosen")) is str and type(row.get("rejected")) is str:
        row = {**row, **{key: _talk(row[key], key) for key in ("chosen", "rejected")}}
    if "prompt" not in row or _repeats_prompt(row):
        row = _explicit(rest(row, "prompt"))
    prompt = as_turns(row, "prompt", "user")
    size = len(prompt)
    used: tuple[str, ...] = ()
    parts: dict[str, list[dict[str, Any]]] = {}
    for key in ("chosen", "rejected"):
        messages = read_turns(prompt + as_turns(row, key, "assistant"), f"prompt+{key}")
        asked, used = with_system(row, messages[:size])
        parts |= {"prompt": asked, key: messages[size:]}
    changed = {key: part for key, part in parts.items() if used or (type(row[key]) is list and part != row[key])}
    return {**rest(row, *used), **changed} if changed else row


def write_preference(example: Example, plain: bool) -> dict[str, Any]:
    """Return a preference row as it is; a chat row with `rejected` beside it parted into prompt and chosen again."""
    if "chosen" in example.row and "messages" not in example.row:
        return dict(example.row)
    turns = turns_of(example, "preference")
    if "rejected" not in example.row:
        raise CannotHold("rejected", "a preference row needs a rejected answer, and this row has none.")
    other = rest(example.row, "messages", "rejected")
    room(other, "preference", "prompt", "chosen")
    rejected = _as_list(example.row["rejected"])
    if plain:
        question, answer = single(example, "plain preference")
        text = rejected[0]["content"] if len(rejected) == 1 and set(rejected[0]) == {"role", "content"} else None
        if not isinstance(text, str):
            raise CannotHold("rejected", "plain preference holds one rejected text.")
        return {"prompt": question, "chosen": answer, "rejected": text, **other}
    return {
        "prompt": [dict(turn) for turn in turns[:-1]],
        "chosen": [dict(turns[-1])],
        "rejected": rejected,
        **other,
    }


def _as_list(rejected: Any) -> list[dict[str, Any]]:
    try:
        return as_turns({"rejected": rejected}, "rejected", "assistant")
    except Malformed as error:
        raise CannotHold("rejected", error.reason) from None


def is_beside(row: Mapping[str, Any]) -> bool:
    """True if the `messages` of a row only repeat its prompt and chosen answer, as UltraFeedback has them."""
    return "chosen" in row and "rejected" in row and row["messages"] == row["chosen"]


def _of_openai(row: JsonObject) -> JsonObject:
    """OpenAI's preference row as TRL's; tools of its input are those of the row."""
    asked = row.get("input")
    if type(asked) is not dict or "messages" not in asked:
        raise Malformed("input", '"input" must be an object with messages.')
    answers = {"chosen": need(row, "preferred_output"), "rejected": need(row, "non_preferred_output")}
    other = rest(row, "input", "preferred_output", "non_preferred_output")
    return {"prompt": asked["messages"], **answers, **rest(asked, "messages"), **other}


def _talk(text: str, key: str) -> list[JsonObject]:
    """Return the messages of a talk that is one text, as HH-RLHF has it. Raises Malformed if it is no such text."""
    parts = _SPEAKER.split(text)
    if len(parts) < 3 or parts[0].strip():
        raise Malformed("prompt", f'"prompt" is missing, and "{key}" is no dialogue of "Human:" and "Assistant:".')
    roles = {"Human": "user", "Assistant": "assistant"}
    return [{"role": roles[who], "content": said.strip()} for who, said in zip(parts[1::2], parts[2::2], strict=True)]


_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant):")


def _repeats_prompt(row: dict[str, Any]) -> bool:
    """True if a prompt that is a text opens both chats as well, as UltraFeedback has it."""
    asked = [{"role": "user", "content": row["prompt"]}]
    return all(type(row.get(key)) is list and row[key][:1] == asked for key in ("chosen", "rejected"))


def _explicit(row: dict[str, Any]) -> dict[str, Any]:
    chosen, rejected = need(row, "chosen"), need(row, "rejected")
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        need(row, "prompt")
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if shared == 0:
        raise Malformed("prompt", '"prompt" is missing, and chosen and rejected do not start with the same messages.')
    return {
        "prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:],
        **rest(row, "chosen", "rejected"),
    }  # fmt: skip
