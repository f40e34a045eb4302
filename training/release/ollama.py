"""Ollama's Modelfile over a GGUF, whose template gives the tokens of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.release import gotemplate
from training.release.context import context_of
from training.release.goldens import GoldenPrompt, read_goldens
from training.release.making import Making
from training.release.record import Form, folder_bytes
from training.release.template import TRIALS, Pieces, take_apart
from workspace.errors import Refusal
from workspace.files import write_text


def make_ollama(making: Making, folder: Path) -> Form:
    """A Modelfile over the GGUF. Its template, read as Ollama reads it, gives the tokens that training saw: on three
    conversations and on every golden prompt.

    Raises Refusal where the chat template cannot be translated, or gives other tokens.
    """
    tokenizer = making.tokenizer()
    pieces = _without_begin(take_apart(tokenizer), tokenizer)
    system = making.run.system_prompt if making.run.system_prompt is not None else pieces.default
    file = _smallest_loss(making.work / "gguf")
    context = context_of(making)
    text = modelfile(pieces, f"../gguf/{file.name}", system, context)
    goldens = read_goldens(making.work)
    compare_tokens(text, tokenizer, [*TRIALS, *(_said(item) for item in goldens.items)])
    write_text(folder / "Modelfile", text)
    compared = len(TRIALS) + len(goldens.items)
    facts = {
        "template": f"same tokens as the tokenizer's own on {compared} conversations",
        "gguf": file.name,
        "context": context,
        "run": "not run here: no Ollama server",
    }
    return Form(form="ollama", folder="ollama", bytes=folder_bytes(folder), against="template equal", facts=facts)


def _without_begin(pieces: Pieces, tokenizer: Any) -> Pieces:
    """The pieces without a begin token that the tokenizer, and so llama.cpp, puts in itself: else it stands twice."""
    begin = tokenizer.bos_token
    adds = begin and list(tokenizer.encode("x"))[:1] == [tokenizer.bos_token_id]
    return replace(pieces, start=pieces.start.removeprefix(begin)) if adds else pieces


def _smallest_loss(folder: Path) -> Path:
    """The file to serve: the smallest, for all of them passed the limit."""
    files = sorted(folder.glob("*.gguf"), key=lambda path: path.stat().st_size)
    if not files:
        raise Refusal(f"{folder} holds no GGUF.", "rung release --to gguf")
    return files[0]


def _said(item: GoldenPrompt) -> list[dict[str, str]]:
    return [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in item.turns]


def compare_tokens(text: str, tokenizer: Any, trials: Sequence[Sequence[dict[str, str]]]) -> None:
    """Raise Refusal where the Modelfile's template gives other tokens than the tokenizer's own."""
    template = text.split('TEMPLATE """', 1)[1].split('"""', 1)[0]
    system = text.split('SYSTEM """', 1)[1].split('"""', 1)[0] if 'SYSTEM """' in text else ""
    for turns in trials:
        there = list(turns)
        if system and there[0]["role"] != "system":
            there.insert(0, {"role": "system", "content": system})
        theirs = str(tokenizer.apply_chat_template(there, tokenize=False, add_generation_prompt=True))
        ours = gotemplate.render(template, there)
        if _ids(tokenizer, theirs) != list(tokenizer.encode(ours)):
            raise Refusal(
                f"ollama refused: its template gives other tokens than in training: {theirs[:120]!r} would become "
                f"{ours[:120]!r}.",
                "rung release --to vllm",
            )


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def modelfile(pieces: Pieces, gguf: str, system: str, context: int) -> str:
    """Ollama's Modelfile: greedy, as it was measured, with room for so many tokens.

    Raises Refusal where a text holds three quotes, which a Modelfile cannot.
    """
    roles = "".join(
        f'{{{{ {"else if" if number else "if"} eq .Role "{role}" }}}}'
        f"{gotemplate.quoted(before)}{{{{ .Content }}}}{gotemplate.quoted(after)}"
        for number, (role, (before, after)) in enumerate(pieces.around.items())
    )
    body = f"{gotemplate.quoted(pieces.start)}{{{{ range .Messages }}}}{roles}{{{{ end }}}}{{{{ end }}}}"
    body += gotemplate.quoted(pieces.opens)
    if '"""' in body or '"""' in system:
        raise Refusal('A Modelfile cannot hold three quotes: """.', "rung release --to vllm")
    stop = pieces.around["assistant"][1].strip()
    lines = [f"FROM {gguf}", f'TEMPLATE """{body}"""', "PARAMETER temperature 0", f"PARAMETER num_ctx {context}"]
    lines += [f'PARAMETER stop "{stop}"'] if stop else []
    lines += [f'SYSTEM """{system}"""'] if system else []
    return "\n".join(lines) + "\n"
