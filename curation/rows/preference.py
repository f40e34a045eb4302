"""Preference rows as TRL has them: `prompt`, `chosen`, `rejected`, each a text or a list of messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from curation.example import Example
from curation.rows.jsonline import Malformed
from curation.rows.names import CannotHold, need, rest, room, single, turns_of, with_system
from curation.rows.pairs import as_turns
from curation.rows.turns import read_turns
from workspace.json_types import JsonObject


def read(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
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


def write(example: Example, plain: bool) -> dict[str, Any]:
    """Return a preference row as it is; a chat row with `rejected` beside it parted into prompt and chosen again."""
    if "chosen" in example.row and "messages" not in example.row:
        return dict(example.row)
    turns = turns_of(example, "preference")
    if "rejected" not in example.row:
        raise CannotHold("rejected", "a preference row needs a rejected answer, and this row has none.")
    other = rest(example.row, "messages", "rejected")
    room(other, "preference", "prompt", "chosen")
    rejected = _part(example.row["rejected"])
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


def _part(rejected: Any) -> list[dict[str, Any]]:
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
