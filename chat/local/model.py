"""The local engine: ChatModel, Scorer and Tokenizer over one loaded model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chat.local import prompt
from chat.local.check import CheckedWays, Way, checks_file
from chat.local.decode import (
    Forward,
    Job,
    Prefix,
    ScoredPair,
    TrieNode,
    answer_alone,
    build_trie,
    decode,
    score,
    score_alone,
)
from chat.local.held import Held, Thinking, guide_of
from chat.local.load import Loaded
from chat.local.prompt import CALL_MARKS, is_read, read_answer
from chat.protocols import Ask, Progress, Reply, Turn
from chat.thinking import ROOM, Marks, answering, is_off, is_open, marks_of, spoken
from workspace.errors import RungError

if TYPE_CHECKING:
    from llguidance import LLTokenizer

Thing = TypeVar("Thing")
PREFIX_WORTH = 16
"""Fewer shared tokens than this are computed again rather than kept."""
CACHE_BYTES = 2 << 30
"""Most keys and values that one batch may hold."""
LOGIT_BYTES = 256 << 20


class LocalModel:
    """Greedy, batched answers of a model on this machine.

    Prompts are padded on the left; the tokens that all of them begin with are computed once and kept for the next
    call. Outputs equal one-at-a-time `generate`: a way of batching is used only where it was seen to on this model
    (`chat.local.check`), and `checks` is the file that remembers it. `Ask.meta` may hold `tools`, `temperature` with
    `seed`, and `shape`, a JSON Schema that the answer is held to. Calls from several threads wait for one another. A
    prompt that does not fit the model's window is not cut: its reply is empty and `stopped` says `too_long`.
    """

    is_local = True
    can_choose = True

    def __init__(self, loaded: Loaded, *, batch: int = 24, checks: Path | None = None) -> None:
        self.loaded = loaded
        self.name = loaded.name
        self.batch = batch
        self._checks = checks
        self._lock = threading.Lock()
        self._prefix = Prefix()
        self._tries: dict[tuple[str, ...], tuple[TrieNode, int]] = {}

    @cached_property
    def _marks(self) -> Marks | None:
        return marks_of(str(self.loaded.tokenizer.chat_template or ""))

    @property
    def thinks(self) -> bool:
        """True if the model may think before it answers, according to its chat template."""
        return self._marks is not None

    def count(self, text: str) -> int:
        """Return tokens of a plain text, without special ones."""
        return len(prompt.encode(self.loaded.tokenizer, text))

    def render(self, turns: Sequence[Turn]) -> str:
        """Return the chat template's text for these turns, open for the assistant."""
        return prompt.render(self.loaded.tokenizer, turns)

    def render_whole(self, turns: Sequence[Turn], tools: Any = None) -> str:
        """Return the chat template's text for finished turns."""
        return prompt.render_whole(self.loaded.tokenizer, turns, tools)

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Return one reply for each ask, in order; `seconds` is an ask's share of its batch."""
        with self._lock:
            return self._answer(asks, progress or (lambda done, total: None))

    def loglikelihoods(self, asks: Sequence[Ask], answers: Sequence[str]) -> list[tuple[float, int]]:
        """Return for each pair the summed log-probability (natural) of the answer with its end token, and its tokens.

        Neighbouring pairs with the same prompt are scored behind it: put all labels of an item in a row.
        """
        with self._lock:
            pairs = self._pairs(asks, answers)
            way = self._way([(pair.prompt, len(pair.answer)) for pair in pairs])
            if way == "alone":
                for pair in pairs:
                    score_alone(self.loaded.model, pair)
            for group in [] if way == "alone" else self._alike(pairs):
                prefix = self._shared([pair.prompt for pair in group]) if way == "prefix" else Prefix()
                for some in self._portions(group):
                    score(self._forward, prefix, some)
        return [(pair.score, len(pair.answer)) for pair in pairs]

    @cached_property
    def _guide(self) -> LLTokenizer:
        return guide_of(self.loaded.tokenizer, self.loaded.ends)

    @cached_property
    def _forward(self) -> Forward:
        tokenizer = self.loaded.tokenizer
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self.loaded.ends, default=0)
        return Forward(self.loaded.model, pad)

    @cached_property
    def _ways(self) -> CheckedWays:
        return CheckedWays(self.loaded, self._forward, self._checks or checks_file())

    def _way(self, rows: Sequence[tuple[list[int], int]]) -> Way:
        """Return the way for prompts and the tokens that follow each."""
        if not rows:
            return "alone"
        needed = max(len(tokens) + more for tokens, more in rows)
        return self._ways.fastest(needed, max((tokens for tokens, _ in rows), key=len))

    @cached_property
    def _token_bytes(self) -> int:
        """Bytes of keys and values that one token leaves behind; of the whole width where layers differ."""
        config = self._forward.config
        try:
            heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
            width = heads * (getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        except (AttributeError, RuntimeError):
            width = config.hidden_size
        return int(2 * config.num_hidden_layers * width * self.loaded.model.dtype.itemsize)

    def _answer(self, asks: Sequence[Ask], progress: Progress) -> list[Reply]:
        jobs = [self._job(ask) for ask in asks]
        replies: list[Reply | None] = [None] * len(asks)
        for place, job in enumerate(jobs):
            if len(job.tokens) + job.room > self.loaded.longest:
                replies[place] = Reply("", len(job.tokens), 0, 0.0, "too_long")
        open_ = [place for place in range(len(asks)) if replies[place] is None]
        seconds = self._think([(asks[place], jobs[place]) for place in open_])
        done = len(asks) - len(open_)
        for places, spent in self._run(open_, jobs):
            for place in places:
                replies[place] = self._reply(asks[place], jobs[place], spent + seconds)
            done += len(places)
            progress(done, len(asks))
        return [reply for reply in replies if reply is not None]

    def _run(self, places: Sequence[int], jobs: Sequence[Job]) -> Iterator[tuple[list[int], float]]:
        """Answer the jobs at these places; yield those of each batch with an item's share of its seconds."""
        way = self._way([(jobs[place].tokens, jobs[place].room) for place in places])
        prefix = self._shared([jobs[place].tokens for place in places]) if way == "prefix" else Prefix()
        for some in [[place] for place in places] if way == "alone" else self._batches(places, jobs):
            started = time.perf_counter()
            if way == "alone":
                answer_alone(self.loaded, jobs[some[0]])
            else:
                batch, steady = [jobs[place] for place in some], self._ways.steady(way)
                decode(self._forward, prefix, batch, self.loaded.ends, steady=steady)
            yield some, (time.perf_counter() - started) / len(some)

    def _think(self, pairs: Sequence[tuple[Ask, Job]]) -> float:
        """Let held answers of a model that thinks be thought about first: their prompts grow by it.

        Thinking that takes all its room is closed for the model. Returns an item's share of the seconds.
        """
        marks, begun = self._marks, time.perf_counter()
        held = [(ask, job) for ask, job in pairs if job.node is not None or job.held is not None]
        if marks is None or not held:
            return 0.0
        jobs, answers = [], []
        for ask, job in held:
            text = self._text(ask)
            if room := self._thinking_room(ask, text, job):
                writer = Thinking(self.loaded.tokenizer, marks, is_open(text, marks))
                jobs.append(Job(job.tokens, room, None, job.temperature, job.seed, held=writer))
                answers.append((job, writer))
        for _ in self._run(range(len(jobs)), jobs):
            pass
        for thought, (job, writer) in zip(jobs, answers, strict=True):
            if writer.is_open:
                rest = marks.after if thought.stopped == "closed" else f"\n{marks.close}{marks.after}"
                more = [*thought.written, *prompt.encode(self.loaded.tokenizer, rest)]
                job.tokens, job.thought = job.tokens + more, len(more)
        return (time.perf_counter() - begun) / len(pairs)

    def _thinking_room(self, ask: Ask, text: str, job: Job) -> int:
        """Return tokens that the model may think before the answer; 0 if it does not."""
        if self._marks is None or is_off(text, self._marks):
            return 0
        wanted = int(ask.meta.get("thinking_tokens", ROOM))
        return max(0, min(wanted, self.loaded.longest - len(job.tokens) - job.room - 8))

    def _text(self, ask: Ask) -> str:
        return prompt.render(self.loaded.tokenizer, ask.turns, ask.meta.get("tools"))

    def _job(self, ask: Ask) -> Job:
        tokens = prompt.encode_ask(self.loaded.tokenizer, ask)
        node, depth = self._trie(ask) if ask.choices else (None, 0)
        temperature, seed = float(ask.meta.get("temperature", 0.0)), int(ask.meta.get("seed", 0))
        shape = ask.meta.get("shape")
        held = None if shape is None or ask.choices else Held.to(shape, self._guide)
        job = Job(tokens, ask.max_tokens, node, temperature, seed, held=held, depth=depth)
        if self._marks is not None and node is None and held is None:
            job.max_tokens += self._thinking_room(ask, self._text(ask), job)
        return job

    def _trie(self, ask: Ask) -> tuple[TrieNode, int]:
        """Return the tree of the ask's closed set, and the tokens of its longest answer."""
        if ask.choices not in self._tries:
            if not all(ask.choices):
                raise RungError("A closed set of answers holds an empty one.")
            text = self.render(ask.turns)
            found = prompt.encode_after(self.loaded.tokenizer, text, ask.choices)
            self._tries[ask.choices] = build_trie(found), max(map(len, found))
        return self._tries[ask.choices]

    def _reply(self, ask: Ask, job: Job, seconds: float) -> Reply:
        text = ask.choices[job.choice] if job.choice is not None else self._answer_in(ask, job)
        return Reply(text, len(job.tokens) - job.thought, len(job.written) + job.thought, seconds, job.stopped)

    def _answer_in(self, ask: Ask, job: Job) -> str:
        """Return the job's output without its thinking; tool calls as one line of JSON."""
        marks = self._marks if job.held is None else None
        begun = marks.open if marks is not None and is_open(self._text(ask), marks) else ""
        tools = ask.meta.get("tools")
        if tools and job.held is None:
            return self._plain(read_answer(self._may_call(job.written, begun), tools))
        written = str(self.loaded.tokenizer.decode(job.written, skip_special_tokens=self._marks is None))
        return written if self._marks is None else self._plain(spoken(begun + written, (self._marks,)))

    def _plain(self, text: str, kept: tuple[str, ...] = ()) -> str:
        """Return a text without special tokens, but for those whose name holds one of `kept`."""
        for special in self.loaded.tokenizer.all_special_tokens:
            if not any(mark in special for mark in kept):
                text = text.replace(special, "")
        return text

    def _may_call(self, written: list[int], begun: str = "") -> str:
        """Decode tokens, with the marks of tool calls; a gpt-oss call with its channel, which names the tool."""
        text = begun + str(self.loaded.tokenizer.decode(written))
        if "to=functions." in text:
            return text
        return self._plain(text if self._marks is None else spoken(text, (self._marks,)), CALL_MARKS)

    @cached_property
    def calls_unread(self) -> str:
        """Return the reason why this model's tool calls cannot be measured; empty if they can."""
        return is_read(self.loaded.tokenizer, self._may_call)

    def _shared(self, prompts: Sequence[list[int]]) -> Prefix:
        """Return the prefix of all prompts: the one kept from the last call where it serves, else a new one."""
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
        """Asks of similar length together, longest first, the same side by side, within the memory set aside."""
        room = CACHE_BYTES // self._token_bytes

        def fits(some: Sequence[int]) -> bool:
            return len(some) <= self.batch and max(len(jobs[p].tokens) + jobs[p].room for p in some) * len(some) <= room

        return _filled(sorted(places, key=lambda p: (-len(jobs[p].tokens), jobs[p].tokens, p)), fits)

    def _pairs(self, asks: Sequence[Ask], answers: Sequence[str]) -> list[ScoredPair]:
        end = min(self.loaded.ends)
        texts = [answering(self._text(ask), self._marks) for ask in asks]
        pairs = []
        for text, answer in zip(texts, answers, strict=True):
            (tokens,) = prompt.encode_after(self.loaded.tokenizer, text, [answer])
            pairs.append(ScoredPair(prompt.encode(self.loaded.tokenizer, text), [*tokens, end]))
        return pairs

    def _alike(self, pairs: Sequence[ScoredPair]) -> Iterator[list[ScoredPair]]:
        """Yield runs of pairs with the same prompt by themselves where they are long, all others together."""
        others: list[ScoredPair] = []
        for _, run in groupby(pairs, key=lambda pair: pair.prompt):
            group = list(run)
            if len(group) >= 4:
                yield group
            else:
                others += group
        if others:
            yield others

    def _portions(self, pairs: Sequence[ScoredPair]) -> Iterator[list[ScoredPair]]:
        vocabulary = self._forward.config.vocab_size

        def fits(some: Sequence[ScoredPair]) -> bool:
            logits = max(len(pair.answer) for pair in some) * vocabulary * 4 * len(some)
            cached = (len(some[-1].prompt) + len(some[-1].answer)) * self._token_bytes * len(some)
            return len(some) <= 4 * self.batch and logits <= LOGIT_BYTES and cached <= CACHE_BYTES

        return _filled(sorted(pairs, key=lambda pair: len(pair.prompt) + len(pair.answer)), fits)


def _filled(things: Iterable[Thing], fits: Callable[[Sequence[Thing]], bool]) -> Iterator[list[Thing]]:
    """Yield the things in groups that fit, each as full as can be; one that fits in none is a group of its own."""
    group: list[Thing] = []
    for thing in things:
        if group and not fits([*group, thing]):
            yield group
            group = []
        group.append(thing)
    if group:
        yield group
