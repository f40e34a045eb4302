"""Calls to a server: failures in words, the pace of calls, several at once, and each reply as it comes."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from queue import SimpleQueue
from types import ModuleType
from typing import Any

from chat.keys import without_keys
from chat.protocols import Ask, ChatError, Kind, Reply
from workspace.interrupt import held_interrupt

Came = tuple[int, Reply | Exception]
TRANSPORTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
"""Libraries below the SDKs: a stream that breaks off raises their errors, which no SDK wraps."""
UNSENT = frozenset({"ConnectError", "ConnectTimeout"})
"""Their errors before a request was sent."""
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
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
    """Tries of a call while nothing else succeeds, and the longest wait between two, whatever the server asks."""

    tries: int = 4
    longest: float = 60.0
    first: float = 0.5


class Pace:
    """Start time of the next call to a model, shared by all threads.

    A server's limit holds for all of them, so one that was turned away makes all wait. `per_minute` is a stated rate;
    0 leaves it to the server.
    """

    def __init__(self, per_minute: float = 0.0) -> None:
        self.every = 60.0 / per_minute if per_minute else 0.0
        self.successes = 0
        self._next = 0.0
        self._lock = threading.Lock()

    def turn(self, stop: threading.Event) -> bool:
        """Wait until a call may begin; False where `stop` was set before."""
        while True:
            with self._lock:
                wait = self._next - time.monotonic()
                if wait <= 0:
                    self._next = time.monotonic() + self.every
                    return not stop.is_set()
            if stop.wait(wait):
                return False

    def hold(self, seconds: float) -> None:
        """Let no call begin for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def succeeded(self) -> None:
        """Record that a call was answered."""
        with self._lock:
            self.successes += 1


def explain(sdk: ModuleType, error: Exception, host: str) -> ChatError | None:
    """Return the failure in words; None for one that is not the server's (a fault of ours must stay visible)."""
    if isinstance(error, ChatError):
        return error
    if isinstance(error, sdk.APIResponseValidationError | json.JSONDecodeError):
        return _said("garbled", host, "")
    if isinstance(error, sdk.APIConnectionError):
        late = isinstance(error, sdk.APITimeoutError)
        said = _said("timeout", host, "") if late else _said("connection", host, str(error.__cause__ or ""))
        said.unsent = type(error.__cause__).__name__ in UNSENT
        return said
    if isinstance(error, sdk.APIStatusError):
        return _of_status(error, host)
    if type(error).__module__.partition(".")[0] in TRANSPORTS:
        return _said("connection", host, str(error))
    return None


@contextmanager
def understood(host: str) -> Iterator[None]:
    """Raise ChatError where an answer is read that is not of the form that the API describes."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise _said("garbled", host, "") from error


def inside_a_200(found: Any, host: str) -> ChatError | None:
    """Return the failure that a proxy wrote into an answer with status 200: `{"error": {"message", "code"}}`."""
    said = getattr(found, "error", None)
    if not said:
        return None
    table = said if isinstance(said, Mapping) else {"message": said}
    code = str(table.get("code"))
    status = int(code) if code.isdigit() else 500
    return _said(kind_of(status), f"{host} ({status})", str(table.get("message") or ""))


def kind_of(status: int) -> Kind:
    """Return the kind of failure that a status means."""
    return _STATUS.get(status, "busy" if status >= 500 or status == 200 else "request")


def _of_status(error: Any, host: str) -> ChatError:
    status = int(error.status_code)
    wait = _wait(error.response.headers)
    in_body = re.search(r"retryDelay\W+([\d.]+)s", str(error.body)) if wait is None else None
    wait = float(in_body[1]) if in_body else wait
    return _said(kind_of(status), f"{host} ({status})", body_message(error), wait)


def _said(kind: Kind, host: str, detail: str, wait: float | None = None) -> ChatError:
    detail = without_keys(" ".join(detail.split()))[:300]
    message = f"{host} {_WORDS[kind]}" + (f": {detail}" if detail else ".")
    return ChatError(kind, message, _HINTS.get(kind, ""), where=host, wait=wait)


def body_message(error: Any) -> str:
    """Return the server's own sentence, without the request or any header. Gemini's errors are a list of one."""
    body = error.body
    body = body[0] if isinstance(body, list) and body else body
    for step in ("error", "message"):
        if isinstance(body, Mapping) and step in body:
            body = body[step]
    return body if isinstance(body, str) else ""


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of `retry-after-ms`, of `retry-after` (a number or a date), else until the limit of requests is reset."""
    raw = headers.get("retry-after-ms")
    try:
        if raw is not None:
            return float(raw) / 1000
        raw = headers.get("retry-after")
        if raw is not None:
            return float(raw)
    except ValueError:
        pass
    try:
        if raw is not None:
            return _until(parsedate_to_datetime(str(raw)))
        if (raw := headers.get("anthropic-ratelimit-requests-reset")) is not None:
            return _until(datetime.fromisoformat(raw))
    except (ValueError, TypeError):
        return None
    parts = re.findall(r"([\d.]+)(ms|[smh])", headers.get("x-ratelimit-reset-requests") or "")
    return sum(float(number) * SECONDS[unit] for number, unit in parts) if parts else None


def _until(then: datetime) -> float:
    return max(0.0, (then - datetime.now(UTC)).total_seconds())


def several(
    one: Callable[[Ask], Reply], asks: Iterable[Ask], workers: int, stop: threading.Event
) -> Iterator[tuple[int, Reply | ChatError]]:
    """Ask up to `workers` at once; yield the number and the reply or failure of each as it comes.

    `asks` is read only as far as there is room, so that its maker can stop in between (a budget, a privacy answer);
    what it raises is raised here after the calls under way have come back, and so is the first interrupt: their answers
    are paid for. After a refused key or an unknown model nothing more is asked. Threads are daemons: after a second
    interrupt a call under way does not hold up the end of the program.
    """
    entries, came = enumerate(asks), SimpleQueue[Came]()
    faults: list[Exception] = []
    under_way, ended = 0, False

    def end() -> None:
        nonlocal ended
        stop.set()
        ended = True

    try:
        with held_interrupt(end):
            while True:
                while under_way < workers and not ended and (entry := _next(entries, faults)):
                    threading.Thread(target=_run, args=(one, entry, came), name="ask", daemon=True).start()
                    under_way += 1
                if not under_way:
                    break
                number, result = came.get()
                under_way -= 1
                if isinstance(result, ChatError) and result.kind in ("key", "model", "money"):
                    ended = True
                if isinstance(result, Exception) and not isinstance(result, ChatError):
                    raise result
                yield number, result
    finally:
        stop.set()
    if faults:
        raise faults[0]


def _next(entries: Iterator[tuple[int, Ask]], faults: list[Exception]) -> tuple[int, Ask] | None:
    """Return the next number and ask; None at the end, and where their maker raises: that is added to `faults`."""
    try:
        return next(entries, None)
    except Exception as fault:
        faults.append(fault)
        return None


def _run(one: Callable[[Ask], Reply], entry: tuple[int, Ask], came: SimpleQueue[Came]) -> None:
    number, ask = entry
    try:
        came.put((number, one(ask)))
    except Exception as error:
        came.put((number, error))
