"""Which rows wait for review: the policy of rung.toml, and samples drawn by seed before the first item is seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from curation.review.order import set_places
from curation.review.samples import BY_POLICY, POLICY_ROLES, draw_plans
from curation.sampling import rank
from curation.store import Store
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

BY_DECISIONS = ("gap", "uncertainty")
LOOK_AGAIN = 50
"""Decisions after which an order that depends on them is worked out again."""


def refresh_queue(store: Store, settings: Settings) -> None:
    """Queue what the policy asks for, where rows or settings changed since the last call; else only a quick look.

    A store that cannot be written keeps the queue that it has.
    """
    from curation.store.engine import lock_now
    from curation.store.facts import keep_fact, read_fact
    from curation.store.waiting import count_again, is_due, put_together

    if store.is_read_only:
        return
    mark = _policy(settings)
    with store.read() as connection:
        seen = read_fact(connection, "queue") == json.dumps({**mark, **_height(connection, settings)})
        due = is_due(connection)
    if seen:
        if due:
            with store.write() as connection:
                if lock_now(connection):  # else an import runs: the count is right as it is, and nobody waits for it
                    put_together(connection)
        return
    with store.write(alone=True) as connection:
        if settings.review.pool == "sample":
            draw_plans(store, connection, settings)
        _queue(connection, settings.review.pool)
        _overlap(connection, settings)
        before = json.loads(read_fact(connection, "queue") or "{}")
        if any(before.get(key, False) != mark[key] for key in ("accept_automatic", "second_edit")):
            _settle_again(connection, settings)
        set_places(connection, settings)
        count_again(connection)
        keep_fact(connection, "queue", json.dumps({**mark, **_height(connection, settings)}))


def _queue(connection: Connection, policy: str) -> None:
    """Bring `queued` and `state` of undecided rows in line with the policy."""
    from sqlalchemy import update

    from curation.store.tables import rows

    open_rows = (
        update(rows)
        .where(rows.c.role.in_(POLICY_ROLES), rows.c.queued.in_(BY_POLICY), rows.c.decision_id.is_(None))
        .where(rows.c.state.in_(("pending", "unreviewed", "trusted")))
    )
    if policy == "all":
        connection.execute(open_rows.where(rows.c.queued != "policy").values(queued="policy", state="pending"))
    elif policy == "trust":
        connection.execute(open_rows.where(rows.c.state != "trusted").values(queued="", state="trusted"))
    else:
        connection.execute(
            open_rows.where(rows.c.sampled == 1, rows.c.queued != "sample").values(queued="sample", state="pending")
        )
        connection.execute(
            open_rows.where(rows.c.sampled == 0, rows.c.state != "unreviewed").values(queued="", state="unreviewed")
        )


def _overlap(connection: Connection, settings: Settings) -> None:
    """A share of the queue, drawn by seed, needs several people; rows that anyone decided keep what they had."""
    from sqlalchemy import exists, select, update

    from curation.store.reading import chunks
    from curation.store.tables import decisions, rows

    asked = select(rows.c.id, rows.c.content_hash, rows.c.needed).where(
        rows.c.queued != "", rows.c.state == "pending", ~exists().where(decisions.c.row_id == rows.c.id)
    )
    several = settings.review.overlap_people
    wanted: dict[int, list[int]] = {1: [], several: []}
    for number, digest, needed in connection.execute(asked):
        want = several if rank(settings.dataset.seed, digest, "overlap") < settings.review.overlap else 1
        if want != needed:
            wanted[want].append(number)
    for needed, numbers in wanted.items():
        for part in chunks(numbers):
            connection.execute(update(rows).where(rows.c.id.in_(part)).values(needed=needed))


def _settle_again(connection: Connection, settings: Settings) -> None:
    """Work out again every row that an automatic reviewer decided, or that was edited, after the policy changed."""
    from sqlalchemy import or_, select

    from curation.review.settling import settle_row
    from curation.store.tables import decisions, reviewers, rows

    asked = (
        select(decisions.c.row_id)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .where(or_(reviewers.c.kind == "automatic", decisions.c.verdict == "edit"))
        .distinct()
        .order_by(decisions.c.row_id)
    )
    for number in connection.execute(asked).scalars().all():
        row = connection.execute(select(rows).where(rows.c.id == number).with_for_update()).mappings().one()
        settle_row(connection, row, settings.review)


def _policy(settings: Settings) -> dict[str, Any]:
    review = settings.review
    return {
        "pool": review.pool,
        "sample": review.sample,
        "allowed": review.allowed_faults,
        "overlap": review.overlap,
        "overlap_people": review.overlap_people,
        "accept_automatic": review.accept_automatic,
        "second_edit": review.second_edit,
        "order": review.order,
        "seed": settings.dataset.seed,
    }


def _height(connection: Connection, settings: Settings) -> dict[str, int]:
    """How far the project has come since the last look; orders by what was decided look again at times."""
    from sqlalchemy import func, select

    from curation.store.facts import read_fact
    from curation.store.tables import changes, decisions, plans, rows

    asked = (
        select(func.max(rows.c.id)),
        select(func.max(plans.c.id)),
        select(func.max(changes.c.id)),
        select(func.count()).where(changes.c.undone_at.is_not(None)),
    )
    found = connection.execute(select(*(each.scalar_subquery() for each in asked))).one()
    height = {key: number or 0 for key, number in zip(("rows", "plans", "changes", "undone"), found, strict=True)}
    if settings.review.order in BY_DECISIONS:
        decided = connection.execute(select(func.max(decisions.c.id))).scalar() or 0
        height |= {"decided": decided // LOOK_AGAIN, "scored": int(read_fact(connection, "scored") or 0)}
    return height
