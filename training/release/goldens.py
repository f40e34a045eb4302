"""Golden prompts: whether one form of a model answers as another, and `golden.json`, to compare any server with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.local.prompt import encode, render
from curation.example import Example
from training.run.tokens import tokenise, with_system
from workspace.artefact import Artefact, ArtefactPart, read_artefact, revised, write_artefact
from workspace.errors import Refusal

GOLDEN = "golden.json"


class GoldenPrompt(ArtefactPart):
    """The turns as the run is asked, their tokens, and its greedy answer: tokens (the end token too) and text."""

    turns: list[dict[str, object]]
    prompt: str
    prompt_ids: list[int]
    ids: list[int]
    text: str


class Goldens(Artefact):
    """Up to 16 validation rows with the run's own answers, of at most `max_tokens` tokens; `tokenizer` is the folder
    of the release that holds one; `forms` the answers of changed forms, by name, where they were scored.
    """

    max_tokens: int
    tokenizer: str
    starts: int | None
    ends: list[int]
    items: list[GoldenPrompt]
    forms: dict[str, list[str]] = {}


def write_goldens(
    path: Path, golden: Golden, rows: Sequence[Example], system_prompt: str | None, marks: tuple[int | None, list[int]]
) -> None:
    """Write golden.json. `marks`: the tokenizer's begin token, and the tokens that end an answer."""
    items = [
        GoldenPrompt(
            turns=[dict(turn) for turn in with_system(row.asked, system_prompt)],
            prompt=prompt,
            prompt_ids=asked,
            ids=answer,
            text=text,
        )
        for row, prompt, asked, answer, text in zip(
            rows[:PROMPTS], golden.prompts, golden.prompt_ids, golden.ids, golden.texts, strict=True
        )
    ]
    starts, ends = marks
    write_artefact(path, Goldens(max_tokens=NEW_TOKENS, tokenizer="merged", starts=starts, ends=ends, items=items))


def read_goldens(folder: Path) -> Goldens:
    """Return the golden prompts of a release. Raises Refusal if it holds none."""
    if not (folder / GOLDEN).is_file():
        raise Refusal(
            f"{folder.name} holds no golden prompts: they are kept with the form merged.",
            "rung release RUN --to merged",
        )
    return read_artefact(folder / GOLDEN, Goldens)


def add_answers(path: Path, answers: dict[str, list[str]]) -> None:
    """Put in what changed forms answered."""
    goldens = read_artefact(path, Goldens)
    write_artefact(path, revised(goldens, forms={**goldens.forms, **answers}))


PROMPTS = 16
NEW_TOKENS = 48
POSITIONS = 16
"""Logits are compared at the last so many positions of each golden row, answer included."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Output of a model on the golden prompts: greedy texts with their token ids (the end token too), per prompt its
    logits (positions x vocabulary), and what was asked, as text and ids.
    """

    texts: list[str]
    logits: list[Any]
    prompts: list[str]
    prompt_ids: list[list[int]]
    ids: list[list[int]]


@dataclass(frozen=True, slots=True)
class Parity:
    """`equal` of `prompts` greedy texts are the same; `top1` is the share of positions with the same best token."""

    prompts: int
    equal: int
    top1: float
    largest_logit_difference: float

    @property
    def words(self) -> str:
        """`16 of 16 equal, top-1 1.000, logits within 8e-05`."""
        equal = f"{self.equal} of {self.prompts} equal, top-1 {self.top1:.3f}"
        return f"{equal}, logits within {self.largest_logit_difference:.0e}"


def golden(model: Any, tokenizer: Any, rows: Sequence[Example], system_prompt: str | None) -> Golden:
    """Run the model on up to PROMPTS rows."""
    import torch

    model.eval()
    found = Golden([], [], [], [], [])
    with torch.no_grad():
        for row in rows[:PROMPTS]:
            prompt = render(tokenizer, with_system(row.asked, system_prompt), row.row.get("tools"))
            asked = encode(tokenizer, prompt)
            answer = _greedy(model, tokenizer, asked)
            found.prompts.append(prompt)
            found.prompt_ids.append(asked)
            found.ids.append(answer)
            found.texts.append(str(tokenizer.decode(answer, skip_special_tokens=True)))
            ids = torch.tensor([tokenise(tokenizer, 1, row, system_prompt).ids], device=model.device)
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=POSITIONS).logits[0]
            found.logits.append(logits.float().cpu())
    return found


def _greedy(model: Any, tokenizer: Any, ids: list[int]) -> list[int]:
    import torch

    given = torch.tensor([ids], device=model.device)
    found = model.generate(
        input_ids=given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    return [int(token) for token in found[0][len(ids) :]]


def compare(one: Golden, other: Golden) -> Parity:
    """Return the agreement of two models."""
    equal = sum(a == b for a, b in zip(one.texts, other.texts, strict=True))
    same = total = 0
    largest = 0.0
    for a, b in zip(one.logits, other.logits, strict=True):
        same += int((a.argmax(-1) == b.argmax(-1)).sum())
        total += a.size(0)
        largest = max(largest, float((a - b).abs().max()))
    return Parity(len(one.texts), equal, same / max(1, total), largest)


SAME = 0.999
"""Share of positions with the same best token, from which on two forms are equal."""


def demand_equal(parity: Parity, what: str) -> None:
    """Raise Refusal if a form that must be equal is not."""
    if parity.equal < parity.prompts or parity.top1 < SAME:
        raise Refusal(f"{what} is refused: {parity.words}. It must be equal to the run.", "rung release --to adapter")
