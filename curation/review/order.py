"""The order in which rows are given out: `place` of every waiting row, worked out when the queue is looked at.

Test rows and priorities come first in every order; within them rows go by place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.sampling import rank
from curation.similarity import words
from curation.store.records import OPEN_STATES
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import RowMapping

COMMON = 0.2
"""A word that stands in a larger share of the waiting rows says nothing of a row's topic."""
TELLING = 4
"""Words by which a topic is sorted."""
DOUBT = {"contradiction": 1.0, "minimal_pair": 0.8, "short_near": 0.6}
"""How doubtful a row is that has no score, by the nearest row with another answer."""


def set_places(connection: Connection, settings: Settings) -> None:
    """Write the place of every waiting row, where it changed. `import` puts all at 0: the order of import."""
    from sqlalchemy import bindparam, select, update

    from curation.store.tables import rows

    waiting = select(rows).where(rows.c.state.in_(OPEN_STATES), rows.c.queued != "", rows.c.change_id.is_(None))
    if settings.review.order == "import":
        connection.execute(update(rows).where(rows.c.place != 0).values(place=0))
        return
    found = connection.execute(waiting.order_by(rows.c.id)).mappings().all()
    ranked = ORDERS[settings.review.order](connection, settings, found)
    changed = [
        {"number": found[index]["id"], "at": at} for at, index in enumerate(ranked, 1) if found[index]["place"] != at
    ]
    if changed:
        connection.execute(update(rows).where(rows.c.id == bindparam("number")).values(place=bindparam("at")), changed)


def by_topic(connection: Connection, settings: Settings, found: Sequence[RowMapping]) -> list[int]:
    """Similar rows in a row: by `[dataset] group_by` where rows have it, then by the telling words they share most.

    A word tells a topic where it stands in at least two waiting rows and in no more than a fifth of them.
    """
    examples = [Example.from_json(each["payload"]) for each in found]
    said = [list(dict.fromkeys(words(example.question))) for example in examples]
    counts = Counter(word for each in said for word in each)
    most = max(2, int(COMMON * len(found)))

    def topic(index: int) -> tuple[str, list[tuple[int, str]], int]:
        telling = [(-counts[word], word) for word in said[index] if 2 <= counts[word] <= most]
        group = str(examples[index].row.get(settings.dataset.group_by) or "") if settings.dataset.group_by else ""
        return group, sorted(telling)[:TELLING], index

    return sorted(range(len(found)), key=topic)


def by_uncertainty(connection: Connection, settings: Settings, found: Sequence[RowMapping]) -> list[int]:
    """The most doubtful first: a judge's score near one half; without a score a near row with another answer."""
    from sqlalchemy import select

    from curation.store.tables import links

    near: dict[int, float] = {}
    for row, other, kind in connection.execute(select(links.c.row_id, links.c.other_id, links.c.kind)).tuples():
        for number in (row, other):
            near[number] = max(near.get(number, 0.0), DOUBT.get(kind, 0.0))

    def doubt(each: RowMapping) -> float:
        score = score_of(json.loads(each["meta"]))
        if score is not None:
            return 1 - abs(2 * score - 1)
        return max(near.get(each["id"], 0.0), 1.0 if each["state"] == "unsure" else 0.0)

    return sorted(range(len(found)), key=lambda index: (-doubt(found[index]), index))


def by_gap(connection: Connection, settings: Settings, found: Sequence[RowMapping]) -> list[int]:
    """The class with the fewest accepted rows first, as if each row given out were accepted."""
    from sqlalchemy import select

    from curation.store.tables import rows

    kept = select(rows.c.payload).where(rows.c.state.in_(("approved", "edited")), rows.c.change_id.is_(None))
    have = Counter(_class(payload, settings) for payload in connection.execute(kept).scalars())

    def level(index: int) -> int:
        name = _class(found[index]["payload"], settings)
        have[name] += 1
        return have[name]

    levels = [level(index) for index in range(len(found))]
    return sorted(range(len(found)), key=lambda index: (levels[index], index))


def at_random(connection: Connection, settings: Settings, found: Sequence[RowMapping]) -> list[int]:
    """Mixed by seed and content: the same for the same rows, whatever the order of import."""
    seed = settings.dataset.seed
    return sorted(range(len(found)), key=lambda index: (rank(seed, found[index]["content_hash"], "order"), index))


ORDERS: Mapping[str, Callable[[Connection, Settings, Sequence[RowMapping]], list[int]]] = {
    "topic": by_topic,
    "uncertainty": by_uncertainty,
    "gap": by_gap,
    "random": at_random,
}


def score_of(meta: Mapping[str, Any]) -> float | None:
    """A judge's score of a candidate, 0..1: how likely it is right. None where none was given."""
    given = meta.get("judge")
    score = given.get("score") if isinstance(given, Mapping) else None
    return float(score) if isinstance(score, int | float) and 0 <= score <= 1 else None


def _class(payload: str, settings: Settings) -> str:
    """What a row counts for: its `group_by` value where there is one, else its answer."""
    example = Example.from_json(payload)
    group = example.row.get(settings.dataset.group_by) if settings.dataset.group_by else None
    return str(group) if group is not None else (example.answer or "").strip()
