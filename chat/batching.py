"""Hosted models that take batches: half the price, minutes to a day of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from chat.errors import ChatError
from chat.hosted import BatchState
from chat.privacy import Guarded
from chat.protocols import Ask, ChatModel, Reply
from workspace.errors import RungError


@runtime_checkable
class Batching(Protocol):
    """A hosted model that takes batches; `ask_once` and the rest are as of any other."""

    def send_batch(self, asks: Mapping[str, Ask]) -> str:
        """Hand over a batch; returns its id."""

    def batch_state(self, batch: str) -> BatchState:
        """How far it is."""

    def batch_results(self, batch: str, asks: Mapping[str, Ask]) -> Iterator[tuple[str, Reply | ChatError]]:
        """The results of an ended batch."""


def batching(model: ChatModel) -> Batching:
    """The hosted model below its guard. Raises RungError where it takes no batches."""
    inner = model.model if isinstance(model, Guarded) else model
    if not isinstance(inner, Batching):
        raise RungError(f"{model.name} takes no batches.", "leave --batch out", where="--batch")
    return inner
