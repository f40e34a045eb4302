"""`v` on a released form: the golden prompts on which it answers other tokens than the run, the first of them named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rung.tui.text import shown

if TYPE_CHECKING:
    from training.release.check import Tokens

BEFORE, AFTER = 2, 4
"""Tokens shown before the first that differs, and from it on."""


def token_lines(folder: Path, form: str) -> Iterator[str]:
    """Each answered form whose name begins with `form` ("gguf" has one a type), compared with the run."""
    from training.release.goldens import GOLDEN, read_goldens

    if not (folder / GOLDEN).is_file():
        return
    goldens = read_goldens(folder)
    for name, answers in goldens.forms.items():
        if name.split()[0] == form:
            apart = [n for n, item in enumerate(goldens.items) if answers[n] != item.text]
            yield f"{name}: {len(answers) - len(apart)} of {len(answers)} golden prompts answered as the run does"
            for number in apart:
                item = goldens.items[number]
                yield ""
                yield f"prompt {number + 1}   {shown(_question(item.turns), limit=200)}"
                yield from _compared(folder / goldens.tokenizer, item.text, answers[number])
            yield ""


def _question(turns: list[dict[str, object]]) -> str:
    return " ".join(str(turns[-1].get("content", "")).split()) if turns else ""


def _compared(tokenizer: Path, run: str, form: str) -> Iterator[str]:
    """The first token that differs, with what stands around it, then both answers."""
    from training.release.check import Tokens
    from workspace.errors import RungError

    try:
        tokens = Tokens(tokenizer)
    except RungError as error:
        yield f"  tokens unknown ({error.message})"
    else:
        ours, theirs = tokens.ids(run), tokens.ids(form)
        at = next(
            (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        around = slice(max(at - BEFORE, 0), at + AFTER)
        yield f"  token {at}: run {_joined(tokens, ours[around])}, form {_joined(tokens, theirs[around])}"
    yield f"  run   {shown(run)}"
    yield f"  form  {shown(form)}"


def _joined(tokens: Tokens, ids: list[int]) -> str:
    return " ".join(f"[{shown(text)}]" for text in tokens.texts(ids)) or "the end"
