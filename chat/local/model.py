"""The local engine: ChatModel, Scorer and Tokenizer over one loaded model."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby

from chat.local import prompt, trie
from chat.local.decode import Forward, Job, Prefix, decode
from chat.local.held import Held
from chat.local.load import Loaded
from chat.local.plain import plain_answers
from chat.local.score import Pair, score, score_alone
from chat.protocols import Ask, Progress, Reply, Turn
from workspace.errors import RungError

PREFIX_WORTH = 16
"""Fewer shared tokens than this are computed again rather than kept."""
CACHE_BYTES = 2 << 30
"""Most keys and values that one batch may hold."""
LOGIT_BYTES = 256 << 20


class LocalModel:
    """Greedy, batched answers of a model on this machine.

    Prompts are padded on the left; the tokens that all of them begin with are computed once and kept for the next
    call. Outputs equal one-at-a-time `generate`. `Ask.meta` may hold `tools`, `temperature` with `seed`, and `shape`, a
    JSON Schema that the answer is held to. Calls
    from several threads wait for one another. A prompt that does not fit the model's window is not cut: its reply is
    empty and `stopped` says `too_long`.
    """

    def __init__(self, loaded: Loaded, *, batch: int = 24) -> None:
        self.loaded = loaded
        self.batch = batch
        self._lock = threading.Lock()
        self._prefix = Prefix()
        self._tries: dict[tuple[str, ...], trie.Node] = {}

    @property
    def name(self) -> str:
        """Exact id of model, revision and adapter."""
        return self.loaded.name

    @property
    def is_local(self) -> bool:
        """Always true: nothing leaves this machine."""
        return True

    @property
    def can_choose(self) -> bool:
        """True but for adapters of virtual tokens."""
        return not self.loaded.learned_prompt

    def count(self, text: str) -> int:
        """Tokens of a plain text, without special ones."""
        return len(prompt.encode(self.loaded.tokenizer, text))

    def render(self, turns: Sequence[Turn]) -> str:
        """The chat template's text for these turns, open for the assistant."""
        return prompt.render(self.loaded.tokenizer, turns)

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """One reply for each ask, in order; `seconds` is an ask's share of its batch."""
        with self._lock:
            if self.loaded.learned_prompt:
                return plain_answers(self.loaded, asks, progress)
            return self._answer(asks, progress or (lambda done, total: None))

    def loglikelihoods(self, asks: Sequence[Ask], answers: Sequence[str]) -> list[tuple[float, int]]:
        """For each pair: the sum of natural log-probabilities of the answer tokens (end token too), and their count.

        Pairs that share their prompt and stand together are scored behind it: put all labels of an item in a row.
        """
        with self._lock:
            pairs = self._pairs(asks, answers)
            if self.loaded.learned_prompt:
                for pair in pairs:
                    score_alone(self.loaded.model, pair)
            for group in [] if self.loaded.learned_prompt else self._alike(pairs):
                prefix = self._shared([pair.prompt for pair in group])
                for some in self._portions(group, prefix):
                    score(self._forward, prefix, some)
        return [(pair.score, len(pair.answer)) for pair in pairs]

    @cached_property
    def _forward(self) -> Forward:
        tokenizer = self.loaded.tokenizer
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self.loaded.ends, default=0)
        return Forward(self.loaded.model, pad)

    @cached_property
    def _token_bytes(self) -> int:
        """Bytes of keys and values that one token leaves behind."""
        config = self._forward.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * config.num_hidden_layers * heads * size * self.loaded.model.dtype.itemsize)

    def _answer(self, asks: Sequence[Ask], progress: Progress) -> list[Reply]:
        jobs = [self._job(ask) for ask in asks]
        replies: list[Reply | None] = [None] * len(asks)
        for place, job in enumerate(jobs):
            if len(job.tokens) + job.max_tokens > self.loaded.longest:
                replies[place] = Reply("", len(job.tokens), 0, 0.0, "too_long")
        open_ = [place for place in range(len(asks)) if replies[place] is None]
        prefix = self._shared([jobs[place].tokens for place in open_])
        done = len(asks) - len(open_)
        for places in self._batches(open_, jobs):
            started = time.perf_counter()
            decode(self._forward, prefix, [jobs[place] for place in places], self.loaded.ends)
            share = (time.perf_counter() - started) / len(places)
            for place in places:
                replies[place] = self._reply(asks[place], jobs[place], share)
            done += len(places)
            progress(done, len(asks))
        return [reply for reply in replies if reply is not None]

    def _job(self, ask: Ask) -> Job:
        tokens = prompt.encode_ask(self.loaded.tokenizer, ask)
        node = self._trie(ask) if ask.choices else None
        temperature, seed = float(ask.meta.get("temperature", 0.0)), int(ask.meta.get("seed", 0))
        shape = ask.meta.get("shape")
        held = None if shape is None or ask.choices else Held(shape, self.loaded.tokenizer)
        return Job(tokens, ask.max_tokens, node, temperature, seed, held=held)

    def _trie(self, ask: Ask) -> trie.Node:
        if ask.choices not in self._tries:
            if not all(ask.choices):
                raise RungError("A closed set of answers holds an empty one.")
            text = self.render(ask.turns)
            self._tries[ask.choices] = trie.build(prompt.encode_after(self.loaded.tokenizer, text, ask.choices))
        return self._tries[ask.choices]

    def _reply(self, ask: Ask, job: Job, seconds: float) -> Reply:
        if job.choice is not None:
            text = ask.choices[job.choice]
        else:
            text = self.loaded.tokenizer.decode(job.written, skip_special_tokens=True)
        return Reply(text, len(job.tokens), len(job.written), seconds, job.stopped)

    def _shared(self, prompts: Sequence[list[int]]) -> Prefix:
        """The prefix of all prompts: the one kept from the last call where it serves, else a new one."""
        kept = list(self._prefix.tokens)
        length = prompt.shared_prefix(prompts)
        serves = bool(kept) and all(len(p) > len(kept) and p[: len(kept)] == kept for p in prompts)
        if serves and (len(prompts) == 1 or len(kept) >= length - PREFIX_WORTH):
            return self._prefix
        if len(prompts) < 2 or length < PREFIX_WORTH:
            return Prefix()
        self._prefix = self._forward.prefix(prompts[0][:length])
        return self._prefix

    def _batches(self, places: Sequence[int], jobs: Sequence[Job]) -> Iterator[list[int]]:
        """Asks of like length together, longest first, the same side by side, within the memory set aside."""
        room = CACHE_BYTES // self._token_bytes
        batch: list[int] = []
        for place in sorted(places, key=lambda p: (-len(jobs[p].tokens), jobs[p].tokens, p)):
            longest = max(len(jobs[p].tokens) + jobs[p].max_tokens for p in [*batch, place])
            if batch and (len(batch) >= self.batch or longest * (len(batch) + 1) > room):
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    def _pairs(self, asks: Sequence[Ask], answers: Sequence[str]) -> list[Pair]:
        end = min(self.loaded.ends)
        texts = [prompt.render(self.loaded.tokenizer, ask.turns, ask.meta.get("tools")) for ask in asks]
        pairs = []
        for text, answer in zip(texts, answers, strict=True):
            (tokens,) = prompt.encode_after(self.loaded.tokenizer, text, [answer])
            pairs.append(Pair(prompt.encode(self.loaded.tokenizer, text), [*tokens, end]))
        return pairs

    def _alike(self, pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
        """Runs of pairs with the same prompt by themselves where they are long, all others together."""
        others: list[Pair] = []
        for _, run in groupby(pairs, key=lambda pair: pair.prompt):
            group = list(run)
            if len(group) >= 4:
                yield group
            else:
                others += group
        if others:
            yield others

    def _portions(self, pairs: Sequence[Pair], prefix: Prefix) -> Iterator[list[Pair]]:
        ordered = sorted(pairs, key=lambda pair: len(pair.prompt) + len(pair.answer))
        vocabulary = self._forward.config.vocab_size
        portion: list[Pair] = []
        for pair in ordered:
            keep = max(len(p.answer) for p in [*portion, pair])
            length = len(pair.prompt) + len(pair.answer)
            logits = keep * vocabulary * 4 * (len(portion) + 1)
            cached = length * self._token_bytes * (len(portion) + 1)
            if portion and (len(portion) >= 4 * self.batch or logits > LOGIT_BYTES or cached > CACHE_BYTES):
                yield portion
                portion = []
            portion.append(pair)
        if portion:
            yield portion
