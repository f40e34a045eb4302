"""Greedy answers for a batch: prompts padded on the left, behind a prefix that is computed once."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chat.local import trie

if TYPE_CHECKING:
    import torch


@dataclass
class Job:
    """One prompt on its way. `node` is where a closed answer stands; `queue` tokens that follow without a choice."""

    tokens: list[int]
    max_tokens: int
    node: trie.Node | None = None
    temperature: float = 0.0
    seed: int = 0
    written: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    stopped: str = ""
    choice: int | None = None
    dice: Any = None


@dataclass(frozen=True)
class Prefix:
    """Leading tokens that every prompt of a batch shares, and the keys and values that the model made of them."""

    tokens: tuple[int, ...] = ()
    cache: Any = None


class Forward:
    """Calls of the model: one pass over new tokens behind a cache, logits of the last positions."""

    def __init__(self, model: Any, pad: int) -> None:
        self.model = model
        self.pad = pad
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        inner = getattr(base, base.base_model_prefix, base)
        self.cache_name = "cache" if "cache" in inspect.signature(inner.forward).parameters else "past_key_values"
        self.config = base.config.get_text_config()

    def new_cache(self) -> Any:
        """An empty cache of the kind that the model's layers need."""
        from transformers import DynamicCache

        return DynamicCache(config=self.config)

    def prefix(self, tokens: Sequence[int]) -> Prefix:
        """Run the shared tokens once."""
        import torch

        cache = self.new_cache()
        ids = torch.tensor([list(tokens)], device=self.model.device)
        self(ids, torch.ones_like(ids), torch.arange(ids.shape[1], device=ids.device)[None], cache)
        return Prefix(tuple(tokens), cache)

    def behind(self, prefix: Prefix, rows: int) -> Any:
        """A cache of `rows` rows that begins with the prefix."""
        if prefix.cache is None:
            return self.new_cache()
        cache = copy.deepcopy(prefix.cache)
        cache.batch_repeat_interleave(rows)
        return cache

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, places: torch.Tensor, cache: Any, keep: int = 1) -> Any:
        """Logits `(rows, keep, vocabulary)` of the last `keep` positions; `cache` grows by the new tokens.

        `ids` and `places` are `(rows, new)`, `mask` is `(rows, cached + new)` with 0 at padding.
        """
        import torch

        with torch.inference_mode():
            out = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=places,
                use_cache=True,
                logits_to_keep=keep,
                **{self.cache_name: cache},
            )
        return out.logits


def pad_left(sequences: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask `(rows, longest)`, aligned on the right."""
    import torch

    width = max(len(sequence) for sequence in sequences)
    ids = torch.tensor([[pad] * (width - len(s)) + list(s) for s in sequences], device=device)
    mask = torch.tensor([[0] * (width - len(s)) + [1] * len(s) for s in sequences], device=device)
    return ids, mask


def decode(forward: Forward, prefix: Prefix, jobs: Sequence[Job], ends: frozenset[int]) -> None:
    """Answer all jobs together; each holds its tokens and the reason of its end afterwards."""
    import torch

    device = forward.model.device
    head = len(prefix.tokens)
    ids, mask = pad_left([job.tokens[head:] for job in jobs], forward.pad, device)
    places = (mask.cumsum(1) - 1).clamp(min=0) + head
    mask = torch.cat([torch.ones((len(jobs), head), dtype=mask.dtype, device=device), mask], dim=1)
    cache = forward.behind(prefix, len(jobs))
    alive = list(jobs)
    place = places[:, -1:]
    logits = forward(ids, mask, places, cache)[:, -1]
    while True:
        _write(alive, logits, ends)
        going = [row for row, job in enumerate(alive) if not job.stopped]
        if not going:
            return
        if len(going) <= 0.75 * len(alive):
            chosen = torch.tensor(going, device=device)
            cache.batch_select_indices(chosen)
            mask, place = mask[chosen], place[chosen]
            alive = [alive[row] for row in going]
        ids = torch.tensor([[job.written[-1]] for job in alive], device=device)
        mask = torch.cat([mask, mask.new_ones((len(alive), 1))], dim=1)
        place = place + 1
        logits = forward(ids, mask, place, cache)[:, -1]


def _write(jobs: Sequence[Job], logits: torch.Tensor, ends: frozenset[int]) -> None:
    """Give each unfinished job its next token."""
    best = logits.argmax(-1).tolist()
    for row, job in enumerate(jobs):
        if job.stopped:
            continue
        if job.node is not None:
            _walk(job, logits[row], ends)
            continue
        token = _sample(job, logits[row]) if job.temperature else best[row]
        if token in ends:
            job.stopped = "end"
            continue
        job.written.append(token)
        if len(job.written) >= job.max_tokens:
            job.stopped = "length"


def _walk(job: Job, logits: torch.Tensor, ends: frozenset[int]) -> None:
    """One step down the tree of allowed answers: the likeliest allowed token, an end token where one may end."""
    if not job.queue:
        job.queue, job.node = trie.forced(job.node or {})
    if not job.queue and not trie.is_settled(job.node or {}):
        node = job.node or {}
        allowed = [token for token in node if token != trie.END]
        allowed += sorted(ends) if trie.END in node else []
        token = allowed[int(logits[allowed].argmax())]
        if token in ends and token not in node:
            job.choice, job.stopped = node[trie.END], "choice"
            return
        rest, job.node = trie.forced(node[token])
        job.queue = [token, *rest]
    if trie.is_settled(job.node or {}):
        job.written += job.queue
        job.choice, job.stopped = (job.node or {})[trie.END], "choice"
        return
    job.written.append(job.queue.pop(0))


def _sample(job: Job, logits: torch.Tensor) -> int:
    """A token drawn at the job's temperature from its own seeded dice, whatever else is in the batch."""
    import torch

    if job.dice is None:
        job.dice = torch.Generator().manual_seed(job.seed)
    odds = (logits.float().cpu() / job.temperature).softmax(-1)
    return int(torch.multinomial(odds, 1, generator=job.dice))
