"""Samples of the user's own rows, drawn by seed before the first item is seen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.sampling import draw
from curation.store import Store
from workspace.artefact import now
from workspace.errors import RungError, did_you_mean
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

POLICY_ROLES = ("test", "validation", "train", "pool")
"""The user's own rows: what of them is reviewed is the policy's to say. Each role is sampled by itself."""
BY_POLICY = ("", "policy", "sample")


@dataclass(frozen=True, slots=True)
class Plan:
    """A sampling plan as it was drawn: `size` of `population` rows of a role, passed with at most `allowed` faults."""

    id: int
    at: str
    role: str
    seed: int
    population: int
    size: int
    allowed: int
    error: float
    replaces: int | None


def plans(store: Store) -> list[Plan]:
    """The sampling plans that stand, in order; those replaced before they began are left out."""
    from sqlalchemy import select

    from curation.store.tables import plans as table

    with store.read() as connection:
        found = [Plan(**each) for each in connection.execute(select(table).order_by(table.c.id)).mappings()]
    replaced = {plan.replaces for plan in found}
    return [plan for plan in found if plan.id not in replaced]


def draw_again(store: Store, settings: Settings, role: str, *, actor: str) -> Plan | None:
    """A new plan on fresh rows after a sample that failed: half the least error so far, so about twice the rows.

    Returns None where no row of that role is left that was not in a sample. Raises RungError for a role that is not
    sampled.
    """
    from sqlalchemy import select, update

    from curation.store.tables import rows
    from curation.store.waiting import forget

    if role not in POLICY_ROLES:
        raise RungError(f'"{role}" is not sampled.{did_you_mean(role, POLICY_ROLES)}', "--as " + "|".join(POLICY_ROLES))
    error = min((plan.error for plan in plans(store) if plan.role == role), default=_error(settings)) / 2
    with store.write(alone=True) as connection:
        fresh = list(
            connection.execute(
                select(rows.c.id, rows.c.content_hash)
                .where(rows.c.role == role, rows.c.change_id.is_(None), rows.c.sampled == 0, rows.c.queued == "")
                .order_by(rows.c.id)
            ).tuples()
        )
        if not fresh:
            return None
        size = min(len(fresh), math.ceil(math.log(0.05) / math.log(1 - error)))
        plan = _write_plan(connection, settings, role, fresh, size, error, None)
        store.event(
            "sample", actor, f"plan-{plan}", {"role": role, "size": size, "error": error}, connection=connection
        )
        forget(connection)
        connection.execute(
            update(rows).where(rows.c.plan_id == plan, rows.c.sampled == 1).values(queued="sample", state="pending")
        )
    return next(each for each in plans(store) if each.id == plan)


def draw_plans(store: Store, connection: Connection, settings: Settings) -> None:
    """Draw a sample of each role's rows that no plan covers yet; a plan that has not begun is drawn anew with them."""
    from sqlalchemy import select, update

    from curation.store.tables import plans as table
    from curation.store.tables import rows

    for role in POLICY_ROLES:
        last = (
            connection.execute(select(table).where(table.c.role == role).order_by(table.c.id.desc()).limit(1))
            .mappings()
            .first()
        )
        replaces = None
        if last is not None and not _begun(connection, last["id"]) and _outdated(connection, settings, last):
            replaces = last["id"]
            connection.execute(update(rows).where(rows.c.plan_id == replaces).values(plan_id=None, sampled=0))
        fresh = list(
            connection.execute(
                select(rows.c.id, rows.c.content_hash)
                .where(rows.c.role == role, rows.c.change_id.is_(None), rows.c.plan_id.is_(None))
                .where(rows.c.queued.in_(BY_POLICY))
                .order_by(rows.c.id)
            ).tuples()
        )
        if fresh:
            size = min(settings.review.sample, len(fresh))
            plan = _write_plan(connection, settings, role, fresh, size, _error(settings), replaces)
            store.event("sample", "rung", f"plan-{plan}", {"role": role, "size": size}, connection=connection)


def _begun(connection: Connection, plan: int) -> bool:
    """Whether anyone has seen an item of the plan: then it stands as it was drawn."""
    from sqlalchemy import exists, or_, select

    from curation.store.tables import decisions, rows

    seen = or_(rows.c.lease_at.is_not(None), exists().where(decisions.c.row_id == rows.c.id))
    asked = select(rows.c.id).where(rows.c.plan_id == plan, rows.c.sampled == 1, seen).limit(1)
    return connection.execute(asked).first() is not None


def _outdated(connection: Connection, settings: Settings, last: Mapping[Any, Any]) -> bool:
    """Whether rows came or went, or the policy changed, since a plan was drawn. One that was asked for after a sample
    failed stands as it was drawn: its size and error are not the policy's.
    """
    from sqlalchemy import func, or_, select

    from curation.store.tables import rows

    if _asked_for(connection, last["id"]):
        return False
    asked = select(func.count()).where(
        rows.c.role == last["role"],
        rows.c.change_id.is_(None),
        rows.c.queued.in_(BY_POLICY),
        or_(rows.c.plan_id.is_(None), rows.c.plan_id == last["id"]),
    )
    there = connection.execute(asked).scalar() or 0
    wanted = (there, min(settings.review.sample, there), settings.review.allowed_faults, settings.dataset.seed)
    return wanted != (last["population"], last["size"], last["allowed"], last["seed"])


def _asked_for(connection: Connection, plan: int) -> bool:
    """Whether `draw_again` drew the plan: its line in the log names the error."""
    from sqlalchemy import select

    from curation.store.tables import events

    asked = select(events.c.detail).where(events.c.kind == "sample", events.c.ref == f"plan-{plan}")
    return any("error" in json.loads(detail) for detail in connection.execute(asked).scalars())


def _write_plan(
    connection: Connection,
    settings: Settings,
    role: str,
    fresh: Sequence[tuple[int, str]],
    size: int,
    error: float,
    replaces: int | None,
) -> int:
    from sqlalchemy import insert, update

    from curation.store.reading import chunks
    from curation.store.tables import plans as table
    from curation.store.tables import rows

    values = {
        "at": now().isoformat(),
        "role": role,
        "seed": settings.dataset.seed,
        "population": len(fresh),
        "size": size,
        "allowed": settings.review.allowed_faults,
        "error": error,
        "replaces": replaces,
    }
    plan = int(connection.execute(insert(table).values(**values).returning(table.c.id)).scalar_one())
    drawn = {fresh[index][0] for index in draw(settings.dataset.seed, [digest for _, digest in fresh], size)}
    for part in chunks([number for number, _ in fresh]):
        connection.execute(update(rows).where(rows.c.id.in_(part)).values(plan_id=plan))
    for part in chunks(sorted(drawn)):
        connection.execute(update(rows).where(rows.c.id.in_(part)).values(sampled=1))
    return plan


def _error(settings: Settings) -> float:
    """The share of faults that a sample of this size without a fault excludes with 95% confidence."""
    return 1.0 - math.exp(math.log(0.05) / settings.review.sample)
