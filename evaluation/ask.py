"""Asking a model many things, so that a killed measuring goes on where it was: replies are kept by content."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path

from chat.privacy import SentCalls
from chat.protocols import Ask, ChatError, ChatModel, Progress, Reply, Streaming, request_key
from chat.protocols import replies as stream
from workspace.counted import money
from workspace.errors import RungError
from workspace.files import append_lines

REFUSED_AT_FIRST = 3
"""So many refusals before the first answer are a fault of the request, not of the items."""
GROUP = 96
"""Asks of a model on this machine between two writes: what a kill can lose. Elsewhere each reply is kept at once."""


@dataclass
class Replies:
    """Replies already given, in a file that only grows; a line cut off by a kill is skipped.

    The key is the SHA-256 of model name, turns, limit, choices and options: anything that could change the reply.
    `spent` counts what came since this was opened, `highest` the most expensive reply; `unpriced` is set where
    the price of a reply is not known.
    """

    path: Path
    budget_usd: float | None = None
    spent: float = 0.0
    highest: float = 0.0
    unpriced: bool = False
    known: dict[str, Reply] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    calls: SentCalls = field(init=False)
    """Paid calls, `sent.jsonl` beside the file."""

    def __post_init__(self) -> None:
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        for line in lines:
            try:
                row = json.loads(line)
                self.known[row["key"]] = Reply(**row["reply"])
            except (ValueError, TypeError, KeyError):
                continue
        self.calls = SentCalls(self.path.with_name("sent.jsonl"))

    def keep(self, key: str, reply: Reply) -> None:
        """Append a reply; it outlives this process from then on."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_lines(self.path, [{"key": key, "reply": asdict(reply)}], sync=False)
        self.known[key] = reply
        self.unpriced |= reply.cost_usd is None
        self.spent += reply.cost_usd or 0.0
        self.highest = max(self.highest, reply.cost_usd or 0.0)

    def unanswered(self, *models: ChatModel | None) -> list[str]:
        """Return notes on calls of `models` without a reply since this was opened: their certain and possible cost."""
        return self.calls.notes(self.asked, {key: reply.cost_usd for key, reply in self.known.items()}, *models)

    def affordable(self, asks: Sequence[Ask]) -> Iterator[Ask]:
        """Yield requests until the next one could exceed the budget, assuming it and those under way each cost as much
        as the most expensive so far. The first few are sent before any price is known.
        """
        there = len(self.known)
        for sent, ask in enumerate(asks):
            under_way = sent - (len(self.known) - there)
            needed = self.spent + (under_way + 1) * self.highest
            if self.budget_usd is not None and (self.unpriced or needed > self.budget_usd + 1e-12):
                return
            yield ask


def ask_all(model: ChatModel, asks: Sequence[Ask], replies: Replies, progress: Progress | None = None) -> list[Reply]:
    """Return one reply an ask, in order; only what is not known yet goes to the model, each equal ask once.

    An ask that the server refuses, while it answers others, is a reply that stopped `refused`; it is asked again by the
    next command. Raises RungError for any other ask that cannot be answered, after the calls under way have come back;
    what came is kept and not asked again.
    """
    keys = [request_key(model.name, ask) for ask in asks]
    replies.asked.update(keys)
    waiting = {key: ask for key, ask in zip(keys, asks, strict=True) if key not in replies.known}
    order = sorted(waiting, key=lambda key: len(json.dumps(waiting[key].turns)))
    asking = _Asking(replies, len(asks), known=len(asks) - len(order))
    step = 1 if isinstance(model, Streaming) else GROUP
    if progress and order:
        progress(asking.done, len(asks))  # at once: the first replies may take a minute
    affordable = replies.affordable([waiting[key] for key in order])
    source = takewhile(lambda _: asking.failure is None, zip(order, affordable, strict=False))
    for number, reply in stream(model, replies.calls.sending(model, source), chunk=GROUP):
        asking.take(order[number], reply)
        if progress and ((asking.done - asking.known) % step == 0 or asking.done == len(asks)):
            progress(asking.done, len(asks))
    asking.end(model.name)
    lost = {k: Reply("", 0, 0, 0.0, "refused", e.cost_usd, why=e.message) for k, e in asking.refused.items()}
    return [replies.known[key] if key in replies.known else lost[key] for key in keys]


@dataclass
class _Asking:
    """Progress of a batch of calls: `done` have an answer or a refusal, `known` had one before."""

    replies: Replies
    total: int
    known: int
    failure: ChatError | None = None
    refused: dict[str, ChatError] = field(default_factory=dict)
    came: int = 0

    @property
    def done(self) -> int:
        return self.known + self.came + len(self.refused)

    def take(self, key: str, reply: Reply | ChatError) -> None:
        """Keep a reply; remember a refusal; stop for any other failure, and for refusals where nothing was answered."""
        if isinstance(reply, Reply):
            self.replies.keep(key, reply)
            self.came += 1
            return
        self.replies.calls.failed(key, reply)
        if reply.kind == "request":
            self.refused[key] = reply
        if reply.kind != "request" or (len(self.refused) >= REFUSED_AT_FIRST and not self.replies.known):
            self.failure = self.failure or reply

    def end(self, model: str) -> None:
        """Raises RungError if something is missing."""
        if self.refused and not self.replies.known:
            self.failure = self.failure or next(iter(self.refused.values()))
        if (error := self.failure) is not None:
            done = self.known + self.came
            told = f"{error.message} {done} answers are kept; rerun the command to continue."
            raise RungError(f"Stopped at item {done} of {self.total}: {told}", error.hint, where=error.where) from error
        if self.done == self.total:
            return
        if self.replies.unpriced:
            told = f"no price is known for {model}, so --budget-usd cannot be kept. {self.done} answers are kept."
            hint = "rerun the command without --budget-usd"
        else:
            told = f"{money(self.replies.spent)} of {money(self.replies.budget_usd)} spent."
            told += f" {self.done} answers are kept; rerun the command with more --budget-usd."
            hint = "--budget-usd X"
        raise RungError(f"Stopped at item {self.done} of {self.total}: {told}", hint)
