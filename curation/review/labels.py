"""The answers that rows have, where they are labels: what someone who edits may choose from."""

from __future__ import annotations

from collections import Counter

from curation.example import Example
from curation.store import Store

READ = 2_000
"""Rows that are read at most."""
MOST, LONGEST, OFTEN = 24, 60, 4
"""Labels at most, characters of one, and rows that an answer has on average where answers are labels."""
AGAIN, SHARE = 2, 0.9
"""Rows that have a label at least, for a slip of one edit is none; share of the rows that labels answer."""


def answers_in_use(store: Store) -> tuple[str, ...]:
    """The different answers of the first rows, the most frequent first; empty where they are no labels."""
    from sqlalchemy import select

    from curation.store.tables import rows

    asked = select(rows.c.payload).where(rows.c.change_id.is_(None)).order_by(rows.c.id).limit(READ)
    with store.read() as connection:
        found = [Example.from_json(payload).answer for payload in connection.execute(asked).scalars()]
    every = Counter(answer for answer in found if answer)
    counts = Counter({answer: rows for answer, rows in every.items() if rows >= AGAIN})
    most = counts.total() >= max(SHARE * every.total(), OFTEN * len(counts))
    labels = 2 <= len(counts) <= MOST and most
    return tuple(answer for answer, _ in counts.most_common()) if labels and _short(counts) else ()


def _short(answers: Counter[str]) -> bool:
    return all(len(answer) <= LONGEST and "\n" not in answer for answer in answers)
