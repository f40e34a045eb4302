"""Each reply as it comes, from any model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, runtime_checkable

from chat.errors import ChatError
from chat.protocols import Ask, ChatModel, Progress, Reply

Stream = Callable[[Iterable[Ask]], Iterator[tuple[int, Reply | ChatError]]]


@runtime_checkable
class Streaming(Protocol):
    """A model that answers several asks at once and yields each as it comes."""

    def stream(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply | ChatError]]:
        """`(number of the ask, its reply or why there is none)`, in any order."""


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


def collect(stream: Stream, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
    """Return all replies in order. Raises the first ChatError when no call is open; its `replies` hold the others."""
    found: list[Reply | None] = [None] * len(asks)
    failures: list[ChatError] = []

    def until_failure() -> Iterator[Ask]:
        for ask in asks:
            if failures:
                return
            yield ask

    for done, (number, reply) in enumerate(stream(until_failure()), 1):
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
