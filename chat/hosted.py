"""Shared by all hosted models: order, concurrency, closed sets and cost."""

import json
import random
import re
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from chat.calls import Pace, Patience, explain, several, understood
from chat.prices import TokenPrice, Usage, price_line
from chat.protocols import TURNED_AWAY, Ask, ChatError, Reply, StreamedModel
from chat.thinking import ROOM, named
from workspace.json_types import JsonObject

JSON_ROOM = 32
"""Tokens that the JSON around a closed answer may take."""


@dataclass(frozen=True)
class CallOptions:
    """Options of calls to a service: `timeout` in seconds, `workers` at once, more `parameters`, own `prices`."""

    patience: Patience = field(default_factory=Patience)
    timeout: float = 120.0
    workers: int = 4
    requests_per_minute: float = 0.0
    parameters: Mapping[str, object] = field(default_factory=dict)
    prices: Path | None = None


USUAL = CallOptions()


@dataclass(frozen=True, slots=True)
class BatchState:
    """State of a batch. `ended`: all its results can be fetched."""

    id: str
    ended: bool
    waiting: int
    done: int


class Hosted(StreamedModel):
    """A model behind a server. Subclasses send one ask; this class keeps order, patience and the first failure."""

    is_local: bool
    """True if nothing leaves this machine."""
    sdk: ModuleType
    can_choose = True
    """A closed set is asked for as a JSON schema; a reply outside it is an answer that stopped `outside`."""
    called = ""
    """Name in reports and stored replies, instead of the model's id at its host."""
    enable_thinking: bool | None = None
    """True to ask for thinking, False to forbid it; None keeps the server's default."""
    probabilities = False
    """True if a server is asked for the probability of its answers (`Reply.logprob`)."""
    thinks = False
    """True once a reply with thinking was seen."""

    def __init__(self, model: str, host: str, price: TokenPrice | None, options: CallOptions) -> None:
        self.model = model
        self.host = host
        self.price = price
        self.options = options
        self.pace = Pace(options.requests_per_minute)
        self.notices: list[str] = []
        """Notices for a person: some before the first call, others learned since; reports keep them."""
        self.unsure = 0
        """Tries that brought no answer, and may have been paid; the call was answered later."""
        if price is None and not self.is_local:
            self.notices.append(f"No price of {model} is known, so its costs are not counted. {price_line(model)}")

    @property
    def name(self) -> str:
        """Return its given name, else the model's id at its host with the settings that change its replies."""
        named_so = named(self.called or f"{self.model} ({self.host})", self.enable_thinking)
        parameters = json.dumps(self.options.parameters, sort_keys=True) if self.options.parameters else ""
        return f"{named_so} {parameters}".rstrip()

    def ask(self, ask: Ask, stop: threading.Event) -> Reply:
        """Return one reply. Raises ChatError.

        A reply that was cut before its first word of an answer was cut while the model thought: the same is asked again
        with room to think, and so is everything after it.
        """
        thinks = self.thinks
        reply = self.ask_once(ask, stop, thinks=thinks)
        if thinks or reply.stopped != "length" or reply.text.strip() or not thinking_room(ask):
            return reply
        self.thinks = True
        again = self.ask_once(ask, stop, thinks=True)
        cost = None if None in (reply.cost_usd, again.cost_usd) else (reply.cost_usd or 0.0) + (again.cost_usd or 0.0)
        return replace(again, seconds=reply.seconds + again.seconds, cost_usd=cost)

    def ask_once(self, ask: Ask, stop: threading.Event, *, thinks: bool) -> Reply:
        """Return one reply, with retries and room to think; its cost includes broken replies. Raises ChatError."""
        started = time.perf_counter()
        lost: list[ChatError] = []
        found = self.patiently(lambda: self.send(ask, thinks=thinks), stop, lost)
        with understood(self.host):
            reply = self.reply(ask, found, time.perf_counter() - started)
        self.unsure += sum(each.may_be_paid for each in lost) if self.costs else 0
        paid = sum(each.cost_usd for each in lost)
        return replace(reply, cost_usd=reply.cost_usd + paid) if reply.cost_usd and paid else reply

    def patiently(
        self,
        call: Callable[[], Any],
        stop: threading.Event | None = None,
        lost: list[ChatError] | None = None,
        *,
        once: bool = False,
    ) -> Any:
        """Make the call, and again after failures that pass, unless it is to be made `once`.

        A call that is turned away (too many requests, overloaded) is tried without end while others at this pace
        succeed; otherwise as often as the options say. `retry-after` is obeyed up to the longest wait; a server that
        asks for more is not waited for. Failed tries are added to `lost`. Raises ChatError, with the number and the
        cost of all tries.
        """
        stop, lost = stop or threading.Event(), [] if lost is None else lost
        pace, patience = self.pace, Patience(tries=1) if once else self.options.patience
        delay, tries, left, seen = patience.first, 0, patience.tries, pace.successes
        while pace.turn(stop):
            try:
                tries += 1
                found = call()
                pace.succeeded()
                return found
            except Exception as error:
                failure = explain(self.sdk, error, self.host)
                if failure is None:
                    raise
                failure.tries = tries
                lost.append(failure)
                if failure.kind in TURNED_AWAY and pace.successes != seen:
                    left, delay, seen = patience.tries, patience.first, pace.successes
                left -= 1
                asked = failure.wait if failure.wait is not None else delay * random.uniform(0.8, 1.2)
                if not failure.again or not left or asked > patience.longest:
                    raise self._given_up(failure, asked, lost) from error
            if failure.kind in TURNED_AWAY:
                pace.hold(asked * random.uniform(1.0, 1.1))
            else:
                stop.wait(asked)
            delay = min(2 * delay, patience.longest)
        stopped = ChatError("connection", f"{self.host}: stopped before the next try.", where=self.host)
        raise self._given_up(stopped, 0.0, lost)

    def _given_up(self, failure: ChatError, asked: float, lost: list[ChatError]) -> ChatError:
        """Return the failure with the cost of all tries and, in its message, why there is no further one."""
        longest = self.options.patience.longest
        if failure.again and asked > longest:
            failure.message += f" It asks to wait {asked:,.0f} s; Rung waits {longest:.0f} s at most."
        elif failure.tries > 1:
            failure.message += f" Tried {failure.tries} times."
        failure.cost_usd = sum(each.cost_usd for each in lost)
        return failure

    @abstractmethod
    def send(self, ask: Ask, *, thinks: bool) -> Any:
        """Return the server's answer to one request. Raises ChatError, with the cost of an answer that broke off."""

    @abstractmethod
    def reply(self, ask: Ask, found: Any, seconds: float, *, batch: bool = False) -> Reply:
        """Return the answer as a reply, with its cost."""

    def cut(self, cost: float | None) -> ChatError:
        """Return the error of a stream or an answer that ended too early."""
        error = ChatError("connection", f"{self.host}: the answer was cut off on its way.", where=self.host)
        error.cost_usd = cost or 0.0
        return error

    @property
    def costs(self) -> bool:
        """True if a call costs money, even if the amount is unknown."""
        return self.price is not None or not self.is_local

    @abstractmethod
    def send_batch(self, asks: Mapping[str, Ask]) -> str:
        """Hand over a batch, each ask under its own id (1 to 64 letters, digits, `-`, `_`); returns the batch's id.

        Not tried again by itself after a broken connection: the server may have taken it, and twice costs twice.
        """

    @abstractmethod
    def batch_state(self, batch: str) -> BatchState:
        """Return the state of a batch."""

    @abstractmethod
    def batch_results(self, batch: str, asks: Mapping[str, Ask]) -> Iterator[tuple[str, Reply | ChatError]]:
        """Return the results of an ended batch by id, in any order; ids that `asks` does not know are left out."""

    def read_result(self, ask: Ask, found: Any) -> Reply | ChatError:
        """Return what a batch holds for one ask: the reply, or why there is none."""
        try:
            with understood(self.host):
                return self.result(ask, found)
        except ChatError as error:
            return error

    @abstractmethod
    def result(self, ask: Ask, found: Any) -> Reply:
        """Return the reply in one result of a batch. Raises ChatError if it holds none."""

    def stream(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply | ChatError]]:
        """Return each reply, or why there is none, as it comes."""
        stop = threading.Event()
        return several(lambda one: self.ask(one, stop), asks, self.options.workers, stop)

    def cost(self, usage: Usage, *, batch: bool = False) -> float | None:
        """USD of a call; None if no price is known, 0.0 on this machine unless the project names one."""
        if self.price:
            return self.price.cost(usage, batch=batch)
        return 0.0 if self.is_local else None


def schema_of(ask: Ask) -> JsonObject | None:
    """Return the JSON schema of the reply: of the closed set, or the one in `Ask.meta`, `schema` or `shape`."""
    if ask.choices:
        answer = {"type": "string", "enum": list(ask.choices)}
        return {
            "type": "object",
            "properties": {"answer": answer},
            "required": ["answer"],
            "additionalProperties": False,
        }
    schema = ask.meta.get("schema") or ask.meta.get("shape")
    return dict(schema) if schema else None


def room(ask: Ask, *, thinks: bool = False) -> int:
    """Return the token limit to send."""
    return ask.max_tokens + (JSON_ROOM if ask.choices else 0) + (thinking_room(ask) if thinks else 0)


def thinking_room(ask: Ask) -> int:
    """Most tokens that the model may think."""
    return int(ask.meta.get("thinking_tokens", ROOM))


def ended(text: str, stopped: str) -> str:
    """Return why a reply ended: `empty` where a server said that the model was done, and sent no text and no call."""
    return stopped if stopped != "end" or text.strip() else "empty"


def settled(ask: Ask, text: str, stopped: str) -> tuple[str, str]:
    """Text and reason, after a closed set was taken out of what was written; `outside` where it is none of the set.

    The answer is read where a person would read it: in JSON, in a fence, in quotes, in another case.
    """
    if not ask.choices or stopped != "end":
        return text, stopped
    fenced = re.search(r"```(?:json)?\s*(.*?)```", text, re.DOTALL)
    inner = (fenced[1] if fenced else text).strip()
    try:
        found = json.loads(inner)
    except ValueError:
        found = inner
    choice = found.get("answer") if isinstance(found, dict) else found if isinstance(found, str) else inner
    if isinstance(choice, str) and choice in ask.choices:
        return choice, "choice"
    plain = {_plain(each): each for each in ask.choices}
    read = plain.get(_plain(choice)) if isinstance(choice, str) and len(plain) == len(ask.choices) else None
    return (text, "outside") if read is None else (read, "choice")


def _plain(text: str) -> str:
    return text.strip().strip("\"'`*.").strip().casefold()
