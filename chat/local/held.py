"""Decoding that is held to a JSON shape: the likeliest token with which the answer can still become such a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chat.local.shape import Shape, State, state

if TYPE_CHECKING:
    import torch

    from chat.local.decode import Job

AT_FIRST = 64
"""Likeliest tokens that are looked at before all the others."""


@dataclass(frozen=True)
class Held:
    """A shape, and the tokenizer that turns tokens into text."""

    shape: Shape
    tokenizer: Any

    def write(self, job: Job, logits: torch.Tensor, ends: frozenset[int]) -> None:
        """Give the job its next token; it ends with the document, or at its limit."""
        now = self._state(job.written) if job.written else "open"
        for token in _likeliest(logits):
            if token in ends:
                if now == "done":
                    job.stopped = "end"
                    return
                continue
            if token in self.tokenizer.all_special_ids:
                continue
            then = self._state([*job.written, token])
            if then == "no":
                continue
            job.fresh = [token]
            job.written.append(token)
            if then == "done" and not self._text(job.written).rstrip()[-1].isdigit():
                job.stopped = "end"
            elif len(job.written) >= job.max_tokens:
                job.stopped = "end" if then == "done" else "length"
            return
        job.stopped = "length"

    def _state(self, tokens: list[int]) -> State:
        return state(self._text(tokens), self.shape)

    def _text(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


def _likeliest(logits: torch.Tensor) -> Iterator[int]:
    """Tokens, the likeliest first; the whole vocabulary is sorted only where the first ones do not do."""
    first = logits.topk(min(AT_FIRST, logits.shape[-1])).indices.tolist()
    yield from first
    yield from (token for token in logits.argsort(descending=True).tolist()[len(first) :])
