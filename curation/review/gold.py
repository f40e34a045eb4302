"""Known items: rows with a known decision that are given out again, among the others, to see who misses what.

A known item is a row that someone who knows has decided. Others get it as it first came; what they say is kept in the
log and never counts for the row. Nothing that a reviewer sees tells it from an ordinary row: not the item, not the
answer to their decision, not the counts (`mixed_in`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.review.votes import FINAL
from curation.sampling import draw
from curation.similarity import same_answer
from curation.store import Store
from curation.store.ids import number_of, row_id
from workspace.artefact import now
from workspace.errors import Refusal

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERDICT_OF = {"approved": "approve", "edited": "edit", "rejected": "reject"}
STATE_OF = {"approve": "approved", "edit": "edited", "reject": "rejected", "skip": "skipped"}


@dataclass(frozen=True, slots=True)
class KnownItem:
    """What is right on a row, who said so, and how those who were given it did."""

    row: str
    verdict: str
    answer: str | None
    actor: str
    at: str
    answered: int
    missed: int


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """One person's standing answer to a known item; `right` is None for "not sure", skip and flag."""

    row: str
    reviewer: str
    verdict: str
    right: bool | None
    decision: int
    at: str


@dataclass(frozen=True, slots=True)
class Known:
    """One reviewer's known items: how many were answered, and how many of them wrongly."""

    reviewer: str
    answered: int
    right: int
    missed: int


def add_gold(store: Store, names: Sequence[str], *, actor: str) -> list[str]:
    """Make decided rows known items. Returns those that were none before.

    Raises Refusal, with every row's reason, where one is not decided or was taken out; then none is added.
    """
    from sqlalchemy import func, insert, select

    from curation.store.tables import decisions, gold

    chosen = {row.id: row for row in store.rows(ids=list(names))}
    missing = [name for name in names if row_id(number_of(name)) not in chosen]
    faults = [f"{name}: no such row" for name in missing]
    faults += [f"{row.id}: {row.excluded or row.state}" for row in chosen.values() if not _is_settled(row)]
    if faults:
        raise Refusal(
            f"Only decided rows can be known items: {'; '.join(faults[:5])}"
            + (f"; and {len(faults) - 5:,} more." if len(faults) > 5 else "."),
            "rung review decide ID approve|edit|reject, by someone who knows",
        )
    with store.write(alone=True) as connection:
        there = set(connection.execute(select(gold.c.row_id).where(gold.c.until.is_(None))).scalars())
        since = connection.execute(select(func.max(decisions.c.id))).scalar() or 0
        fresh = [row for row in chosen.values() if number_of(row.id) not in there]
        values = [
            {
                "row_id": number_of(row.id),
                "verdict": VERDICT_OF[row.state],
                "payload": row.payload if row.state == "edited" else None,
                "actor": actor,
                "at": now().isoformat(),
                "since": since,
            }
            for row in fresh
        ]
        if values:
            connection.execute(insert(gold), values)
            store.event("gold", actor, "added", {"rows": [row.id for row in fresh]}, connection=connection)
    return [row.id for row in fresh]


def decided_rows(store: Store, reviewer: str, count: int, seed: int) -> list[str]:
    """Rows whose decision that counts is this person's, `count` of them drawn by seed (0: all)."""
    found = [row for row in store.rows() if row.reviewer == reviewer and _is_settled(row)]
    return [
        found[index].id
        for index in draw(seed, [row.content_hash for row in found], min(count or len(found), len(found)))
    ]


def end_gold(store: Store, names: Sequence[str], *, actor: str) -> list[str]:
    """Known items that are none any more. What was answered stays counted."""
    from sqlalchemy import func, select, update

    from curation.store.tables import decisions, gold

    numbers = [number_of(name) for name in names]
    with store.write(alone=True) as connection:
        there = set(connection.execute(select(gold.c.row_id).where(gold.c.until.is_(None))).scalars())
        ended = sorted(there & set(numbers))
        last = connection.execute(select(func.max(decisions.c.id))).scalar() or 0
        which = gold.c.row_id.in_(ended), gold.c.until.is_(None)
        connection.execute(update(gold).where(*which).values(until=last))
        if ended:
            detail = {"rows": [row_id(number) for number in ended]}
            store.event("gold", actor, "ended", detail, connection=connection)
    return [row_id(number) for number in ended]


def known_items(store: Store) -> list[KnownItem]:
    """All known items at present, in order of their rows. For the lead: it tells what is right."""
    from sqlalchemy import select

    from curation.store.tables import gold

    with store.read() as connection:
        asked = select(gold).where(gold.c.until.is_(None)).order_by(gold.c.row_id)
        found = connection.execute(asked).mappings().all()
    answers = known_answers(store)
    made = []
    for each in found:
        mine = [answer for answer in answers if answer.row == row_id(each["row_id"]) and answer.right is not None]
        text = Example.from_json(each["payload"]).answer if each["payload"] else None
        made.append(
            KnownItem(
                row=row_id(each["row_id"]),
                verdict=each["verdict"],
                answer=text,
                actor=each["actor"],
                at=each["at"],
                answered=len(mine),
                missed=sum(not answer.right for answer in mine),
            )
        )
    return made


def known_answers(store: Store) -> list[KnownAnswer]:
    """Every standing answer to a known item, in order."""
    with store.read() as connection:
        return [_answer(each) for each in connection.execute(_answers()).mappings() if each["superseded"] is None]


def known_by_person(store: Store) -> list[Known]:
    """How each reviewer did on the known items that they were given."""
    by_name: dict[str, list[bool]] = {}
    for answer in known_answers(store):
        if answer.right is not None:
            by_name.setdefault(answer.reviewer, []).append(answer.right)
    return [Known(name, len(hits), sum(hits), len(hits) - sum(hits)) for name, hits in sorted(by_name.items())]


def hidden_rows(connection: Connection) -> set[int]:
    """Rows whose decision is not to be shown beside other rows while they are known items."""
    from sqlalchemy import select

    from curation.store.tables import gold

    return set(connection.execute(select(gold.c.row_id).where(gold.c.until.is_(None))).scalars())


def is_known(connection: Connection, number: int) -> bool:
    """Whether a row is a known item at present."""
    from sqlalchemy import select

    from curation.store.tables import gold

    asked = select(gold.c.id).where(gold.c.row_id == number, gold.c.until.is_(None))
    return connection.execute(asked).first() is not None


def shown_state(verdict: str, *, changed: bool) -> str:
    """The state that a decision on an ordinary row would have come to."""
    if verdict == "edit" and not changed:
        return "approved"
    return STATE_OF.get(verdict, "unsure")


def was_right(expected: str, known: str | None, original: str, verdict: str, text: str | None) -> bool | None:
    """Whether an answer to a known item is right; None where it is no decision. Rows are JSON texts.

    The right verdict is right, with the same answer where it edits. On a faulty row, seeing the fault is right: to
    reject what was known to be edited, to edit what was known to be rejected.
    """
    if verdict not in FINAL:
        return None
    changed = text is not None and text != original
    if expected == "approve":
        return verdict == "approve" or (verdict == "edit" and (not changed or _same(text, original)))
    if verdict == "approve" or (verdict == "edit" and not changed):
        return False
    return verdict == "reject" or expected == "reject" or _same(text, known)


def _same(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return False
    return same_answer(Example.from_json(one).answer, Example.from_json(other).answer)


def _is_settled(row: Any) -> bool:
    return row.excluded is None and row.state in VERDICT_OF and row.decision is not None


def _answers(reviewer: int | None = None) -> Any:
    """Answers to known items, those taken back or given anew included (`superseded`), in order."""
    from sqlalchemy import and_, or_, select

    from curation.store.tables import decisions, gold, later, reviewers, rows

    during = and_(
        gold.c.row_id + 0 == decisions.c.row_id,  # begin with the known items, which are few: not with all decisions
        decisions.c.id > gold.c.since,
        or_(gold.c.until.is_(None), decisions.c.id <= gold.c.until),
    )
    asked = (
        select(
            decisions.c.id,
            decisions.c.row_id,
            decisions.c.verdict,
            decisions.c.payload,
            decisions.c.at,
            reviewers.c.name,
            gold.c.verdict.label("expected"),
            gold.c.payload.label("known"),
            rows.c.payload.label("now"),
            rows.c.original,
            later.c.verdict.label("superseded"),
        )
        .join(gold, during)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .join(rows, rows.c.id == decisions.c.row_id)
        .outerjoin(later, later.c.supersedes == decisions.c.id)
        .where(decisions.c.verdict != "undo", reviewers.c.kind == "person")
        .order_by(decisions.c.id)
    )
    return asked if reviewer is None else asked.where(decisions.c.reviewer_id == reviewer)


def _answer(each: Any) -> KnownAnswer:
    right = was_right(
        each["expected"], each["known"], each["original"] or each["now"], each["verdict"], each["payload"]
    )
    return KnownAnswer(row_id(each["row_id"]), each["name"], each["verdict"], right, each["id"], each["at"])
