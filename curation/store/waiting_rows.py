"""The review queue in the store: which rows wait, how many, in what order, and the sampling plans.

The fact `waiting` is the last count of the queue; `tally` has 1 or -1 for each row that began or ceased to wait since.
Decisions only add entries, so reviewers never wait for one another here. Any other change of the queue deletes the
count, and it is made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.engine import RowMapping

from curation.store.engine import lock_all
from curation.store.reading import chunks
from curation.store.records import DECIDED, OPEN_STATES, POLICY_ROLES, SamplingPlan
from curation.store.tables import changes, decisions, events, facts, links, plans, rows, tally
from workspace.artefact import stamp

WAITING = "waiting"
MANY = 500
"""Entries of the tally that are put into the fact together."""

queued = and_(rows.c.queued != "", rows.c.change_id.is_(None))
_kept = select(facts.c.value).where(facts.c.key == WAITING).scalar_subquery()
_since = select(func.coalesce(func.sum(tally.c.waiting), 0)).scalar_subquery()
_both = select(_kept, _since)
_all = select(func.count(), func.coalesce(func.sum(rows.c.state.in_(OPEN_STATES).cast(tally.c.waiting.type)), 0)).where(
    queued
)
_entries = select(func.count()).select_from(tally)


def waiting(connection: Connection) -> tuple[int, int]:
    """(rows in the queue, those of them that wait)."""
    kept, since = connection.execute(_both).one()
    if kept is None:
        total, open_ = connection.execute(_all).one()
        return int(total), int(open_)
    total, open_ = json.loads(kept)
    return total, open_ + since


def is_due(connection: Connection) -> bool:
    """True if the count was forgotten, or has many entries after it."""
    kept, entries = connection.execute(select(_kept, _entries.scalar_subquery())).one()
    return kept is None or entries > MANY


def moved(connection: Connection, row: Any, state: str) -> None:
    """Count a row of the queue (as it was) whose state becomes `state`."""
    if row["queued"] == "" or row["change_id"] is not None:
        return
    change = (state in OPEN_STATES) - (row["state"] in OPEN_STATES)
    if change:
        connection.execute(insert(tally).values(waiting=change))


def forget(connection: Connection) -> None:
    """Forget the count: the queue changes without a decision. On PostgreSQL others that change or count it wait."""
    lock_all(connection)
    connection.execute(delete(facts).where(facts.c.key == WAITING))


def count_again(connection: Connection) -> None:
    """Count every row, and empty the tally. In a transaction that was opened `alone`."""
    if connection.dialect.name == "postgresql":  # one statement: what is decided meanwhile is in both or in neither
        gone = delete(tally).returning(literal_column("1")).cte("gone")
        counted = connection.execute(_all.add_cte(gone)).one()
    else:
        connection.execute(delete(tally))
        counted = connection.execute(_all).one()
    _keep(connection, *counted)


def put_together(connection: Connection) -> None:
    """Put the entries of the tally into the fact. In a transaction that was opened `alone`."""
    kept = connection.execute(select(_kept)).scalar()
    if kept is None:
        count_again(connection)
        return
    total, open_ = json.loads(kept)
    gone = connection.execute(delete(tally).returning(tally.c.waiting)).scalars().all()
    _keep(connection, total, open_ + sum(gone))


def _keep(connection: Connection, total: int, open_: int) -> None:
    connection.execute(delete(facts).where(facts.c.key == WAITING))
    connection.execute(insert(facts).values(key=WAITING, value=json.dumps([int(total), int(open_)])))


BY_POLICY = ("", "policy", "sample")


def queue_by_policy(connection: Connection, policy: str) -> None:
    """Bring `queued` and `state` of undecided rows in line with the policy."""
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


def for_several(connection: Connection) -> set[int]:
    """Return the rows that more than one person decides."""
    return set(connection.execute(select(rows.c.id).where(rows.c.needed > 1)).scalars())


def set_needed(connection: Connection, is_drawn: Callable[[str], bool], several: int) -> None:
    """Write how many persons each undecided row needs: `several` where its hash is drawn, else 1."""
    asked = select(rows.c.id, rows.c.content_hash, rows.c.needed).where(
        rows.c.queued != "", rows.c.state == "pending", ~exists().where(decisions.c.row_id == rows.c.id)
    )
    changed: dict[int, list[int]] = {1: [], several: []}
    for number, digest, needed in connection.execute(asked):
        if (want := several if is_drawn(digest) else 1) != needed:
            changed[want].append(number)
    for needed, numbers in changed.items():
        for part in chunks(numbers):
            connection.execute(update(rows).where(rows.c.id.in_(part)).values(needed=needed))


def height(connection: Connection) -> dict[str, int]:
    """Return numbers that grow where rows, plans or changes come, or a change is undone."""
    asked = (
        select(func.max(rows.c.id)),
        select(func.max(plans.c.id)),
        select(func.max(changes.c.id)),
        select(func.count()).where(changes.c.undone_at.is_not(None)),
    )
    found = connection.execute(select(*(each.scalar_subquery() for each in asked))).one()
    return {key: number or 0 for key, number in zip(("rows", "plans", "changes", "undone"), found, strict=True)}


def waiting_rows(connection: Connection) -> Sequence[RowMapping]:
    """Return the rows that wait for a decision, in order of import."""
    waiting = select(rows).where(rows.c.state.in_(OPEN_STATES), rows.c.queued != "", rows.c.change_id.is_(None))
    return connection.execute(waiting.order_by(rows.c.id)).mappings().all()


def write_places(connection: Connection, places: Sequence[tuple[int, int]]) -> None:
    """Write the position of rows in the queue: (number, position)."""
    if places:
        statement = update(rows).where(rows.c.id == bindparam("number")).values(place=bindparam("at"))
        connection.execute(statement, [{"number": number, "at": at} for number, at in places])


def clear_places(connection: Connection) -> None:
    """Put every row back in order of import."""
    connection.execute(update(rows).where(rows.c.place != 0).values(place=0))


def link_kinds(connection: Connection) -> Iterator[tuple[int, int, str]]:
    """Yield (row, other row, kind) of every pair that import found."""
    yield from connection.execute(select(links.c.row_id, links.c.other_id, links.c.kind)).tuples()


def accepted_payloads(connection: Connection) -> list[str]:
    """Return the texts of the rows that were accepted and are in."""
    kept = select(rows.c.payload).where(rows.c.state.in_(("approved", "edited")), rows.c.change_id.is_(None))
    return list(connection.execute(kept).scalars())


def read_plans(connection: Connection) -> list[SamplingPlan]:
    """Return the sampling plans in order; those replaced before they began are left out."""
    found = [SamplingPlan(**each) for each in connection.execute(select(plans).order_by(plans.c.id)).mappings()]
    replaced = {plan.replaces for plan in found}
    return [plan for plan in found if plan.id not in replaced]


def last_plan(connection: Connection, role: str) -> SamplingPlan | None:
    """Return the newest sampling plan of a role, replaced or not."""
    asked = select(plans).where(plans.c.role == role).order_by(plans.c.id.desc()).limit(1)
    found = connection.execute(asked).mappings().first()
    return None if found is None else SamplingPlan(**found)


def is_begun(connection: Connection, plan: int) -> bool:
    """True if anyone has seen an item of the plan: then it remains as it was drawn."""
    seen = or_(rows.c.lease_at.is_not(None), exists().where(decisions.c.row_id == rows.c.id))
    asked = select(rows.c.id).where(rows.c.plan_id == plan, rows.c.sampled == 1, seen).limit(1)
    return connection.execute(asked).first() is not None


def is_asked_for(connection: Connection, plan: int) -> bool:
    """True if the plan was drawn after a sample failed: its line in the log names the error."""
    asked = select(events.c.detail).where(events.c.kind == "sample", events.c.ref == f"plan-{plan}")
    return any("error" in json.loads(detail) for detail in connection.execute(asked).scalars())


def population_of(connection: Connection, plan: SamplingPlan) -> int:
    """Return how many rows of the plan's role it could be drawn from now."""
    asked = select(func.count()).where(
        rows.c.role == plan.role,
        rows.c.change_id.is_(None),
        rows.c.queued.in_(BY_POLICY),
        or_(rows.c.plan_id.is_(None), rows.c.plan_id == plan.id),
    )
    return connection.execute(asked).scalar() or 0


def let_go(connection: Connection, plan: int) -> None:
    """Take the rows of a plan out of it."""
    connection.execute(update(rows).where(rows.c.plan_id == plan).values(plan_id=None, sampled=0))


def drawable(connection: Connection, role: str, *, again: bool = False) -> list[tuple[int, str]]:
    """Return (number, content hash) of the rows of a role that are in and that no plan covers; `again`: of those that
    were in no sample and wait for nothing.
    """
    free = (
        [rows.c.sampled == 0, rows.c.queued == ""]
        if again
        else [rows.c.plan_id.is_(None), rows.c.queued.in_(BY_POLICY)]
    )
    asked = select(rows.c.id, rows.c.content_hash).where(rows.c.role == role, rows.c.change_id.is_(None), *free)
    return list(connection.execute(asked.order_by(rows.c.id)).tuples())


def write_plan(connection: Connection, values: Mapping[str, Any], covered: Sequence[int], drawn: Sequence[int]) -> int:
    """Write a sampling plan, the rows that it covers and those of them that are drawn. Returns its id."""
    plan = int(connection.execute(insert(plans).values(**values, at=stamp()).returning(plans.c.id)).scalar_one())
    for part in chunks(covered):
        connection.execute(update(rows).where(rows.c.id.in_(part)).values(plan_id=plan))
    for part in chunks(drawn):
        connection.execute(update(rows).where(rows.c.id.in_(part)).values(sampled=1))
    return plan


def queue_sample(connection: Connection, plan: int) -> None:
    """Let the drawn rows of a plan wait for review."""
    drawn = update(rows).where(rows.c.plan_id == plan, rows.c.sampled == 1)
    connection.execute(drawn.values(queued="sample", state="pending"))


def drawn_rows(connection: Connection, plan: int | None) -> Iterator[tuple[int, int, str, str | None, bool]]:
    """Yield (plan, row, state, finding that took it out, whether anyone decided it) of every row that was drawn."""
    asked = select(
        rows.c.plan_id, rows.c.id, rows.c.state, changes.c.finding, exists().where(decisions.c.row_id == rows.c.id)
    ).outerjoin(changes, changes.c.id == rows.c.change_id)
    asked = asked.where(rows.c.plan_id.is_not(None), rows.c.sampled == 1).order_by(rows.c.id)
    yield from connection.execute(asked if plan is None else asked.where(rows.c.plan_id == plan)).tuples()


def undrawn_rows(connection: Connection, plan: int | None) -> dict[int, tuple[int, int]]:
    """Return by plan (rows that were not drawn, those of them that are in and have no decision)."""
    open_ = rows.c.change_id.is_(None) & rows.c.state.not_in(DECIDED)
    asked = select(rows.c.plan_id, func.count(), func.sum(case((open_, 1), else_=0))).where(rows.c.sampled == 0)
    asked = asked.where(rows.c.plan_id.is_not(None)).group_by(rows.c.plan_id)
    found = connection.execute(asked if plan is None else asked.where(rows.c.plan_id == plan))
    return {of: (count, int(left)) for of, count, left in found}


def plan_that_drew(connection: Connection, number: int) -> int | None:
    """Return the plan in whose sample a row is; None if it is in none."""
    asked = select(rows.c.plan_id).where(rows.c.id == number, rows.c.sampled == 1, rows.c.plan_id.is_not(None))
    return connection.execute(asked).scalar()


def plans_of_decided(connection: Connection, numbers: Sequence[int]) -> Iterator[int]:
    """Yield the plan of each of these rows that is stored as decided, is in and was not drawn."""
    for part in chunks(numbers):
        asked = select(rows.c.plan_id).where(rows.c.id.in_(part), rows.c.sampled == 0, rows.c.change_id.is_(None))
        yield from connection.execute(asked.where(rows.c.state.in_(DECIDED), rows.c.plan_id.is_not(None))).scalars()
