"""Log-likelihoods of given answers, batched behind a shared prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chat.local.decode import Forward, Prefix, pad_left


@dataclass
class ScoredPair:
    """A prompt's tokens and an answer's, end token included; `score` is filled in."""

    prompt: list[int]
    answer: list[int]
    score: float = 0.0


def score(forward: Forward, prefix: Prefix, pairs: Sequence[ScoredPair]) -> None:
    """Sum of natural log-probabilities of each answer's tokens, written into the pairs."""
    import torch

    head = len(prefix.tokens)
    device = forward.model.device
    rows = [(pair.prompt + pair.answer)[head:-1] for pair in pairs]
    ids, mask = pad_left(rows, forward.pad, device)
    places = (mask.cumsum(1) - 1).clamp(min=0) + head
    mask = torch.cat([torch.ones((len(pairs), head), dtype=mask.dtype, device=device), mask], dim=1)
    keep = max(len(pair.answer) for pair in pairs)
    logits = forward(ids, mask, places, forward.behind(prefix, len(pairs)), keep)
    for row, pair in enumerate(pairs):
        wanted = torch.tensor(pair.answer, device=device)
        own = logits[row, -len(pair.answer) :].float().log_softmax(-1)
        pair.score = float(own.gather(1, wanted[:, None]).sum())


def score_alone(model: Any, pair: ScoredPair) -> None:
    """As `score` for one pair without cache or batch, for models that no batch is right for."""
    import torch

    ids = torch.tensor([pair.prompt + pair.answer], device=model.device)
    with torch.inference_mode():
        keep = len(pair.answer) + 1
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), logits_to_keep=keep).logits[0]
    own = logits[-len(pair.answer) - 1 : -1].float().log_softmax(-1)
    pair.score = float(own.gather(1, ids[0, -len(pair.answer) :, None]).sum())
