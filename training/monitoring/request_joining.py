"""Lines into requests: a request line and its answer, and feedback that came on lines of its own."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from training.monitoring.log_lines import SAYING, LogPart
from training.monitoring.pii import masked_text

HALVES = {"request": "a request without its answer", "response": "an answer without its request"}
ROW = (
    f"a row with its answer among the messages, not a logged request: none of {', '.join(SAYING)} is beside them; "
    "rung data import takes rows"
)
SEVERAL = "feedback on a trace of several requests, none of which it names"


@dataclass
class JoinedRequests:
    """Complete requests in order of their first line; incomplete lines, with a reason; feedback on other requests."""

    requests: list[LogPart] = field(default_factory=list)
    aside: list[tuple[int, str]] = field(default_factory=list)
    feedback: list[LogPart] = field(default_factory=list)
    joined: int = 0
    """Lines beyond the first of a request, feedback lines that found theirs among them."""


class Finder:
    """Finds the request of a feedback: the last one that has the id, or the only one of that trace."""

    def __init__(self, requests: Iterable[tuple[Iterable[str], str]]) -> None:
        self.by_name: dict[str, int] = {}
        self.by_trace: dict[str, list[int]] = {}
        for n, (names, trace) in enumerate(requests):
            self.by_name.update(dict.fromkeys(names, n))
            self.by_trace.setdefault(trace, []).append(n)

    def find(self, names: Iterable[str], trace: str) -> int | None:
        """Return its place among the requests; None if none is meant, or it may be one of several."""
        for name in names:
            if name in self.by_name:
                return self.by_name[name]
        if not trace or self.holds_several(trace):
            return None
        return self.by_trace[trace][0] if trace in self.by_trace else self.by_name.get(trace)

    def holds_several(self, trace: str) -> bool:
        """True if a trace is named that holds more than one request."""
        return bool(trace) and len(self.by_trace.get(trace, ())) > 1


def join(parts: Iterable[LogPart], model: str = "") -> JoinedRequests:
    """Put together what belongs together, by the ids that lines share; then set aside requests to another `model`."""
    found = JoinedRequests()
    waiting: dict[str, LogPart] = {}
    alone: dict[int, LogPart] = {}
    said_later: list[LogPart] = []
    for part in parts:
        if part.kind == "other":
            found.aside.append((part.line, part.why))
        elif part.kind == "feedback":
            said_later.append(part)
        elif part.kind == "whole":
            found.requests.append(part)
        elif (half := _other_half(part, waiting)) is None:
            alone[part.line] = part
        else:
            del alone[half.line]
            found.requests.append(_whole(*((part, half) if part.kind == "request" else (half, part))))
    for each in alone.values():
        is_row = bool(each.messages) and each.messages[-1].get("role") == "assistant"  # as training rows end
        found.aside.append((each.line, ROW if is_row else HALVES[each.kind]))
    finder = Finder((request.ids, request.trace) for request in found.requests)
    _attach(said_later, found, finder)
    found.requests = [
        replace(each, trace="") if finder.holds_several(each.trace) else each
        for each in sorted(found.requests, key=lambda part: part.line)
    ]
    if model:
        _only(model, found)
    found.joined = sum(len(request.more) for request in found.requests)
    return found


def _only(model: str, found: JoinedRequests) -> None:
    """Requests to this model, or to none that is named; the others aside, with all lines that belong to them."""
    others = [request for request in found.requests if request.model not in ("", model)]
    found.requests = [request for request in found.requests if request.model in ("", model)]
    for request in others:
        why = f"of a request to {masked_text(request.model)}"
        found.aside += [(line, why) for line in (request.line, *request.more)]


def _other_half(part: LogPart, waiting: dict[str, LogPart]) -> LogPart | None:
    """Return the answer to this request, or the request of this answer, by a shared id; else the part waits for it."""
    half = next((waiting[name] for name in part.ids if name in waiting and waiting[name].kind != part.kind), None)
    if half is None:
        waiting.update(dict.fromkeys(part.ids, part))
        return None
    for name in half.ids:
        if waiting.get(name) is half:
            del waiting[name]
    return half


def _whole(asked: LogPart, answer: LogPart) -> LogPart:
    """Return the request with its answer, and with what only the answer's line knows."""
    ids = tuple(dict.fromkeys((*asked.ids, *answer.ids)))
    names = ("model", "at", "seconds", "input_tokens", "output_tokens", "cost_usd", "trace")
    fresh = {name: getattr(answer, name) for name in names if getattr(asked, name) in (None, "")}
    feedback = answer.feedback.over(asked.feedback)
    return replace(asked, kind="whole", said=answer.said, more=(answer.line,), ids=ids, feedback=feedback, **fresh)


def _attach(said_later: Iterable[LogPart], found: JoinedRequests, finder: Finder) -> None:
    for part in said_later:
        at = finder.find(part.ids, part.trace)
        if at is None:
            why = "" if part.ids or part.trace else "feedback that names no request"
            why = SEVERAL if not part.ids and finder.holds_several(part.trace) else why
            if why:
                found.aside.append((part.line, why))
            else:
                found.feedback.append(part)
            continue
        request = found.requests[at]
        more = (*request.more, part.line)
        found.requests[at] = replace(request, feedback=part.feedback.over(request.feedback), more=more)
