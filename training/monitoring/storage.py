"""Requests of a log as they are stored: new ones, masked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import NotRequired, TypedDict

from training.monitoring.feedback import Feedback, on_scale
from training.monitoring.log_lines import LogPart
from training.monitoring.pii import Masker
from training.monitoring.requests import Logged
from workspace.files import sha256_bytes

CUT_ERROR, CUT_FINISH = 500, 40
"""Characters that are kept of an error, and of why an answer ended."""
Judged = tuple[float | None, str, str]
"""What a person said of an answer: rating of -1..1, edit, comment."""


class LaterFeedback(TypedDict):
    """Feedback on a request that is not in these logs, masked; `hash` where the request is one that was kept."""

    line: int
    ids: list[str]
    trace: str
    rating: float | None
    edit: str
    comment: str
    hash: NotRequired[str]


@dataclass
class KeptRequests:
    """What is stored of some requests; `said_again` is feedback on requests that an earlier import has kept."""

    requests: list[Logged] = field(default_factory=list)
    said_again: list[LaterFeedback] = field(default_factory=list)
    known: int = 0


def keep(
    name: str,
    requests: Sequence[LogPart],
    known: Mapping[str, Judged],
    masker: Masker,
    scale: tuple[float, float],
) -> KeptRequests:
    """The requests to keep, masked. `known` holds those of earlier imports by hash, with what was said of them.

    A request that occurs several times in one file is kept as often; in another file it is the same one.
    """
    kept, known = KeptRequests(), dict(known)
    seen: Counter[tuple[int, str]] = Counter()
    for part in requests:
        own = Masker()
        logged = _logged(name, part, own, scale)
        content = json.dumps([logged.ids, logged.at, logged.model, logged.messages, logged.answer], default=str)
        seen[part.file, content] += 1
        digest = sha256_bytes(f"{content} {seen[part.file, content]}".encode())
        if digest in known:
            kept.known += 1
            if part.feedback and known[digest] != judged_of(logged):
                kept.said_again.append(said_later(part, masker, scale, digest))
        else:
            masker.counts += own.counts
            kept.requests.append(replace(logged, hash=digest))
        known[digest] = judged_of(logged)
    return kept


def judged_of(logged: Logged) -> Judged:
    """What was said of a request."""
    return logged.rating, logged.edit, logged.comment


def _logged(name: str, part: LogPart, masker: Masker, scale: tuple[float, float]) -> Logged:
    """The request, masked, before it is known whether it is kept."""
    rating, edit, comment = _judged(part.feedback, masker, scale)
    return Logged(
        ref=f"{name}:{part.line}",
        hash="",
        ids=tuple(masker.name(each) for each in part.ids),
        messages=tuple(masker.inside(each) for each in part.messages),
        answer=masker.text(part.said.text),
        model=masker.text(part.model),
        at=part.at.astimezone(UTC).isoformat(timespec="milliseconds") if part.at else "",
        finish=masker.text(part.said.finish)[:CUT_FINISH],
        error=masker.text(part.said.error)[:CUT_ERROR],
        tool_calls=tuple(masker.inside(part.said.tool_calls)),
        seconds=part.seconds,
        input_tokens=part.input_tokens,
        output_tokens=part.output_tokens,
        cost_usd=part.cost_usd,
        rating=rating,
        edit=edit,
        comment=comment,
        others=part.said.others,
        line=part.line,
        trace=masker.name(part.trace),
    )


def _judged(feedback: Feedback, masker: Masker, scale: tuple[float, float]) -> Judged:
    rating = feedback.rating
    if rating is not None and not feedback.words:
        rating = on_scale(rating, scale)
    return rating, masker.text(feedback.edit), masker.text(feedback.comment)


def said_later(part: LogPart, masker: Masker, scale: tuple[float, float], digest: str = "") -> LaterFeedback:
    """Feedback on a request that is not in these logs, masked, as it is kept."""
    rating, edit, comment = _judged(part.feedback, masker, scale)
    ids = [masker.name(each) for each in part.ids]
    trace = masker.name(part.trace)
    made = LaterFeedback(line=part.line, ids=ids, trace=trace, rating=rating, edit=edit, comment=comment)
    if digest:
        made["hash"] = digest
    return made
