"""Preference rows as TRL has them: `prompt`, `chosen`, `rejected`, each a text or a list of messages."""

from __future__ import annotations

from typing import Any

from curation.example import Example
from curation.rows.jsonline import Malformed
from curation.rows.names import CannotHold, need, rest, room, single, turns_of, with_system
from curation.rows.pairs import as_turns
from curation.rows.turns import read_turns


def read(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """Return the row, its texts as texts; a prompt that chosen and rejected share (TRL's implicit prompt) is taken out.

    With a `system` beside them the three parts become lists of messages, the prompt's first being the system's.
    """
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
    """A preference row as it is; a chat row with `rejected` beside it parted into prompt and chosen again."""
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


def _repeats_prompt(row: dict[str, Any]) -> bool:
    """Return whether a prompt that is a text opens both chats as well, as UltraFeedback has it."""
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
