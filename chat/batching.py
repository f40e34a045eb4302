"""Batches of hosted models: half the price, minutes to a day of time. Each outlives the program that sent it."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.hosted import BatchState, Hosted
from chat.prices import Usage
from chat.privacy import Guarded, unguarded
from chat.protocols import (
    UNCERTAIN,
    Ask,
    ChatError,
    ChatModel,
    ModelWrapper,
    Reply,
    StreamedModel,
    request_key,
)
from workspace.artefact import now
from workspace.errors import Refusal, RungError
from workspace.files import write_text

SOON, LATEST = 1.0, 60.0
"""Seconds between the first two looks at a batch, and the most between two."""


def takes_batches(model: ChatModel | None) -> bool:
    """True if the guarded model is behind a server that takes batches."""
    return isinstance(unguarded(model), Hosted)


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch as its file keeps it: `id` is None until the server gave one, `orders` has what each request is for."""

    path: Path
    id: str | None
    at: str
    model: str
    orders: Mapping[str, Any]


def sent_batches(folder: Path) -> list[SentBatch]:
    """Return batches that were sent and not yet fetched, the oldest first."""
    kept = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in folder.glob("*.json")]
    found = [SentBatch(path, **each) for path, each in kept]
    return sorted(found, key=lambda batch: (batch.at, batch.path))


class Batches:
    """A model's batches: `folder` has a file for each, until all its results were taken."""

    def __init__(self, model: ChatModel, folder: Path) -> None:
        """Raises RungError if the model takes no batches."""
        inner = unguarded(model)
        if not isinstance(inner, Hosted):
            raise RungError(f"{model.name} takes no batches.", "leave --batch out", where="--batch")
        self.model, self.inner, self.folder = model, inner, folder

    def send(self, asks: Mapping[str, Ask], orders: Mapping[str, Any]) -> str:
        """Send one batch; returns its id. Its file is written before and after, so that a crash in between is seen."""
        if isinstance(self.model, Guarded):
            self.model.allow()
        path = self.folder / f"{next(iter(asks))[:16]}.json"
        content = {"id": None, "at": now().isoformat(), "model": self.inner.name, "orders": orders}
        _write(path, content)
        try:
            batch = self.inner.send_batch(asks)
        except ChatError as error:
            if error.kind not in UNCERTAIN:
                path.unlink()
            raise
        _write(path, {**content, "id": batch})
        return batch

    def state(self, sent: SentBatch) -> BatchState:
        """Return the state of a batch. Raises Refusal if it is uncertain whether it was sent."""
        if sent.id is None:
            told = f"A batch of {len(sent.orders):,} calls was being sent at {sent.at}; whether it arrived is unknown."
            way = f"Look at the provider's console. If it is not there: rm {sent.path}   (else it would be paid twice)"
            raise Refusal(told, way, where=str(sent.path))
        return self.inner.batch_state(sent.id)

    def results(self, sent: SentBatch, asks: Mapping[str, Ask]) -> Iterator[tuple[str, Reply | ChatError]]:
        """Yield the result of each ask of an ended batch by its key; what `asks` leaves out can be fetched later."""
        left = set(asks)
        for key, reply in self.inner.batch_results(str(sent.id), asks):
            if key in left:
                left.discard(key)
                yield key, reply
        for key in sorted(left):
            yield key, ChatError("request", f"Batch {sent.id} has no result for this call.", where=sent.path.name)
        rest = {key: order for key, order in sent.orders.items() if key not in asks}
        if rest:
            _write(sent.path, {"id": sent.id, "at": sent.at, "model": sent.model, "orders": rest})
        else:
            sent.path.unlink()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def in_batches(model: ChatModel, folder: Path, say: Callable[[str], None]) -> ChatModel:
    """Return the model, asked by the batches of `folder`, behind the same guard. Raises RungError if it takes none."""
    batches = Batches(unguarded(model), folder)
    asking = BatchedModel(batches, say)
    return Guarded(asking, model.guard, model.provider, model.host) if isinstance(model, Guarded) else asking


class BatchedModel(ModelWrapper, StreamedModel):
    """Sends all asks as one batch and waits for it; what an earlier command sent is fetched first."""

    def __init__(self, batches: Batches, say: Callable[[str], None]) -> None:
        self.batches = batches
        self.model = batches.inner
        self.notices = batches.inner.notices
        self.say = say
        self.tried = False
        """True if one call was made alone, so that refused parameters are known before a batch is sent."""

    def cost(self, usage: Usage) -> float | None:
        """USD of a call in a batch."""
        return self.batches.inner.cost(usage, batch=True)

    def stream(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply | ChatError]]:
        """Yield each reply or why there is none, when its batch has ended."""
        listed = list(asks)
        waiting = {request_key(self.name, ask): number for number, ask in enumerate(listed)}
        yield from self._fetched(listed, waiting)
        if waiting and not self.tried:
            self.tried = True
            number = waiting.pop(next(iter(waiting)))
            yield from ((number, reply) for _, reply in self.batches.inner.stream([listed[number]]))
        if waiting:
            batch = self.batches.send({key: listed[n] for key, n in waiting.items()}, dict.fromkeys(waiting))
            self.say(f"Batch {batch}: {len(waiting):,} calls sent. Stop at any time: a rerun continues.")
            yield from self._fetched(listed, waiting)

    def _fetched(self, listed: Sequence[Ask], waiting: dict[str, int]) -> Iterator[tuple[int, Reply | ChatError]]:
        """Yield the results of the batches that have some of what is waited for, each when it has ended."""
        for sent in sent_batches(self.batches.folder):
            known = {key: listed[waiting[key]] for key in waiting if key in sent.orders}
            if known:
                self._wait(sent)
                for key, reply in self.batches.results(sent, known):
                    yield waiting.pop(key), reply

    def _wait(self, sent: SentBatch) -> None:
        pause, told = SOON, -1
        while not (state := self.batches.state(sent)).ended:
            if state.done != told:
                self.say(f"Batch {sent.id}: {state.done:,} done, {state.waiting:,} pending.")
            told = state.done
            time.sleep(pause)
            pause = min(LATEST, 1.5 * pause)
