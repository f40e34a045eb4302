"""`golden.json`: prompts with what the run answers to them, so that any server can be compared with it later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from chat.protocols import Turn
from curation.example import Example
from training.release.parity import NEW_TOKENS, PROMPTS, Golden
from training.run.rows import with_system
from workspace.artefact import Artefact, read_artefact, write_artefact
from workspace.errors import Refusal

GOLDEN = "golden.json"


class GoldenPrompt(BaseModel):
    """The turns as the run is asked, their tokens, and its greedy answer: tokens (the end token too) and text."""

    model_config = ConfigDict(frozen=True, extra="forbid")
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
    """The golden prompts of a release. Raises Refusal where it holds none."""
    if not (folder / GOLDEN).is_file():
        raise Refusal(
            f"{folder.name} holds no golden prompts: they are kept with the form merged.",
            "rung release RUN --to merged",
        )
    return read_artefact(folder / GOLDEN, Goldens)


def add_answers(path: Path, answers: dict[str, list[str]]) -> None:
    """Put in what changed forms answered."""
    goldens = read_artefact(path, Goldens)
    write_artefact(path, goldens.model_copy(update={"forms": {**goldens.forms, **answers}}))


def turns_of(item: GoldenPrompt) -> list[Turn]:
    """The turns, as chat's protocols call them."""
    return list(item.turns)
