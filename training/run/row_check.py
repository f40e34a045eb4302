"""Checks of what will be trained, before anything is spent: the tokens of five rows, and rows that cannot train."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.plan.recipe import Recipe
from training.run.tokens import IGNORED, EncodedRows, Tokens
from training.runs import PREFLIGHT
from workspace.errors import Refusal
from workspace.files import write_text

SHOWN = 5


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One row as the model sees it: its text in pieces, each with whether it is trained."""

    row: int
    pieces: list[tuple[str, bool]]
    tokens: int
    trained: int


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """`rows` train; `too_long` and `masked` list the lines that do not. `eos_trained` counts rows with an end token."""

    rows: int
    tokens: int
    trained: int
    longest: int
    eos_trained: int
    too_long: list[int] = field(default_factory=list)
    masked: list[int] = field(default_factory=list)
    shown: list[ShownRow] = field(default_factory=list)


def check(tokenizer: Any, encoded: EncodedRows, recipe: Recipe) -> TokenCheck:
    """Count and render. Raises Refusal if no row can train, or none teaches the model to end its answer."""
    rows = encoded.rows
    if not rows:
        raise Refusal(
            f"No row can train: {len(encoded.too_long)} over {recipe.max_length} tokens, "
            f"{len(encoded.masked)} without a trained token.",
            "rung plan",
        )
    if not encoded.eos_trained:
        raise Refusal(
            "No row trains the end token: the chat template closes no answer, so the model would never stop.",
            "Name a base model whose template ends an answer: [model] base",
        )
    return TokenCheck(
        rows=len(rows),
        tokens=sum(len(row.ids) for row in rows),
        trained=sum(row.trained for row in rows),
        longest=max(len(row.ids) for row in rows),
        eos_trained=encoded.eos_trained,
        too_long=encoded.too_long,
        masked=encoded.masked,
        shown=[show(tokenizer, row) for row in rows[:SHOWN]],
    )


def show(tokenizer: Any, tokens: Tokens) -> ShownRow:
    """Return neighbouring tokens of one kind together, decoded with their special tokens."""
    runs: list[tuple[list[int], bool]] = []
    for token, label in zip(tokens.ids, tokens.labels, strict=True):
        is_trained = label != IGNORED
        if not runs or runs[-1][1] != is_trained:
            runs.append(([], is_trained))
        runs[-1][0].append(token)
    pieces = [(str(tokenizer.decode(ids)), is_trained) for ids, is_trained in runs]
    return ShownRow(tokens.row, pieces, len(tokens.ids), tokens.trained)


def write_preflight(folder: Path, preflight: TokenCheck) -> None:
    """Keep it beside the run."""
    write_text(folder / PREFLIGHT, json.dumps(asdict(preflight), ensure_ascii=False, indent=1) + "\n")
