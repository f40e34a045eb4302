"""A chat template taken apart into what stands around each role's text, for servers with a language of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workspace.errors import Refusal

MARKS = {"system": "\u2038S\u2038", "user": "\u2038U\u2038", "assistant": "\u2038A\u2038"}
TRIALS = (
    [{"role": "user", "content": "Type 2 DM?"}],
    [{"role": "system", "content": "House line."}, {"role": "user", "content": "PDR bilat in T1DM"}],
    [
        {"role": "system", "content": "Answer shortly."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three\nlines\n\nhere"},
    ],
)


@dataclass(frozen=True, slots=True)
class Pieces:
    """`around` gives for each role what comes before and after its text; `opens` follows the last user turn.

    `default` is the system text that the template puts in where there is none; `start` stands before everything.
    """

    start: str
    around: dict[str, tuple[str, str]]
    opens: str
    default: str

    def render(self, turns: Sequence[dict[str, str]]) -> str:
        """What a server that follows these pieces sends to the model."""
        whole = list(turns)
        if self.default and whole[0]["role"] != "system":
            whole.insert(0, {"role": "system", "content": self.default})
        said = "".join(f"{self.around[t['role']][0]}{t['content']}{self.around[t['role']][1]}" for t in whole)
        return f"{self.start}{said}{self.opens}"


def take_apart(tokenizer: Any) -> Pieces:
    """Find the pieces by rendering marked turns, and try them on conversations.

    Raises Refusal where the template does more than put fixed text around each role's.
    """
    turns = [{"role": role, "content": mark} for role, mark in MARKS.items()]
    closed = _render(tokenizer, turns, False)
    twice = _render(tokenizer, [*turns, turns[1]], False)
    opened = _render(tokenizer, turns[:2], True)
    pieces = _pieces(closed, twice, opened, _render(tokenizer, turns[1:2], True))
    for trial in TRIALS:
        theirs, ours = _render(tokenizer, trial, True), pieces.render(trial)
        if _ids(tokenizer, theirs) != _ids(tokenizer, ours):
            raise Refusal(
                f"The chat template cannot be translated: {theirs[:120]!r} would become {ours[:120]!r}.",
                "rung release --to vllm",
            )
    return pieces


def _pieces(closed: str, twice: str, opened: str, bare: str) -> Pieces:
    system, user, answer = MARKS.values()
    head, rest = closed.split(system, 1)
    _, tail = rest.split(user, 1)
    after_answer = tail.split(answer, 1)[1]
    before_user_again = twice[len(closed) :].split(user, 1)[0] if twice.startswith(closed) else ""
    between = rest.split(user, 1)[0]
    after_system = between[: len(between) - len(before_user_again)] if before_user_again else between
    opens_whole = opened.split(user, 1)[1]
    before_answer = tail.split(answer, 1)[0]
    after_user, opens = _split_opening(before_answer, opens_whole, before_user_again)
    start, before_system = _start(head, before_user_again)
    default = _default(bare, start + before_system, after_system, before_user_again + user)
    around = {"system": (before_system, after_system), "user": (before_user_again, after_user)}
    around["assistant"] = (before_answer[len(after_user) :], after_answer)
    return Pieces(start, around, opens, default)


def _split_opening(before_answer: str, opens_whole: str, before_user: str) -> tuple[str, str]:
    """What closes a user turn, and what opens the answer: they are one text in a rendering."""
    word = before_user.strip().split("user")[0] or opens_whole[:1]
    place = opens_whole.find(word, 1) if word else -1
    place = place if place > 0 else len(opens_whole)
    return opens_whole[:place], opens_whole[place:]


def _start(head: str, before_user: str) -> tuple[str, str]:
    word = before_user.split("user")[0]
    place = head.find(word) if word else 0
    return (head[:place], head[place:]) if place > 0 else ("", head)


def _default(bare: str, before: str, after: str, user: str) -> str:
    if not bare.startswith(before) or user not in bare:
        return ""
    return bare[len(before) : bare.index(user) - len(after)]


def _render(tokenizer: Any, turns: Sequence[dict[str, str]], opening: bool) -> str:
    return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=opening))


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))
