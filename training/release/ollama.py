"""Ollama's Modelfile over a GGUF, whose template gives the tokens of training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chat.local.prompt import encode
from training.release.gguf import context_of
from training.release.goldens import read_goldens
from training.release.making import Making
from training.release.releases import ReleasedForm, folder_bytes
from workspace.errors import Refusal
from workspace.files import write_text


def make_ollama(making: Making, folder: Path) -> ReleasedForm:
    """A Modelfile over the GGUF. The pieces of its template give the tokens that training saw: on three conversations
    and on every golden prompt.

    Raises Refusal if the chat template cannot be translated, or gives other tokens.
    """
    tokenizer = making.tokenizer()
    pieces = _without_begin(take_apart(tokenizer), tokenizer)
    system = making.run.system_prompt if making.run.system_prompt is not None else pieces.default
    file = min((making.work / "gguf").glob("*.gguf"), key=lambda path: path.stat().st_size)  # all passed the limit
    context = context_of(making)
    text = modelfile(pieces, f"../gguf/{file.name}", system, context)
    goldens = read_goldens(making.work)
    said = [[{"role": str(turn["role"]), "content": str(turn["content"])} for turn in g.turns] for g in goldens.items]
    compare_tokens(pieces, system, tokenizer, [*TRIALS, *said])
    write_text(folder / "Modelfile", text)
    compared = len(TRIALS) + len(goldens.items)
    facts = {
        "template": f"same tokens as the tokenizer's own on {compared} conversations",
        "gguf": file.name,
        "context": context,
        "run": "not run here: no Ollama server",
    }
    return ReleasedForm(
        form="ollama", folder="ollama", bytes=folder_bytes(folder), against="template equal", facts=facts
    )


def _without_begin(pieces: TemplatePieces, tokenizer: Any) -> TemplatePieces:
    """Return the pieces without a begin token that llama.cpp adds itself: else it occurs twice."""
    begin = tokenizer.bos_token
    adds = begin and list(tokenizer.encode("x"))[:1] == [tokenizer.bos_token_id]
    return replace(pieces, start=pieces.start.removeprefix(begin)) if adds else pieces


def compare_tokens(
    pieces: TemplatePieces, system: str, tokenizer: Any, trials: Sequence[Sequence[dict[str, str]]]
) -> None:
    """Raise Refusal if the pieces that the Modelfile is made of give other tokens than the tokenizer's template."""
    for turns in trials:
        there = list(turns)
        if system and there[0]["role"] != "system":
            there.insert(0, {"role": "system", "content": system})
        theirs, ours = _render_turns(tokenizer, there, True), pieces.render(there)
        if encode(tokenizer, theirs) != list(tokenizer.encode(ours)):
            raise Refusal(
                f"ollama refused: its template gives other tokens than in training: {theirs[:120]!r} would become "
                f"{ours[:120]!r}.",
                "rung release --to vllm",
            )


def modelfile(pieces: TemplatePieces, gguf: str, system: str, context: int) -> str:
    """Return Ollama's Modelfile: greedy, with this context. Raises Refusal for three quotes, which it cannot hold."""
    roles = "".join(
        f'{{{{ {"else if" if number else "if"} eq .Role "{role}" }}}}{quoted(before)}{{{{ .Content }}}}{quoted(after)}'
        for number, (role, (before, after)) in enumerate(pieces.around.items())
    )
    body = f"{quoted(pieces.start)}{{{{ range .Messages }}}}{roles}{{{{ end }}}}{{{{ end }}}}"
    body += quoted(pieces.opens)
    if '"""' in body or '"""' in system:
        raise Refusal('A Modelfile cannot hold three quotes: """.', "rung release --to vllm")
    stop = pieces.around["assistant"][1].strip()
    lines = [f"FROM {gguf}", f'TEMPLATE """{body}"""', "PARAMETER temperature 0", f"PARAMETER num_ctx {context}"]
    lines += [f'PARAMETER stop "{stop}"'] if stop else []
    lines += [f'SYSTEM """{system}"""'] if system else []
    return "\n".join(lines) + "\n"


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
class TemplatePieces:
    """`around` gives for each role what comes before and after its text; `opens` follows the last user turn.

    `default` is the system text that the template puts in where there is none; `start` comes before everything.
    """

    start: str
    around: dict[str, tuple[str, str]]
    opens: str
    default: str

    def render(self, turns: Sequence[dict[str, str]]) -> str:
        """Return the text that a server sends to the model with these pieces."""
        whole = list(turns)
        if self.default and whole[0]["role"] != "system":
            whole.insert(0, {"role": "system", "content": self.default})
        said = "".join(f"{self.around[t['role']][0]}{t['content']}{self.around[t['role']][1]}" for t in whole)
        return f"{self.start}{said}{self.opens}"


def take_apart(tokenizer: Any) -> TemplatePieces:
    """Find the pieces by rendering marked turns; `compare_tokens` tries them."""
    turns = [{"role": role, "content": mark} for role, mark in MARKS.items()]
    closed = _render_turns(tokenizer, turns, False)
    twice = _render_turns(tokenizer, [*turns, turns[1]], False)
    opened = _render_turns(tokenizer, turns[:2], True)
    return _pieces(closed, twice, opened, _render_turns(tokenizer, turns[1:2], True))


def _pieces(closed: str, twice: str, opened: str, bare: str) -> TemplatePieces:
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
    return TemplatePieces(start, around, opens, default)


def _split_opening(before_answer: str, opens_whole: str, before_user: str) -> tuple[str, str]:
    """Return the end of a user turn and the start of an answer, which a rendering has as one text."""
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


def _render_turns(tokenizer: Any, turns: Sequence[dict[str, str]], opening: bool) -> str:
    return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=opening))


def quoted(text: str) -> str:
    """Return a text as a literal of the template, so that no white space or brace of it is ever trimmed or read."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""
