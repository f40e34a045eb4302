"""A hosted model asked by its provider's batches: half the price, up to a day of time, resumed after a kill."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from chat.batching import batching
from chat.errors import ChatError
from chat.prices import Usage
from chat.privacy import Guarded
from chat.protocols import Ask, ChatModel, Progress, Reply
from chat.stream import collect
from evaluation.ask import key_of
from workspace.artefact import now
from workspace.errors import Refusal
from workspace.files import write_text

SOON, LATEST = 1.0, 60.0
"""Seconds between the first two looks at a batch, and the most between two."""
UNCERTAIN = ("timeout", "connection", "garbled")
"""Failures after which the server may have the batch all the same."""


def in_batches(model: ChatModel, folder: Path, say: Callable[[str], None]) -> ChatModel:
    """The model, asked by batches that `folder` remembers, behind the same guard.

    Raises RungError where it takes none.
    """
    asking = BatchedModel(batching(model), folder, say)
    return Guarded(asking, model.guard, model.provider, model.host) if isinstance(model, Guarded) else asking


class BatchedModel:
    """Sends all asks as one batch and waits for it. What was sent is in `folder` until every result was fetched."""

    def __init__(self, model: Any, folder: Path, say: Callable[[str], None]) -> None:
        self.model = model
        self.folder = folder
        self.say = say
        self.tried = False
        """Whether one ask went by itself, so that parameters which the model refuses are known before a batch."""

    @property
    def name(self) -> str:
        """The model's own: replies are the same, however they were asked for."""
        return str(self.model.name)

    @property
    def is_local(self) -> bool:
        """As the model's."""
        return bool(self.model.is_local)

    @property
    def can_choose(self) -> bool:
        """As the model's."""
        return bool(self.model.can_choose)

    @property
    def notices(self) -> list[str]:
        """As the model's."""
        return list(self.model.notices)

    def cost(self, usage: Usage) -> float | None:
        """USD of a call in a batch."""
        return cast("float | None", self.model.cost(usage, batch=True))

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """All replies in order. Raises the first ChatError."""
        return collect(self.stream, asks, progress)

    def stream(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply | ChatError]]:
        """Each reply or why there is none, when its batch has ended."""
        listed = list(asks)
        waiting = {key_of(self.name, ask): number for number, ask in enumerate(listed)}
        for path in sorted(self.folder.glob("*.json")):
            known = waiting.keys() & set(json.loads(path.read_text(encoding="utf-8"))["keys"])
            if known:
                yield from self._fetched(path, {key: listed[waiting[key]] for key in known}, waiting)
                waiting = {key: number for key, number in waiting.items() if key not in known}
        if waiting and not self.tried:
            key, number = next(iter(waiting.items()))
            self.tried = True
            yield from ((number, reply) for _, reply in self.model.stream([listed[number]]))
            del waiting[key]
        if waiting:
            left = {key: listed[number] for key, number in waiting.items()}
            yield from self._fetched(self._sent(left), left, waiting)

    def _sent(self, asks: Mapping[str, Ask]) -> Path:
        """Send one batch. Its file is written before and after the call, so that a crash in between is seen."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{next(iter(asks))[:16]}.json"
        content = {"id": None, "at": now().isoformat(), "model": self.name, "keys": list(asks)}
        write_text(path, json.dumps(content))
        try:
            batch = self.model.send_batch(asks)
        except ChatError as error:
            if error.kind not in UNCERTAIN:
                path.unlink()
            raise
        write_text(path, json.dumps({**content, "id": batch}))
        self.say(f"Batch {batch}: {len(asks):,} calls sent. Stop at any time: a rerun continues.")
        return path

    def _fetched(
        self, path: Path, asks: Mapping[str, Ask], numbers: Mapping[str, int]
    ) -> Iterator[tuple[int, Reply | ChatError]]:
        """The results of a batch, when it has ended; its file goes once all of them were taken."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["id"] is None:
            text = (
                f"A batch of {len(kept['keys'])} calls was being sent at {kept['at']}; whether it arrived is unknown."
            )
            way = f"Look at the provider's console. If it is not there: rm {path}   (else it would be paid twice)"
            raise Refusal(text, way, where=str(path))
        self._wait(kept["id"])
        left = set(asks)
        for key, reply in self.model.batch_results(kept["id"], asks):
            left.discard(key)
            yield numbers[key], reply
        for key in sorted(left):
            text = f"Batch {kept['id']} has no result for this call."
            yield numbers[key], ChatError("request", text, where=path.name)
        path.unlink()

    def _wait(self, batch: str) -> None:
        pause, told = SOON, -1
        while not (state := self.model.batch_state(batch)).ended:
            if state.done != told:
                self.say(f"Batch {batch}: {state.done:,} done, {state.waiting:,} pending.")
            told = state.done
            time.sleep(pause)
            pause = min(LATEST, 1.5 * pause)
