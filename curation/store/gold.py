"""Gold items in the store: which rows are some, what was answered, and which a person may be given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, exists, func, insert, not_, or_, select, update
from sqlalchemy.engine import RowMapping

from curation.store.decisions import known_now, newest_id, to_known_item
from curation.store.reading import leased_now
from curation.store.records import Reviewer
from curation.store.tables import decisions, gold, later, reviewers, rows


def gold_rows(connection: Connection) -> set[int]:
    """Return the numbers of the rows that are gold items at present."""
    return set(connection.execute(select(gold.c.row_id).where(gold.c.until.is_(None))).scalars())


def gold_items(connection: Connection) -> Sequence[RowMapping]:
    """Return the gold items at present, in order of their rows."""
    return connection.execute(select(gold).where(gold.c.until.is_(None)).order_by(gold.c.row_id)).mappings().all()


def is_known(connection: Connection, number: int) -> bool:
    """Whether a row is a gold item at present."""
    asked = select(gold.c.id).where(gold.c.row_id == number, gold.c.until.is_(None))
    return connection.execute(asked).first() is not None


def write_gold(connection: Connection, items: Sequence[Mapping[str, Any]]) -> None:
    """Make rows gold items from now on: `row_id`, `verdict`, `payload`, `actor` and `at` of each."""
    since = newest_id(connection)
    connection.execute(insert(gold), [{**each, "since": since} for each in items])


def close_gold(connection: Connection, numbers: Collection[int]) -> None:
    """End the gold items among these rows."""
    which = gold.c.row_id.in_(numbers), gold.c.until.is_(None)
    connection.execute(update(gold).where(*which).values(until=newest_id(connection)))


def gold_answers(connection: Connection, reviewer: int | None = None) -> Sequence[RowMapping]:
    """Return answers to gold items, those taken back or given again included (`superseded`), in order."""
    during = and_(
        gold.c.row_id + 0 == decisions.c.row_id,  # begin with the gold items, which are few: not with all decisions
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
    asked = asked if reviewer is None else asked.where(decisions.c.reviewer_id == reviewer)
    return connection.execute(asked).mappings().all()


def gold_counts(connection: Connection, moment: float) -> tuple[int, int, int]:
    """Return (gold items, persons, gold items that are leased)."""
    known = known_now(rows.c.id)
    people = select(func.count()).select_from(reviewers).where(reviewers.c.kind == "person")
    leased = select(func.count()).select_from(rows).where(known, leased_now(moment), rows.c.lease_token.is_not(None))
    asked = (select(func.count()).select_from(rows).where(known), people, leased)
    items, persons, held = (int(connection.execute(each).scalar() or 0) for each in asked)
    return items, persons, held


def has_decided(connection: Connection, person: Reviewer) -> bool:
    """Return whether a person has decided a row that was no gold item."""
    asked = select(decisions.c.id).where(decisions.c.reviewer_id == person.id, ~to_known_item())
    return connection.execute(asked.limit(1)).first() is not None


def open_gold(
    connection: Connection, person: Reviewer, moment: float, holding: Sequence[int], *, answered: bool = False
) -> dict[int, int]:
    """Gold items that a person may be given: row -> their last entry on it (0 for none).

    Not those on which they decided themselves what is right, not those held by others; without `answered` not those
    that they decided already.
    """
    mine = and_(decisions.c.row_id == rows.c.id, decisions.c.reviewer_id == person.id)
    asked = select(rows.c.id).where(
        known_now(rows.c.id),
        rows.c.change_id.is_(None),
        rows.c.id.not_in(holding),
        _not_held(person, moment),
        ~exists().where(mine, ~to_known_item()),
    )
    numbers = connection.execute(asked).scalars().all()
    entries = select(decisions.c.row_id, decisions.c.id, decisions.c.verdict, later.c.id).where(
        decisions.c.reviewer_id == person.id, decisions.c.row_id.in_(numbers)
    )
    entries = entries.select_from(decisions).outerjoin(later, later.c.supersedes == decisions.c.id)
    last: dict[int, int] = dict.fromkeys(numbers, 0)
    done: set[int] = set()
    for row, number, verdict, superseded in connection.execute(entries.order_by(decisions.c.id)).tuples():
        last[row] = number
        if superseded is None and verdict not in ("undo", "skip"):
            done.add(row)
    return {number: entry for number, entry in last.items() if answered or number not in done}


def _not_held(person: Reviewer, moment: float) -> Any:
    """SQL: nobody else holds the row."""
    return or_(rows.c.lease_until.is_(None), rows.c.lease_owner == person.id, not_(leased_now(moment)))


def take_if_free(connection: Connection, number: int, person: Reviewer, moment: float) -> bool:
    """Take the row for this transaction; False where someone else has it, or is about to."""
    asked = select(rows.c.id).where(rows.c.id == number, _not_held(person, moment))
    return connection.execute(asked.with_for_update(skip_locked=True)).first() is not None


def times_decided(connection: Connection, person: Reviewer) -> int:
    """Return how many decisions of a person were not taken back."""
    taken_back = exists().where(later.c.supersedes == decisions.c.id, later.c.verdict == "undo")
    asked = select(func.count()).where(decisions.c.reviewer_id == person.id, decisions.c.verdict != "undo", ~taken_back)
    return int(connection.execute(asked).scalar() or 0)
