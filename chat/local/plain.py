"""One prompt at a time by transformers' own `generate`: the yardstick, and the way where no batch is right.

Decoding is greedy and plain: what generation_config.json says of sampling and penalties is left out for every arm.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chat.local import prompt
from chat.local.decode import Job, write
from chat.local.load import Loaded
from chat.protocols import Ask

if TYPE_CHECKING:
    import torch


def plain_generate(loaded: Loaded, ask: Ask) -> list[int]:
    """Return the new token ids, end token included where the model was done."""
    tokens = prompt.encode_ask(loaded.tokenizer, ask)
    new: list[int] = generated(loaded, tokens, ask.max_tokens)[0, len(tokens) :].tolist()
    return new


def generated(loaded: Loaded, tokens: Sequence[int], most: int, **options: Any) -> Any:
    """Return the output of `generate` for one prompt and at most `most` new tokens."""
    import torch

    ids = torch.tensor([list(tokens)], device=loaded.model.device)
    with torch.inference_mode(), _greedy(loaded):
        return loaded.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False, **options
        )


def answer_alone(loaded: Loaded, job: Job) -> None:
    """Answer one job with `generate`, held to its closed set or shape as in a batch."""
    forced: list[int] = []

    def choose(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not forced:
            write([job], scores, loaded.ends)
            forced.extend([min(loaded.ends)] if job.stopped else job.fresh)
            job.fresh = []
        only = scores.new_full(scores.shape, float("-inf"))
        only[:, forced.pop(0)] = 0.0
        return only

    generated(loaded, job.tokens, job.room + 1, logits_processor=[choose])


@contextlib.contextmanager
def _greedy(loaded: Loaded) -> Iterator[None]:
    from transformers import GenerationConfig

    model = loaded.model
    kept, ends = model.generation_config, sorted(loaded.ends)
    pad = loaded.tokenizer.pad_token_id
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=ends[0] if pad is None else pad)
    try:
        yield
    finally:
        model.generation_config = kept
