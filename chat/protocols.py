"""The interface between Rung and a model: a few small protocols, the values that they exchange, and their failures."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Any, Literal, Protocol, runtime_checkable

from workspace.errors import RungError
from workspace.files import sha256_bytes

Turn = Mapping[str, Any]
"""One message: `{"role": "system" | "user" | "assistant" | "tool", "content": "..."}`, as in a canonical row."""

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)` from the thread that does the work."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a model: its text, and after it the tools that it calls as one line (`chat.tool_calls.with_calls`).

    `stopped` is why it ended: `end` (the model was done), `length` (the limit cut it), `refused` (`why` has the
    server's reason, where it gave one), `choice` (held to a closed set), `outside` (none of that set), or `empty` (a
    server sent nothing). Tokens are counted by the model's own tokenizer or server, `cached_tokens` those of the input
    that a prompt cache had; `logprob` is the sum of the natural log-probabilities of what was written, where a server
    tells them; `cost_usd` is None if no dated price is known, 0.0 on this machine unless the project names a price.
    """

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float
    stopped: str = "end"
    cost_usd: float | None = 0.0
    why: str = ""
    cached_tokens: int = 0
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: the turns up to where the assistant speaks, the most tokens it may write, and a closed set.

    With `choices` the answer is exactly one of them (constrained decoding); a model that cannot raises RungError. With
    `shape` in `meta` it is held to that JSON Schema, as far as the model can.
    """

    turns: tuple[Turn, ...]
    max_tokens: int = 64
    choices: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


def request_key(model: str, ask: Ask) -> str:
    """Return hex SHA-256 of everything that the reply depends on."""
    parts = [model, [dict(turn) for turn in ask.turns], ask.max_tokens, list(ask.choices), dict(ask.meta)]
    return sha256_bytes(json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str).encode())


@runtime_checkable
class ChatModel(Protocol):
    """Anything that answers. Decoding is greedy: the same asks give the same replies."""

    @property
    def name(self) -> str:
        """Exact id of model and revision, as reports print it."""

    @property
    def is_local(self) -> bool:
        """True if nothing leaves this machine."""

    @property
    def can_choose(self) -> bool:
        """True where `Ask.choices` is honoured."""

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Return one reply for each ask, in order."""


class ModelWrapper:
    """A model around another, `model`, whose name, place and abilities it has."""

    model: ChatModel

    @property
    def name(self) -> str:
        """The inner model's: known replies are found by it."""
        return self.model.name

    @property
    def is_local(self) -> bool:
        """Return the inner model's value."""
        return self.model.is_local

    @property
    def can_choose(self) -> bool:
        """Return the inner model's value."""
        return self.model.can_choose


@runtime_checkable
class Scorer(Protocol):
    """Log-likelihoods, for perplexity and label scoring."""

    def loglikelihoods(self, asks: Sequence[Ask], answers: Sequence[str]) -> list[tuple[float, int]]:
        """Return for each pair the answer's summed natural log-probability (with end token), and its tokens."""


@runtime_checkable
class Tokenizer(Protocol):
    """Counts and renders as the model does."""

    def count(self, text: str) -> int:
        """Return tokens of a plain text, without special ones."""

    def render(self, turns: Sequence[Turn]) -> str:
        """Return the chat template's text for these turns, open for the assistant."""

    def render_whole(self, turns: Sequence[Turn], tools: Any = None) -> str:
        """Return the chat template's text for finished turns. Raises RungError if it leaves out a call of the last."""


@runtime_checkable
class Embedder(Protocol):
    """Texts as points: near in meaning, near in angle."""

    @property
    def name(self) -> str:
        """Folder or package and its version, as reports print it."""

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Any:
        """Return a numpy array of 32-bit floats, one row of length 1 for each text."""


Kind = Literal["key", "money", "model", "request", "rate", "busy", "timeout", "connection", "garbled"]
AGAIN = frozenset({"rate", "busy", "timeout", "connection"})
TURNED_AWAY = frozenset({"rate", "busy"})
"""Kinds with which a server says that it did not work on the request."""
UNCERTAIN = frozenset({"timeout", "connection", "garbled"})
"""Kinds after which the server may have done the work all the same."""


class ChatError(RungError):
    """A model could not be asked. `kind` says what failed; `again` whether a later try may succeed.

    `wait` is how many seconds the server asked for; `tries` how often it was asked; `cost_usd` what those tries are
    known to have cost; `unsent` that no connection was made; `replies` what came before the failure, None if nothing
    did.
    """

    def __init__(self, kind: Kind, message: str, hint: str = "", *, where: str = "", wait: float | None = None) -> None:
        super().__init__(message, hint, where=where)
        self.kind = kind
        self.wait = wait
        self.tries = 1
        self.unsent = False
        self.cost_usd = 0.0
        self.replies: list[Reply | None] = []

    @property
    def again(self) -> bool:
        """True if the same call may succeed later."""
        return self.kind in AGAIN

    @property
    def may_be_paid(self) -> bool:
        """True if it cannot be known here whether the call was charged."""
        return self.kind in UNCERTAIN and not self.unsent and not self.cost_usd


@runtime_checkable
class Streaming(Protocol):
    """A model that answers several asks at once and yields each as it comes."""

    def stream(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply | ChatError]]:
        """`(number of the ask, its reply or why there is none)`, in any order."""


class StreamedModel(ABC):
    """A model whose answers are those of its stream."""

    @abstractmethod
    def stream(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply | ChatError]]:
        """Yield each reply, or why there is none, as it comes."""

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Return all replies in order. Raises the first ChatError once no call is open; its `replies` have the rest."""
        found: list[Reply | None] = [None] * len(asks)
        failures: list[ChatError] = []
        until_failure = takewhile(lambda _: not failures, asks)
        for done, (number, reply) in enumerate(self.stream(until_failure), 1):
            if isinstance(reply, ChatError):
                failures.append(reply)
            else:
                found[number] = reply
            if progress:
                progress(done, len(asks))
        if failures:
            failures[0].replies = found
            raise failures[0]
        return [reply for reply in found if reply is not None]


def replies(model: ChatModel, asks: Iterable[Ask], *, chunk: int = 24) -> Iterator[tuple[int, Reply | ChatError]]:
    """`(number of the ask, its reply or why there is none)`: concurrent where the model can, else chunk by chunk."""
    if isinstance(model, Streaming):
        yield from model.stream(asks)
        return
    source = iter(asks)
    start = 0
    while some := list(islice(source, chunk)):
        for place, reply in enumerate(model.answer(some)):
            yield start + place, reply
        start += len(some)
