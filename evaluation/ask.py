"""Asking a model many things, so that a killed measuring goes on where it was: replies are kept by content."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chat.errors import ChatError
from chat.protocols import Ask, ChatModel, Progress, Reply
from chat.stream import Streaming
from chat.stream import replies as stream
from workspace.errors import RungError
from workspace.files import sha256_bytes

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

    def __post_init__(self) -> None:
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        for line in lines:
            try:
                row = json.loads(line)
                self.known[row["key"]] = Reply(**row["reply"])
            except (ValueError, TypeError, KeyError):
                continue

    def keep(self, key: str, reply: Reply) -> None:
        """Append a reply; it outlives this process from then on."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            if file.tell() and not _ends_line(self.path):
                file.write(b"\n")
            file.write(json.dumps({"key": key, "reply": asdict(reply)}, ensure_ascii=False).encode() + b"\n")
        self.known[key] = reply
        self.unpriced |= reply.cost_usd is None
        self.spent += reply.cost_usd or 0.0
        self.highest = max(self.highest, reply.cost_usd or 0.0)

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


def ask_all(
    model: ChatModel, asks: Sequence[Ask], replies: Replies, progress: Progress | None = None, group: int = GROUP
) -> list[Reply]:
    """One reply an ask, in order; only what is not known yet goes to the model, each equal ask once.

    Raises RungError at the first ask that cannot be answered; what came before it is kept and not asked again.
    """
    keys = [key_of(model.name, ask) for ask in asks]
    waiting = {key: ask for key, ask in zip(keys, asks, strict=True) if key not in replies.known}
    waiting_keys = sorted(waiting, key=lambda key: len(json.dumps(waiting[key].turns)))
    known = done = len(asks) - len(waiting_keys)
    step = 1 if isinstance(model, Streaming) else group
    for number, reply in stream(model, replies.affordable([waiting[key] for key in waiting_keys]), chunk=group):
        if isinstance(reply, ChatError):
            raise _stopped(reply, done, len(asks)) from reply
        replies.keep(waiting_keys[number], reply)
        done += 1
        if progress and ((done - known) % step == 0 or done == len(asks)):
            progress(done, len(asks))
    if done < len(asks):
        raise _no_price(model.name, done, len(asks)) if replies.unpriced else _over_budget(replies, done, len(asks))
    return [replies.known[key] for key in keys]


def _stopped(error: ChatError, done: int, total: int) -> RungError:
    kept = f"Stopped at item {done} of {total}: {error.message} {done} answers are kept; the same command goes on."
    return RungError(kept, error.hint, where=error.where)


def _over_budget(replies: Replies, done: int, total: int) -> RungError:
    spent = f"${replies.spent:.2f} of ${replies.budget_usd:.2f} spent"
    kept = f"{done} answers are kept; the same command with more --budget-usd goes on."
    return RungError(f"Stopped at item {done} of {total}: {spent}. {kept}", "--budget-usd X")


def _no_price(model: str, done: int, total: int) -> RungError:
    kept = f"{done} answers are kept."
    told = f"no price is known for {model}, so --budget-usd cannot be kept. {kept}"
    return RungError(f"Stopped at item {done} of {total}: {told}", "the same command without --budget-usd")


def key_of(model: str, ask: Ask) -> str:
    """The content hash of one request."""
    parts: list[Any] = [model, [dict(t) for t in ask.turns], ask.max_tokens, list(ask.choices), dict(ask.meta)]
    return sha256_bytes(json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str).encode())


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
