"""Calls to a server: failures in words, patience with a limit, several at once, and each reply as it comes."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from queue import SimpleQueue
from types import ModuleType
from typing import Any, TypeVar

from chat.errors import ChatError, Kind
from chat.keys import without_keys
from chat.protocols import Ask, Reply

Answer = TypeVar("Answer")
_STATUS: dict[int, Kind] = {401: "key", 403: "key", 402: "money", 404: "model", 408: "busy", 409: "busy", 429: "rate"}
_WORDS: dict[Kind, str] = {
    "key": "refused the key",
    "money": "asks for payment",
    "model": "does not know this model",
    "request": "refused the request",
    "rate": "says: too many requests",
    "busy": "is overloaded or failing",
    "timeout": "did not answer in time",
    "connection": "could not be reached, or the connection broke",
    "garbled": "sent something that is not an answer (a proxy's page, or broken JSON)",
}
_HINTS: dict[Kind, str] = {
    "key": "Check the key in the environment (or the keyring). A host of rung.toml gets it only after: rung trust",
    "model": "Check [model] base or --model.",
    "garbled": "Check base_url, and whether a proxy or login page answers instead.",
    "rate": "Try again later; what came is kept.",
    "busy": "Try again later; what came is kept.",
    "timeout": "Try again later; what came is kept.",
    "connection": "Check base_url and the network; what came is kept.",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried, and the longest wait between two tries, whatever the server asks for."""

    tries: int = 4
    longest: float = 60.0
    first: float = 0.5


def explain(sdk: ModuleType, error: Exception, host: str) -> ChatError | None:
    """The failure in words; None for one that is not the server's (a fault of ours must stay visible)."""
    if isinstance(error, ChatError):
        return error
    if isinstance(error, sdk.APIResponseValidationError | json.JSONDecodeError):
        return _said("garbled", host, "")
    if isinstance(error, sdk.APITimeoutError):
        return _said("timeout", host, "")
    if isinstance(error, sdk.APIConnectionError):
        return _said("connection", host, str(error.__cause__ or ""))
    if isinstance(error, sdk.APIStatusError):
        return _of_status(error, host)
    return None


def _of_status(error: Any, host: str) -> ChatError:
    status = int(error.status_code)
    kind: Kind = _STATUS.get(status, "busy" if status >= 500 or status == 200 else "request")
    return _said(kind, f"{host} ({status})", _body_message(error), _wait(error.response.headers))


def _said(kind: Kind, host: str, detail: str, wait: float | None = None) -> ChatError:
    detail = without_keys(" ".join(detail.split()))[:300]
    message = f"{host} {_WORDS[kind]}" + (f": {detail}" if detail else ".")
    return ChatError(kind, message, _HINTS.get(kind, ""), where=host, wait=wait)


def _body_message(error: Any) -> str:
    """The server's own sentence, without the request or any header."""
    body = error.body
    for step in ("error", "message"):
        if isinstance(body, Mapping) and step in body:
            body = body[step]
    return body if isinstance(body, str) else ""


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of `retry-after-ms` or `retry-after` (a number or a date)."""
    raw = headers.get("retry-after-ms")
    try:
        if raw is not None:
            return float(raw) / 1000
        raw = headers.get("retry-after")
        return None if raw is None else float(raw)
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(str(raw)) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def patiently(
    call: Callable[[], Answer], sdk: ModuleType, host: str, patience: Patience, stop: threading.Event
) -> Answer:
    """Make the call, and again after failures that pass.

    `retry-after` is obeyed up to the longest wait; a server that asks for more is not waited for. Raises ChatError.
    """
    delay = patience.first
    for attempt in range(1, patience.tries + 1):
        try:
            return call()
        except Exception as error:
            failure = explain(sdk, error, host)
            if failure is None:
                raise
            asked = failure.wait if failure.wait is not None else delay * random.uniform(0.8, 1.2)
            if not failure.again or attempt == patience.tries or asked > patience.longest:
                raise _after(failure, attempt, asked, patience) from error
        if stop.wait(asked):
            raise ChatError("connection", f"{host}: stopped before the next try.", where=host)
        delay = min(2 * delay, patience.longest)
    raise AssertionError("unreachable")


def _after(failure: ChatError, attempt: int, asked: float, patience: Patience) -> ChatError:
    if failure.again and asked > patience.longest:
        failure.message += f" It asks to wait {asked:,.0f} s; Rung waits {patience.longest:.0f} s at most."
    elif attempt > 1:
        failure.message += f" Tried {attempt} times."
    return failure


def several(
    one: Callable[[Ask], Reply], asks: Iterable[Ask], workers: int, stop: threading.Event
) -> Iterator[tuple[int, Reply | ChatError]]:
    """Ask up to `workers` at once; yield the number and the reply or failure of each as it comes.

    `asks` is read only as far as there is room, so that its maker can stop in between (a budget, a privacy answer);
    what it raises is raised here after the calls under way have come back. After a refused key or an unknown model
    nothing more is asked. Threads are daemons: a call under way never holds up the end of the program.
    """
    came: SimpleQueue[tuple[int, Reply | Exception]] = SimpleQueue()
    source = _Source(asks)
    running = 0
    try:
        while True:
            while running < workers and (entry := source.next()):
                threading.Thread(target=_run, args=(one, entry, came), name="ask", daemon=True).start()
                running += 1
            if not running:
                break
            number, result = came.get()
            running -= 1
            if isinstance(result, ChatError) and result.kind in ("key", "model", "money"):
                source.ended = True
            if isinstance(result, Exception) and not isinstance(result, ChatError):
                raise result
            yield number, result
    finally:
        stop.set()
    if source.fault:
        raise source.fault


class _Source:
    """The asks, until they end or their maker raises; then `fault` holds what it raised."""

    def __init__(self, asks: Iterable[Ask]) -> None:
        self.entries = enumerate(asks)
        self.ended = False
        self.fault: Exception | None = None

    def next(self) -> tuple[int, Ask] | None:
        """The next number and ask, None at the end."""
        if self.ended:
            return None
        try:
            return next(self.entries)
        except StopIteration:
            self.ended = True
        except Exception as fault:
            self.ended, self.fault = True, fault
        return None


def _run(one: Callable[[Ask], Reply], entry: tuple[int, Ask], came: SimpleQueue[tuple[int, Reply | Exception]]) -> None:
    number, ask = entry
    try:
        came.put((number, one(ask)))
    except Exception as error:
        came.put((number, error))
