"""Is one form of a model the other? Greedy texts on golden prompts, top-1 agreement, largest logit difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curation.example import Example
from training.run.rows import tokenise, with_system
from workspace.errors import Refusal

PROMPTS = 16
NEW_TOKENS = 48
POSITIONS = 16
"""Logits are compared at the last so many positions of each golden row, answer included."""


@dataclass(frozen=True, slots=True)
class Golden:
    """What a model does on the golden prompts: greedy texts with their token ids (the end token too), per prompt its
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
    largest: float

    @property
    def words(self) -> str:
        """`16 of 16 equal, top-1 1.000, logits within 8e-05`."""
        return f"{self.equal} of {self.prompts} equal, top-1 {self.top1:.3f}, logits within {self.largest:.0e}"

    def as_facts(self) -> dict[str, float]:
        """For release.json."""
        return {
            "prompts": self.prompts,
            "equal": self.equal,
            "top1": self.top1,
            "largest_logit_difference": self.largest,
        }


def golden(model: Any, tokenizer: Any, rows: Sequence[Example], system_prompt: str | None) -> Golden:
    """Run the model on up to PROMPTS rows."""
    import torch

    from chat.local.prompt import encode, render

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
    """How far two models agree."""
    equal = sum(a == b for a, b in zip(one.texts, other.texts, strict=True))
    same = total = 0
    largest = 0.0
    for a, b in zip(one.logits, other.logits, strict=True):
        same += int((a.argmax(-1) == b.argmax(-1)).sum())
        total += a.size(0)
        largest = max(largest, float((a - b).abs().max()))
    return Parity(len(one.texts), equal, same / max(1, total), largest)


def demand(parity: Parity, what: str, *, top1: float = 0.999) -> None:
    """Raise Refusal where a form that must be equal is not."""
    if parity.equal < parity.prompts or parity.top1 < top1:
        raise Refusal(f"{what} is refused: {parity.words}. It must be equal to the run.", "rung release --to adapter")
