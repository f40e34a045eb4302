"""Which requests of a log are kept, and how: masked, with their place in the sample."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from curation.sampling import rank
from training.watch.feedback import Feedback, on_scale
from training.watch.masking import Masker
from training.watch.record import Logged
from training.watch.shapes import Part
from workspace.files import sha256_bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """What of the logs is kept: a share drawn by `seed`; only requests to `model` where one is named."""

    sample: float = 1.0
    seed: int = 0
    model: str = ""


def keep(
    name: str, requests: Sequence[Part], wish: Wish, known: set[str], masker: Masker, scale: tuple[float, float]
) -> tuple[list[Logged], dict[str, int]]:
    """The requests to keep, masked, and how many were known before, not drawn, or kept beyond the sample."""
    kept: list[Logged] = []
    counts = {"known": 0, "not_drawn": 0, "beyond_sample": 0}
    seen: Counter[str] = Counter()
    for part in requests:
        own = Masker()
        logged = _logged(name, part, own, scale)
        content = json.dumps([logged.ids, logged.at, logged.model, logged.messages, logged.answer], default=str)
        seen[content] += 1
        digest = sha256_bytes(f"{content} {seen[content]}".encode())
        drawn = rank(wish.seed, digest, "watch") < wish.sample
        if digest in known:
            counts["known"] += 1
        elif not (drawn or part.feedback or part.said.error):
            counts["not_drawn"] += 1
        else:
            counts["beyond_sample"] += not drawn
            masker.counts += own.counts
            kept.append(replace(logged, hash=digest, drawn=drawn))
    return kept, counts


def _logged(name: str, part: Part, masker: Masker, scale: tuple[float, float]) -> Logged:
    """The request, masked, before it is known whether it is kept."""
    rating, edit, comment = _judged(part.feedback, masker, scale)
    return Logged(
        ref=f"{name}:{part.line}",
        hash="",
        ids=tuple(masker.name(each) for each in part.ids),
        messages=tuple(masker.inside(each) for each in part.messages),
        answer=masker.text(part.said.text),
        model=masker.text(part.model),
        at=_iso(part.at),
        finish=part.said.finish,
        error=masker.text(part.said.error),
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


def _judged(feedback: Feedback, masker: Masker, scale: tuple[float, float]) -> tuple[float | None, str, str]:
    rating = feedback.rating
    if rating is not None and not feedback.words:
        rating = on_scale(rating, scale)
    return rating, masker.text(feedback.edit), masker.text(feedback.comment)


def said_later(part: Part, masker: Masker, scale: tuple[float, float]) -> dict[str, Any]:
    """Feedback on a request that is not in these logs, masked, as it is kept."""
    rating, edit, comment = _judged(part.feedback, masker, scale)
    ids = [masker.name(each) for each in part.ids]
    trace = masker.name(part.trace)
    return {"line": part.line, "ids": ids, "trace": trace, "rating": rating, "edit": edit, "comment": comment}


def _iso(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else ""
