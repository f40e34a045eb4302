"""A system of the user's own, asked as a model is: a service at an address, or a function."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chat.calls import several
from chat.endpoint import exchange, http_place
from chat.errors import ChatError
from chat.hosted_turns import openai_turns
from chat.keys import key_for
from chat.privacy import Guard, Guarded
from chat.protocols import Ask, ChatModel, Progress, Reply, Turn
from chat.stream import collect
from workspace.settings import OwnSystemSettings
from workspace.trust import is_this_machine

Answer = Callable[[Sequence[Turn]], str]
"""Maps the messages of an item to the system's answer. Raises ChatError."""
ITS_OWN = frozenset({"request", "busy", "timeout", "garbled"})
"""Kinds of failures that are the system's own: after the tries they count as an item that was not answered."""
PAUSE = 0.5
"""Seconds before the second try; doubled for each further one."""


@dataclass(frozen=True)
class OwnSystem:
    """The system under its name in reports. `cost_usd` of a call is None if it is not known."""

    name: str
    one: Answer
    is_local: bool
    workers: int = 1
    cost_usd: float | None = 0.0
    tries: int = 1
    can_choose: bool = False

    def stream(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply | ChatError]]:
        """Return each reply, or why there is none, as it comes."""
        stop = threading.Event()
        return several(lambda ask: self._reply(ask, stop), asks, self.workers, stop)

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Return all replies in order. Raises the first ChatError."""
        return collect(self.stream, asks, progress)

    def _reply(self, ask: Ask, stop: threading.Event) -> Reply:
        started = time.perf_counter()
        text = self._patiently(ask, stop)
        return Reply(text, 0, 0, time.perf_counter() - started, cost_usd=self.cost_usd)

    def _patiently(self, ask: Ask, stop: threading.Event) -> str:
        for left in reversed(range(self.tries)):
            try:
                return self.one(ask.turns)
            except ChatError as error:
                if not error.again or not left:
                    error.kind = "request" if error.kind in ITS_OWN else error.kind
                    raise
            stop.wait(PAUSE * 2 ** (self.tries - left - 1))
        raise AssertionError("unreachable")


def own_service(name: str, at: OwnSystemSettings, guard: Guard) -> ChatModel:
    """Return the service of `[arms.NAME]`, behind privacy answer and trust; nothing is sent before both hold.

    With `model` it is asked in OpenAI's chat protocol (`url` is the address before `/chat/completions`), else by
    POST of `{"messages": [...]}` to `url`, answered by `{"answer": "..."}`. Raises RungError for no http address.
    """
    place = http_place(
        at.url, f'[arms.{name}] url = "{{address}}"', f'[arms.{name}] url = "http://localhost:8000/answer"'
    )
    here, host = is_this_machine(place.hostname or ""), place.netloc.lower()
    if not here:
        guard.check("own", host)
    key, _ = key_for(place, may_have_key=guard.may_have_key(host))
    guard.demand_trust(host)
    address = place.geturl()

    def plain(turns: Sequence[Turn]) -> str:
        found = exchange(address, {"messages": [dict(turn) for turn in turns]}, key, host, at.timeout)
        return _text(found.get("answer"), host, "answer")

    def openai(turns: Sequence[Turn]) -> str:
        body = {"model": at.model, "messages": openai_turns(turns)}
        found = exchange(f"{address.rstrip('/')}/chat/completions", body, key, host, at.timeout)
        try:
            said: Any = found["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            said = None
        return _text(said, host, "choices[0].message.content")

    one = openai if at.model else plain
    named = f"{name} ({host}{f', {at.model}' * bool(at.model)})"
    model = OwnSystem(named, one, here, at.workers, 0.0 if here else None, at.tries)
    return model if here else Guarded(model, guard, "own", host)


def _text(said: object, host: str, key: str) -> str:
    if not isinstance(said, str):
        raise ChatError("garbled", f'{host} sent no text as "{key}".', where=host)
    return said
