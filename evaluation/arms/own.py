"""`own:NAME`: a system of the user's own on the same items, such as the one in production, a RAG or an agent.

`[arms.NAME] url` in rung.toml is a service, `arms/NAME.py` with `answer(messages) -> str` a function.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chat.calls import several
from chat.endpoint import exchange, http_place
from chat.keys import key_for
from chat.privacy import Guard, Guarded
from chat.protocols import Ask, ChatError, ChatModel, Reply, StreamedModel, Turn
from chat.tool_calls import openai_turns
from evaluation.arms.arm_material import ArmMaterial, Variant
from evaluation.metrics.item_metrics import own_function
from workspace.errors import RungError, did_you_mean
from workspace.files import sha256_bytes, sha256_file
from workspace.folder import Project
from workspace.settings import OwnSystemSettings, Settings
from workspace.trust import ARMS, codes, is_this_machine

OWN = "own:"
Answer = Callable[[Sequence[Turn]], str]
"""Maps the messages of an item to the system's answer. Raises ChatError."""
ITS_OWN = frozenset({"request", "busy", "timeout", "garbled"})
"""Kinds of failures that are the system's own: after the tries they count as an item that was not answered."""
PAUSE = 0.5
"""Seconds before the second try; doubled for each further one."""


@dataclass(frozen=True)
class OwnSystem(StreamedModel):
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

    def _reply(self, ask: Ask, stop: threading.Event) -> Reply:
        started = time.perf_counter()
        for left in reversed(range(self.tries)):
            try:
                text = self.one(ask.turns)
                return Reply(text, 0, 0, time.perf_counter() - started, cost_usd=self.cost_usd)
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

    def one(turns: Sequence[Turn]) -> str:
        if at.model:
            body = {"model": at.model, "messages": openai_turns(turns)}
            found = exchange(f"{address.rstrip('/')}/chat/completions", body, key, host, at.timeout)
        else:
            found = exchange(address, {"messages": [dict(turn) for turn in turns]}, key, host, at.timeout)
        try:
            said: Any = found["choices"][0]["message"]["content"] if at.model else found["answer"]
        except (KeyError, IndexError, TypeError):
            said = None
        if not isinstance(said, str):
            place = "choices[0].message.content" if at.model else "answer"
            raise ChatError("garbled", f'{host} sent no text as "{place}".', where=host)
        return said

    named = f"{name} ({host}{f', {at.model}' * bool(at.model)})"
    model = OwnSystem(named, one, here, at.workers, 0.0 if here else None, at.tries)
    return model if here else Guarded(model, guard, "own", host)


def variants(material: ArmMaterial) -> list[Variant]:
    """One: the item's messages as they are."""
    return [Variant({}, tuple)]


def open_own(project: Project, settings: Settings, arms: Iterable[str], guard: Guard) -> dict[str, ChatModel]:
    """Return the systems of `own:NAME` in `arms`. RungError for an unknown name, Refusal by privacy answer or trust."""
    return {arm: _open(project, settings, arm.removeprefix(OWN), guard) for arm in arms if arm.startswith(OWN)}


def systems(project: Project, settings: Settings) -> dict[str, str]:
    """Return each `own:NAME` of the project, with a hash of where it is: its address and model, or its code."""
    files = {f"{OWN}{path.stem}": sha256_file(path) for path in codes(project.root, ARMS)}
    named = {f"{OWN}{name}": sha256_bytes(f"{at.url} {at.model}".encode()) for name, at in settings.arms.items()}
    return files | named


def _open(project: Project, settings: Settings, name: str, guard: Guard) -> ChatModel:
    files = {path.stem: path for path in codes(project.root, ARMS)}
    if name in files and name in settings.arms:
        raise RungError(f"{ARMS}/{name}.py and [arms.{name}] are both there; rename one.", where="rung.toml")
    if name in settings.arms:
        return own_service(name, settings.arms[name], guard)
    if name not in files:
        known = [*settings.arms, *files]
        raise RungError(
            f'No system is called "{name}".{did_you_mean(name, known)}',
            f'[arms.{name}] url = "http://..." in rung.toml, or {ARMS}/{name}.py',
            where=f"{OWN}{name}",
        )
    path = files[name]
    _, answer = own_function(project.root, path, "answer(messages)")

    def one(turns: Sequence[Turn]) -> str:
        try:
            said = answer([dict(turn) for turn in turns])
        except (Exception, SystemExit) as error:
            raise ChatError(
                "request", f"{ARMS}/{path.name}: {type(error).__name__}: {error}.", where=path.name
            ) from error
        if not isinstance(said, str):
            raise ChatError("request", f"{ARMS}/{path.name}: gave {said!r:.80}, not a text.", where=path.name)
        return said

    return OwnSystem(f"{name} ({ARMS}/{path.name} {sha256_file(path)[:8]})", one, is_local=True)
