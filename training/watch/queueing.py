"""Requests that passed the gate into the project's rows: candidates with their origin and the rows near to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.ingest import source_number
from curation.store import Link, NewRow, Store
from curation.takeout import LINKS_A_ROW
from training.watch.gate import Draft
from training.watch.reasons import reason_of
from training.watch.record import Logged

if TYPE_CHECKING:
    from sqlalchemy import Connection

STRATEGY = "production"
_FIRST = {"contradiction": 0, "minimal_pair": 1, "short_near": 2}


@dataclass(frozen=True, slots=True)
class Passed:
    """A request, the row that it would be, the release that it was sent to, and the request that lent its answer."""

    logged: Logged
    draft: Draft
    release: str
    lent: str = ""


def queue(store: Store, connection: Connection, passed: Sequence[Passed], digests: Mapping[str, str]) -> list[str]:
    """Store them as candidates, in order; their ids. `digests` are the SHA-256 of the imports' requests by name."""
    from curation.store.pairs import write_links

    ids: dict[Draft, str] = {}
    for name in dict.fromkeys(_import_of(each) for each in passed):
        mine = [each for each in passed if _import_of(each) == name]
        source = source_number(connection, f"watch/{name}", digests[name], "candidates")
        rows = [NewRow(each.draft.example, each.logged.line, _meta(each)) for each in mine]
        added = store.add(rows, role="candidates", source=source, connection=connection)
        _count(connection, source, len(rows))
        ids.update({each.draft: row for each, row in zip(mine, added.ids, strict=True)})
    write_links(connection, _links(ids))
    return [ids[each.draft] for each in passed]


def _import_of(each: Passed) -> str:
    return each.logged.ref.partition(":")[0]


def _count(connection: Connection, source: int, fresh: int) -> None:
    """What was read of this source so far, so that its rows do not pass for drafted ones."""
    from sqlalchemy import select, update

    from curation.store.tables import sources

    mine = sources.c.id == source
    counts = Counter(json.loads(connection.execute(select(sources.c.counts).where(mine)).scalar_one()))
    counts += {"read": fresh, "kept": fresh}
    connection.execute(update(sources).where(mine).values(counts=json.dumps(counts)))


def _links(ids: Mapping[Draft, str]) -> Iterator[Link]:
    """At most LINKS_A_ROW near rows of each, contradictions first."""
    for draft, name in ids.items():
        near = sorted(draft.near, key=lambda each: (_FIRST[each[1]], -each[2]))
        for other, kind, similarity in _others(near[:LINKS_A_ROW], ids):
            if other != name:
                yield Link(name, other, kind, similarity)


def _others(
    near: Iterable[tuple[str | Draft, Any, float]], ids: Mapping[Draft, str]
) -> Iterator[tuple[str, Any, float]]:
    for other, kind, similarity in near:
        yield (ids[other] if isinstance(other, Draft) else other), kind, similarity


def _meta(each: Passed) -> dict[str, Any]:
    """Where a candidate comes from, for good; `findings` stand beside it in review."""
    logged, why = each.logged, reason_of(each.logged)
    said = f': "{logged.comment}"' if logged.comment else ""
    day = f" on {logged.at[:10]}" if logged.at else ""
    told = [f"Asked in production{day} ({logged.ref}){f', {why}' if why else ''}{said}"]
    if each.lent:
        told.append(f"The answer is that of {each.lent}, which asked the same.")
    if logged.edit:
        told.append(f"The model had answered: {logged.answer[:300]}")
    if not each.draft.example.is_answered:
        told.append("It has no answer: write one.")
    return {
        "strategy": STRATEGY,
        "request": logged.ref,
        "hash": logged.hash,
        "release": each.release,
        **({"answer_of": each.lent} if each.lent else {}),
        "model": logged.model,
        "at": logged.at,
        "rating": logged.rating,
        "comment": logged.comment,
        "why": why,
        "answered": logged.answer,
        "priority": 1 if why else 2,
        "findings": [{"kind": "production", "text": text} for text in told],
    }
