"""One row as a reviewer sees it: the text, where it comes from, what to look at, the guideline beside it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.guideline import Guideline, current_guideline
from curation.review.gold import hidden_rows, is_known
from curation.review.mixed import mixed_in
from curation.review.people import Reviewer
from curation.review.reasons import reasons_in
from curation.store import Link, StoredRow
from curation.store.ids import number_of

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import RowMapping

    from curation.review.desk import Desk

MOST = 6
"""Near rows shown beside an item."""
QUEUED_AS_USUAL = ("", "policy", "sample", "candidate", "generated", "unanswered", "contradictions")
"""What a row was queued for, where a reviewer need not be told or sees it as another finding."""


@dataclass(frozen=True, slots=True)
class Side:
    """Another decision, or a near row: `answer` None where it was rejected."""

    row: str
    reviewer: str
    verdict: str
    answer: str | None
    kind: str = ""
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A leased row. `draft` is this reviewer's own unsaved edit; `sides` are shown where two people disagree.

    `blind`: others' decisions on this row and on near ones are hidden.
    """

    id: str
    token: str
    until: str
    messages: tuple[Mapping[str, Any], ...]
    row: Mapping[str, Any]
    role: str
    origin: str
    queued: str
    source: str
    guideline: Guideline | None
    findings: tuple[Mapping[str, Any], ...]
    reasons: tuple[str, ...]
    answer: str | None
    draft: Mapping[str, Any] | None = None
    blind: bool = False
    sides: tuple[Side, ...] = ()
    near: tuple[Side, ...] = ()
    decided: int = 0
    total: int = 0
    meta: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The document of `rung review next --json`."""
        return asdict(self)


def show_item(desk: Desk, person: Reviewer, number: int) -> Item:
    """The item as this person may see it."""
    from sqlalchemy import select

    from curation.store.pairs import read_links
    from curation.store.reading import by_numbers, query, record
    from curation.store.tables import drafts, rows
    from curation.store.waiting import waiting

    guideline = current_guideline(desk.store, desk.project)
    with desk.store.read() as connection:
        raw = connection.execute(query().where(rows.c.id == number)).mappings().one()
        stored = record(raw)
        known = is_known(connection, number)
        blind = raw["needed"] > 1 and not raw["flagged"]
        kept = connection.execute(
            select(drafts.c.payload).where(drafts.c.row_id == number, drafts.c.reviewer_id == person.id)
        ).scalar()
        total, left = waiting(connection)
        mixed = mixed_in(connection, desk.settings, total, left, desk.clock())
        hidden = hidden_rows(connection)
        second = () if known or blind or raw["flagged"] else _second(connection, raw)
        links = read_links(connection, [stored.id])
        others = by_numbers(connection, [number_of(name) for link in links for name in (link.row, link.other)])
    if known:
        stored = replace(stored, payload=stored.original_payload)
    near = _near(stored, links, others, blind, hidden)
    example = stored.example
    return Item(
        id=stored.id,
        token=raw["lease_token"] or "",
        until=datetime.fromtimestamp(raw["lease_until"] or 0, UTC).isoformat(timespec="seconds"),
        messages=example.messages,
        row=example.row,
        role=stored.role,
        origin=stored.origin,
        queued=stored.queued,
        source=stored.source,
        guideline=guideline,
        findings=(*second, *_findings(stored, near, blind)),
        reasons=reasons_in(guideline.text if guideline else "") or desk.settings.review.reasons,
        answer=example.answer,
        draft=json.loads(kept) if kept else None,
        blind=blind,
        sides=_sides(desk, number, raw["since"], stored) if raw["flagged"] else (),
        near=near,
        decided=total - left + mixed.decided,
        total=total + mixed.planned,
        meta=stored.meta,
    )


def _near(
    stored: StoredRow, links: Sequence[Link], others: Sequence[StoredRow], all_blind: bool, hidden: Collection[int]
) -> tuple[Side, ...]:
    """Near rows that are still in; where the item is blind, as they came and without anyone's decision.

    So are those in `hidden`, always.
    """
    found: dict[str, Link] = {}
    for link in links:
        found.setdefault(link.other if link.row == stored.id else link.row, link)
    sides = []
    for other in others:
        if other.id not in found or other.excluded is not None:
            continue
        link = found[other.id]
        blind = all_blind or number_of(other.id) in hidden
        example = other.original if blind else other.example
        state = "" if blind else other.state
        who = "" if blind else other.reviewer
        sides.append(Side(other.id, who, state, example.answer, link.kind, link.similarity))
    return tuple(sorted(sides, key=lambda side: (-(side.similarity or 0), side.row))[:MOST])


def _findings(stored: StoredRow, near: Sequence[Side], blind: bool) -> tuple[Mapping[str, Any], ...]:
    found: list[Mapping[str, Any]] = []
    if stored.queued == "unanswered":
        found.append({"kind": "unanswered", "text": "This row has no answer yet: write one."})
    mine = stored.original.answer if blind else stored.example.answer
    for side in near:
        if side.answer == mine:
            continue
        what = "The same question" if side.kind == "contradiction" else "A near row"
        who = f" ({side.reviewer})" if side.reviewer else ""
        text = f"{what} has another answer: {_cut(side.answer or '', 120)}{who}"
        found.append({"kind": side.kind, "text": text, "row": side.row, "similarity": side.similarity})
    if stored.queued not in QUEUED_AS_USUAL and not blind:
        found.append({"kind": "sent", "text": f"Sent to review for: {stored.queued}"})
    found += [each for each in stored.meta.get("findings", []) if isinstance(each, Mapping)]
    return tuple(found)


def _cut(text: str, most: int) -> str:
    """The first characters, personal data never halved by the cut: halves are not known when the text is masked."""
    if len(text) <= most:
        return text
    from curation.quality.mask import cut_apart

    return cut_apart(text, most)


def _second(connection: Connection, raw: RowMapping) -> tuple[Mapping[str, Any], ...]:
    """What a second person is told of an edit that waits for them."""
    from curation.review.settling import standing_votes

    if not raw["original"] or raw["payload"] == raw["original"]:
        return ()
    if not any(vote.verdict == "edit" for vote in standing_votes(connection, raw["id"], raw["since"])):
        return ()
    draft = _cut(Example.from_json(raw["original"]).answer or "", 200)
    return ({"kind": "second", "text": f"Edited: it counts when a second person agrees. The draft was: {draft}"},)


def _sides(desk: Desk, number: int, since: int, stored: StoredRow) -> tuple[Side, ...]:
    """Both decisions of a disagreement, for the person who ends it."""
    from curation.review.people import all_reviewers
    from curation.review.settling import standing_votes

    names = {person.id: person.name for person in all_reviewers(desk.store)}
    with desk.store.read() as connection:
        votes = standing_votes(connection, number, since)
    return tuple(
        Side(
            stored.id,
            names[vote.reviewer],
            vote.verdict,
            Example.from_json(vote.payload).answer if vote.payload else stored.original.answer,
        )
        for vote in votes
        if vote.verdict in ("approve", "edit", "reject")
    )
