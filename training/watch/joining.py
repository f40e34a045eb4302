"""Lines into requests: a request line and its answer, streamed chunks, and feedback that came on lines of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from training.watch.answers import join_chunks
from training.watch.shapes import Part

HALVES = {
    "request": "a request without its answer",
    "response": "an answer without its request",
    "chunk": "a streamed answer without its request",
}


@dataclass
class Joined:
    """Whole requests in order of their first line; lines that make none, with the reason; feedback for requests that
    are not among these.
    """

    requests: list[Part] = field(default_factory=list)
    aside: list[tuple[int, str]] = field(default_factory=list)
    feedback: list[Part] = field(default_factory=list)
    joined: int = 0
    """Lines beyond the first of a request, feedback lines that found theirs among them."""


def join(parts: Iterable[Part]) -> Joined:
    """Put together what belongs together, by the ids that lines share."""
    found = Joined()
    groups: list[list[Part]] = []
    by_id: dict[str, list[Part]] = {}
    said_later: list[Part] = []
    for part in parts:
        if part.kind == "other":
            found.aside.append((part.line, part.why))
        elif part.kind == "feedback":
            said_later.append(part)
        elif part.kind == "whole":
            groups.append([part])
        else:
            _gather(part, groups, by_id)
    for group in groups:
        _settle(group, found)
    _attach(said_later, found)
    found.requests.sort(key=lambda part: part.line)
    return found


def _gather(part: Part, groups: list[list[Part]], by_id: dict[str, list[Part]]) -> None:
    """Into the open group that shares an id and lacks this half; else into a new one."""
    group = next((by_id[name] for name in part.ids if name in by_id and _lacks(by_id[name], part)), None)
    if group is None:
        group = []
        groups.append(group)
    group.append(part)
    by_id.update(dict.fromkeys(part.ids, group))


def _lacks(group: Sequence[Part], part: Part) -> bool:
    kinds = {each.kind for each in group}
    if part.kind == "chunk":
        return "response" not in kinds
    return part.kind not in kinds and not (part.kind == "response" and "chunk" in kinds)


def _settle(group: list[Part], found: Joined) -> None:
    asked = next((each for each in group if each.messages), None)
    answers = [each for each in group if each.said]
    if asked is None or not answers:
        kind = group[0].kind
        found.aside += [(each.line, HALVES[kind]) for each in group]
        return
    found.joined += len(group) - 1
    whole = replace(asked, kind="whole", said=join_chunks(each.said for each in answers))
    for other in group:
        whole = _filled(whole, other)
    found.requests.append(whole)


def _filled(whole: Part, other: Part) -> Part:
    """The request with what only the other line knows."""
    ids = tuple(dict.fromkeys((*whole.ids, *other.ids)))
    names = ("model", "at", "seconds", "input_tokens", "output_tokens", "cost_usd", "trace")
    fresh = {name: getattr(other, name) for name in names if getattr(whole, name) in (None, "")}
    return replace(whole, ids=ids, feedback=other.feedback.over(whole.feedback), **fresh)


def _attach(said_later: Iterable[Part], found: Joined) -> None:
    """Feedback to its request: the last one that has the id, or the only one of that trace."""
    place = {name: n for n, request in enumerate(found.requests) for name in request.ids}
    traces: dict[str, list[int]] = {}
    for n, request in enumerate(found.requests):
        traces.setdefault(request.trace, []).append(n)
    for part in said_later:
        at = next((place[name] for name in part.ids if name in place), None)
        if at is None and part.trace and len(traces.get(part.trace, ())) == 1:
            at = traces[part.trace][0]
        if at is None:
            if part.ids or part.trace:
                found.feedback.append(part)
            else:
                found.aside.append((part.line, "feedback that names no request"))
            continue
        found.joined += 1
        request = found.requests[at]
        found.requests[at] = replace(request, feedback=part.feedback.over(request.feedback))
