"""The review queue: which rows wait, and in which order (policy of rung.toml, samples, topic, doubt or gap)."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection
from sqlalchemy.engine import RowMapping

from curation.example import Example
from curation.likeness.words import words
from curation.review.ruling import settle_again
from curation.store import Store
from curation.store.decision_log import newest_id
from curation.store.engine import lock_now
from curation.store.reading import read_fact
from curation.store.records import POLICY_ROLES, SamplingPlan
from curation.store.waiting_rows import (
    accepted_payloads,
    clear_places,
    count_again,
    drawable,
    forget,
    height,
    is_asked_for,
    is_begun,
    is_due,
    last_plan,
    let_go,
    link_kinds,
    population_of,
    put_together,
    queue_by_policy,
    queue_sample,
    read_plans,
    set_needed,
    waiting_rows,
    write_places,
    write_plan,
)
from curation.store.writing import keep_fact
from workspace.errors import RungError, did_you_mean
from workspace.settings import Settings

BY_DECISIONS = ("gap", "uncertainty")
POLICY = ("pool", "sample", "allowed_faults", "order", "accept_automatic", "second_edit", "overlap", "overlap_people")
"""Settings of `[review]` on which the queue depends."""
LOOK_AGAIN = 50
"""Decisions after which an order that depends on them is worked out again."""


def refresh_queue(store: Store, settings: Settings) -> None:
    """Queue what the policy asks for, where rows or settings changed since the last call; else only a quick look.

    A store that cannot be written keeps the queue that it has.
    """
    if store.is_read_only:
        return
    mark = {**settings.review.model_dump(include=set(POLICY)), "seed": settings.dataset.seed}
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
        queue_by_policy(connection, settings.review.pool)
        seed, share = settings.dataset.seed, settings.review.overlap
        set_needed(connection, lambda digest: rank(seed, digest, "overlap") < share, settings.review.overlap_people)
        before = json.loads(read_fact(connection, "queue") or "{}")
        if any(before.get(key, False) != mark[key] for key in ("accept_automatic", "second_edit")):
            settle_again(connection, settings.review)
        set_places(connection, settings)
        count_again(connection)
        keep_fact(connection, "queue", json.dumps({**mark, **_height(connection, settings)}))


def _height(connection: Connection, settings: Settings) -> dict[str, int]:
    """Return the store's highest ids, to notice changes; orders by decisions count these too, by LOOK_AGAIN."""
    found = height(connection)
    if settings.review.order in BY_DECISIONS:
        decided = newest_id(connection)
        found["decided"] = decided // LOOK_AGAIN
    return found


def draw(seed: int, keys: Sequence[str], size: int) -> list[int]:
    """Indices of a random sample of `keys`, in order: the same seed and keys draw the same rows, in any order."""
    ranked = sorted(range(len(keys)), key=lambda index: (rank(seed, keys[index]), index))
    return sorted(ranked[:size])


def rank(seed: int, key: str, purpose: str = "sample") -> float:
    """Return a uniform number in [0, 1) that depends on seed, purpose and key alone."""
    digest = hashlib.sha256(f"{purpose}:{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def plans(store: Store) -> list[SamplingPlan]:
    """Return the sampling plans in order; those replaced before they began are left out."""
    with store.read() as connection:
        return read_plans(connection)


def draw_again(store: Store, settings: Settings, role: str, *, actor: str) -> SamplingPlan | None:
    """Return a new plan on fresh rows after a sample that failed: half the least error so far, so about twice the rows.

    Returns None if no row of that role is left that was not in a sample. Raises RungError for a role that is not
    sampled.
    """
    if role not in POLICY_ROLES:
        text = f'"{role}" is not sampled.{did_you_mean(role, POLICY_ROLES)}'
        raise RungError(text, "--as " + "|".join(POLICY_ROLES), found=role)
    error = min((plan.error for plan in plans(store) if plan.role == role), default=_error(settings)) / 2
    with store.write(alone=True) as connection:
        fresh = drawable(connection, role, again=True)
        if not fresh:
            return None
        size = min(len(fresh), max(settings.review.sample, math.ceil(math.log(0.05) / math.log(1 - error))))
        plan = _write_plan(connection, settings, role, fresh, size, error, None)
        detail = {"role": role, "size": size, "error": error}
        store.event("sample", actor, f"plan-{plan}", detail, connection=connection)
        forget(connection)
        queue_sample(connection, plan)
    return next(each for each in plans(store) if each.id == plan)


def draw_plans(store: Store, connection: Connection, settings: Settings) -> None:
    """Draw a sample of each role's rows that no plan covers yet; a plan that has not begun is drawn again with them."""
    for role in POLICY_ROLES:
        last, replaces = last_plan(connection, role), None
        if last is not None and not is_begun(connection, last.id) and _outdated(connection, settings, last):
            replaces = last.id
            let_go(connection, replaces)
        fresh = drawable(connection, role)
        if fresh:
            size = min(settings.review.sample, len(fresh))
            plan = _write_plan(connection, settings, role, fresh, size, _error(settings), replaces)
            store.event("sample", "rung", f"plan-{plan}", {"role": role, "size": size}, connection=connection)


def _outdated(connection: Connection, settings: Settings, last: SamplingPlan) -> bool:
    """True if rows were added or removed, or the policy changed, since a plan was drawn. A plan requested after a
    failed sample stays as drawn: its size and error are not the policy's.
    """
    if is_asked_for(connection, last.id):
        return False
    there = population_of(connection, last)
    wanted = (there, min(settings.review.sample, there), settings.review.allowed_faults, settings.dataset.seed)
    return wanted != (last.population, last.size, last.allowed, last.seed)


def _write_plan(
    connection: Connection,
    settings: Settings,
    role: str,
    fresh: Sequence[tuple[int, str]],
    size: int,
    error: float,
    replaces: int | None,
) -> int:
    values = {
        "role": role,
        "seed": settings.dataset.seed,
        "population": len(fresh),
        "size": size,
        "allowed": settings.review.allowed_faults,
        "error": error,
        "replaces": replaces,
    }
    drawn = sorted(fresh[index][0] for index in draw(settings.dataset.seed, [digest for _, digest in fresh], size))
    return write_plan(connection, values, [number for number, _ in fresh], drawn)


def _error(settings: Settings) -> float:
    """Return the share of faults that a sample of this size without a fault excludes with 95% confidence."""
    return 1.0 - math.exp(math.log(0.05) / settings.review.sample)


COMMON = 0.2
"""A word that is in a larger share of the waiting rows says nothing of a row's topic."""
TELLING = 4
"""Words by which a topic is sorted."""
DOUBT = {"contradiction": 1.0, "minimal_pair": 0.8, "short_near": 0.6}
"""Doubt about a row, by the nearest row with another answer."""


def set_places(connection: Connection, settings: Settings) -> None:
    """Write the place of every waiting row, where it changed. `import` puts all at 0: the order of import."""
    if settings.review.order == "import":
        clear_places(connection)
        return
    found = waiting_rows(connection)
    ranked = ORDERS[settings.review.order](connection, settings, found)
    at = enumerate(ranked, 1)
    write_places(connection, [(found[index]["id"], place) for place, index in at if found[index]["place"] != place])


def by_topic(connection: Connection, settings: Settings, found: Sequence[RowMapping]) -> list[int]:
    """Order similar rows together: by `[dataset] group_by` where rows have it, then by the telling words they share.

    A word tells a topic where at least two waiting rows hold it, and no more than a fifth of them.
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
    """Return the most doubtful first: a near row has another answer, or someone was not sure."""
    near: dict[int, float] = {}
    for row, other, kind in link_kinds(connection):
        for number in (row, other):
            near[number] = max(near.get(number, 0.0), DOUBT.get(kind, 0.0))

    def doubt(each: RowMapping) -> float:
        return max(near.get(each["id"], 0.0), 1.0 if each["state"] == "unsure" else 0.0)

    return sorted(range(len(found)), key=lambda index: (-doubt(found[index]), index))


def by_gap(connection: Connection, settings: Settings, found: Sequence[RowMapping]) -> list[int]:
    """Return the class with the fewest accepted rows first, as if each row given out were accepted."""
    have = Counter(_class(payload, settings) for payload in accepted_payloads(connection))

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


def _class(payload: str, settings: Settings) -> str:
    """Return the class of a row: its `group_by` value if it has one, else its answer."""
    example = Example.from_json(payload)
    group = example.row.get(settings.dataset.group_by) if settings.dataset.group_by else None
    return str(group) if group is not None else (example.answer or "").strip()
