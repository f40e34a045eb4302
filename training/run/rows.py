"""Rows into tokens, with the answer's tokens, and no others, marked for training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.local.prompt import encode as encode_text
from chat.local.prompt import render, system_folded
from chat.protocols import Turn
from curation.example import Example

IGNORED = -100
"""The label of a token that is not trained."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row: token ids, and labels that are the id where it is trained and IGNORED elsewhere. `row` counts from 1."""

    row: int
    ids: list[int]
    labels: list[int]

    @property
    def trained(self) -> int:
        """How many tokens are trained."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True, slots=True)
class Encoded:
    """The rows that train, and the lines of those that cannot: longer than the limit, or without a trained token."""

    rows: Sequence[Tokens]
    too_long: list[int] = field(default_factory=list)
    masked: list[int] = field(default_factory=list)
    eos_trained: int = 0


def with_system(turns: Sequence[Turn], system_prompt: str | None) -> list[dict[str, Any]]:
    """The turns with their system message replaced; as they are where no system prompt is set."""
    if system_prompt is None:
        return [dict(turn) for turn in turns]
    others = [dict(turn) for turn in turns if turn.get("role") != "system"]
    return [{"role": "system", "content": system_prompt}, *others] if system_prompt else others


def tokenise(tokenizer: Any, row: int, example: Example, system_prompt: str | None) -> Tokens:
    """Render with the model's chat template, once open for the answer and once whole.

    As in trl, the answer begins where the two token lists part.
    """
    asked = with_system(example.asked, system_prompt)
    tools = example.row.get("tools")
    start = encode_text(tokenizer, render(tokenizer, asked, tools))
    whole = encode_text(tokenizer, _whole(tokenizer, [*asked, dict(example.messages[-1])], tools))
    shared = next(
        (i for i, (a, b) in enumerate(zip(start, whole, strict=False)) if a != b), min(len(start), len(whole))
    )
    return Tokens(row, whole, [IGNORED] * shared + whole[shared:])


@dataclass(slots=True)
class LeftOut:
    """What `training_rows` counts as it goes: the lines of rows that cannot train, and rows that train an end token."""

    too_long: list[int] = field(default_factory=list)
    masked: list[int] = field(default_factory=list)
    eos_trained: int = 0


def encode(tokenizer: Any, examples: Sequence[Example], system_prompt: str | None, max_length: int) -> Encoded:
    """All rows of a split that train."""
    left = LeftOut()
    rows = list(training_rows(tokenizer, examples, system_prompt, max_length, left))
    return Encoded(rows, left.too_long, left.masked, left.eos_trained)


def training_rows(
    tokenizer: Any, examples: Iterable[Example], system_prompt: str | None, max_length: int, left: LeftOut
) -> Iterator[Tokens]:
    """The rows one by one. One over `max_length` tokens is left out and listed: a cut answer teaches to stop early."""
    for number, example in enumerate(examples, 1):
        tokens = tokenise(tokenizer, number, example, system_prompt)
        if len(tokens.ids) > max_length:
            left.too_long.append(number)
        elif not tokens.trained:
            left.masked.append(number)
        else:
            left.eos_trained += tokenizer.eos_token_id in tokens.labels
            yield tokens


def _whole(tokenizer: Any, turns: list[dict[str, Any]], tools: Any) -> str:
    """The row's text with its answer, closed as the template closes it."""
    try:
        return str(tokenizer.apply_chat_template(turns, tools=tools, tokenize=False))
    except Exception:  # a template raises whatever its author chose; without a system role the text is folded in
        return str(tokenizer.apply_chat_template(system_folded(turns), tools=tools, tokenize=False))
