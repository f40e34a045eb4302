"""Greedy answers and scores of answers for a batch: prompts padded on the left, behind a prefix that is computed once;
and one prompt at a time by transformers' own `generate`, the yardstick and the way where no batch is right.

A closed set of answers is a tree of tokens: the model walks it and cannot leave it. What generation_config.json says of
sampling and penalties is left out for every arm.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from chat.local import prompt
from chat.local.load import Loaded
from chat.protocols import Ask

if TYPE_CHECKING:
    import torch


END = -1
"""Key of a node at which an answer is complete; its value is that answer's number."""

TrieNode = dict[int, Any]


def build_trie(sequences: Sequence[Sequence[int]]) -> TrieNode:
    """Return the tree of all sequences. Two answers of the same tokens count as the first."""
    root: TrieNode = {}
    for number, sequence in enumerate(sequences):
        node = root
        for token in sequence:
            node = node.setdefault(token, {})
        node.setdefault(END, number)
    return root


def forced(node: TrieNode) -> tuple[list[int], TrieNode]:
    """Return the tokens that follow without a choice, and the node behind them."""
    tokens: list[int] = []
    while len(node) == 1 and END not in node:
        ((token, node),) = node.items()
        tokens.append(token)
    return tokens, node


def is_settled(node: TrieNode) -> bool:
    """True if the answer is complete and nothing else is possible."""
    return len(node) == 1 and END in node


class Writer(Protocol):
    """Gives a job its next tokens from the logits `(vocabulary,)`, or ends it."""

    def write(self, job: Job, logits: torch.Tensor, ends: frozenset[int]) -> None:
        """Append to `job.written` and `job.fresh`, or set `job.stopped`."""


@dataclass
class Job:
    """One prompt on its way. `node` is its place in a closed set whose longest answer has `depth` tokens, `held` keeps
    another answer to a JSON shape; `fresh` is written and not yet read back.
    """

    tokens: list[int]
    max_tokens: int
    node: TrieNode | None = None
    temperature: float = 0.0
    seed: int = 0
    written: list[int] = field(default_factory=list)
    fresh: list[int] = field(default_factory=list)
    stopped: str = ""
    choice: int | None = None
    dice: Any = None
    held: Writer | None = None
    depth: int = 0
    thought: int = 0
    """Tokens at the end of `tokens` that the model thought before this answer."""

    @property
    def room(self) -> int:
        """Most tokens that the answer may take."""
        return self.max_tokens if self.node is None else self.depth


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
        """Return an empty cache of the kind that the model's layers need."""
        from transformers import DynamicCache

        return DynamicCache(config=self.config)

    def window(self) -> int | None:
        """Tokens of the shortest sliding window (or attention chunk) of any layer; None if all see everything."""
        try:
            sizes = [layer.sliding_window for layer in self.new_cache().layers if getattr(layer, "is_sliding", False)]
        except Exception:  # a config that fits no cache: the check finds out what that model can do
            return None
        return min(sizes, default=None)

    def prefix(self, tokens: Sequence[int]) -> Prefix:
        """Run the shared tokens once."""
        import torch

        cache = self.new_cache()
        ids = torch.tensor([list(tokens)], device=self.model.device)
        self(ids, torch.ones_like(ids), torch.arange(ids.shape[1], device=ids.device)[None], cache)
        return Prefix(tuple(tokens), cache)

    def behind(self, prefix: Prefix, rows: int) -> Any:
        """Return a cache of `rows` rows that begins with the prefix."""
        if prefix.cache is None:
            return self.new_cache()
        cache = copy.deepcopy(prefix.cache)
        _pick(cache, [0] * rows)
        return cache

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, places: torch.Tensor, cache: Any, keep: int = 1) -> Any:
        """Return logits `(rows, keep, vocabulary)` of the last `keep` positions; `cache` grows by the new tokens.

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
    """Return ids and mask `(rows, longest)`, aligned on the right."""
    import torch

    width = max(len(sequence) for sequence in sequences)
    ids = torch.tensor([[pad] * (width - len(s)) + list(s) for s in sequences], device=device)
    mask = torch.tensor([[0] * (width - len(s)) + [1] * len(s) for s in sequences], device=device)
    return ids, mask


def _pick(cache: Any, rows: Sequence[int]) -> None:
    """Make the cache hold these of its rows. Every kind of layer can reorder; states of linear layers cannot repeat."""
    import torch

    cache.reorder_cache(torch.tensor(rows))


def decode(
    forward: Forward, prefix: Prefix, jobs: Sequence[Job], ends: frozenset[int], *, steady: bool = False
) -> None:
    """Answer all jobs together; each holds its tokens and the reason of its end afterwards.

    Prompts that are the same are read once. Tokens that a closed set leaves no choice about are read back together
    with the next one that it does, so such an answer takes as many passes as it has forks. With `steady` each pass
    reads one token a row instead, and no padding comes between the tokens of a row.
    """
    import torch

    cache, mask, place, logits = _read_prompts(forward, prefix, jobs)
    alive = list(jobs)
    while True:
        write(alive, logits, ends)
        going = [row for row, job in enumerate(alive) if not job.stopped]
        if not going:
            return
        if len(going) <= 0.75 * len(alive):
            chosen = torch.tensor(going, device=mask.device)
            _pick(cache, going)
            mask, place = mask[chosen], place[chosen]
            alive = [alive[row] for row in going]
        ids, new = pad_left([_next_in(job, forward.pad, steady) for job in alive], forward.pad, mask.device)
        places = (place + new.cumsum(1)) * new
        mask = torch.cat([mask, new], dim=1)
        place = places[:, -1:]
        logits = forward(ids, mask, places, cache)[:, -1]


def _next_in(job: Job, pad: int, steady: bool) -> list[int]:
    """Take the tokens that the model reads next for a job; one that has ended reads padding along."""
    if job.stopped:
        return [pad]
    count = 1 if steady else len(job.fresh)
    taken, job.fresh = job.fresh[:count], job.fresh[count:]
    return taken


def _read_prompts(forward: Forward, prefix: Prefix, jobs: Sequence[Job]) -> tuple[Any, Any, Any, Any]:
    """Cache, mask `(rows, seen)`, last places `(rows, 1)` and next logits `(rows, vocabulary)`, a row for each job."""
    import torch

    device = forward.model.device
    head = len(prefix.tokens)
    row_of: dict[tuple[int, ...], int] = {}
    rows = [row_of.setdefault(tuple(job.tokens), len(row_of)) for job in jobs]
    ids, mask = pad_left([tokens[head:] for tokens in row_of], forward.pad, device)
    places = (mask.cumsum(1) - 1).clamp(min=0) + head
    mask = torch.cat([torch.ones((len(row_of), head), dtype=mask.dtype, device=device), mask], dim=1)
    cache = forward.behind(prefix, len(row_of))
    logits = forward(ids, mask, places, cache)[:, -1]
    place = places[:, -1:]
    if len(row_of) < len(jobs):
        chosen = torch.tensor(rows, device=device)
        _pick(cache, rows)
        mask, place, logits = mask[chosen], place[chosen], logits[chosen]
    return cache, mask, place, logits


def write(jobs: Sequence[Job], logits: torch.Tensor, ends: frozenset[int]) -> None:
    """Give each unfinished job whose tokens are read its next token, or tokens."""
    best = logits.argmax(-1).tolist()
    for row, job in enumerate(jobs):
        if job.stopped or job.fresh:
            continue
        if job.node is not None:
            _walk(job, logits[row], ends)
            continue
        if job.held is not None:
            job.held.write(job, logits[row], ends)
            continue
        token = sample(job, logits[row]) if job.temperature else best[row]
        if token in ends:
            job.stopped = "end"
            continue
        job.fresh = [token]
        job.written.append(token)
        if len(job.written) >= job.max_tokens:
            job.stopped = "length"


def _walk(job: Job, logits: torch.Tensor, ends: frozenset[int]) -> None:
    """Down the tree of allowed answers to the next fork: the likeliest allowed token, an end where one may end.

    A tree that begins without a fork is walked to its first one with the prompt's own logits left unused.
    """
    first, node = forced(job.node or {})
    if not first and not is_settled(node):
        allowed = [token for token in node if token != END]
        allowed += sorted(ends) if END in node else []
        token = allowed[int(logits[allowed].argmax())]
        if token not in node:
            job.choice, job.stopped = node[END], "choice"
            return
        rest, node = forced(node[token])
        first = [token, *rest]
    job.node, job.fresh = node, first
    job.written += first
    if is_settled(node):
        job.choice, job.stopped = node[END], "choice"


def sample(job: Job, logits: torch.Tensor) -> int:
    """Return a token drawn at the job's temperature from its own seeded dice, whatever else is in the batch."""
    import torch

    if job.dice is None:
        job.dice = torch.Generator().manual_seed(job.seed)
    odds = (logits.float().cpu() / job.temperature).softmax(-1)
    return int(torch.multinomial(odds, 1, generator=job.dice))


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
    given: list[int] = []

    def choose(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not given:
            write([job], scores, loaded.ends)
            given.extend([min(loaded.ends)] if job.stopped else job.fresh)
            job.fresh = []
        only = scores.new_full(scores.shape, float("-inf"))
        only[:, given.pop(0)] = 0.0
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
