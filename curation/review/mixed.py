"""Counts in which known items look like other rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.review.gold import STATE_OF, _answers, shown_state
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from curation.store import Store


@dataclass(frozen=True, slots=True)
class Mixed:
    """Known items as ordinary rows in the counts that reviewers see: how many are planned, answered and leased."""

    planned: int = 0
    states: Mapping[str, int] | None = None
    leased: int = 0

    @property
    def decided(self) -> int:
        """Answers that look like decisions."""
        return sum(n for state, n in (self.states or {}).items() if state in ("approved", "edited", "rejected"))

    def of(self, state: str) -> int:
        """How many of them look like rows in this state."""
        answers = self.states or {}
        waiting = self.planned - sum(answers.values()) - self.leased
        return {"pending": waiting, "leased": self.leased}.get(state, answers.get(state, 0))


def mixed_in(connection: Connection, settings: Settings, queued: int, waiting: int, moment: float) -> Mixed:
    """What known items add to the counts of a queue of `queued` rows, `waiting` of them open.

    The same before and after each is decided. Once no row waits any more, only what was decided is counted.
    """
    from sqlalchemy import func, select

    from curation.review.settling import known_now
    from curation.store.reading import leased_now
    from curation.store.tables import reviewers, rows

    policy = settings.review
    if not policy.gold and not policy.entry:
        return Mixed()
    known = known_now(rows.c.id)
    active = connection.execute(select(func.count()).select_from(rows).where(known)).scalar() or 0
    people = select(func.count()).select_from(reviewers).where(reviewers.c.kind == "person")
    pairs = active * (connection.execute(people).scalar() or 0)
    states: dict[str, int] = {}
    for each in connection.execute(_answers()).mappings():
        if each["superseded"] is None:
            original = each["original"] or each["now"]
            changed = each["payload"] is not None and each["payload"] != original
            state = shown_state(each["verdict"], changed=changed)
            states[state] = states.get(state, 0) + 1
    leased = select(func.count()).select_from(rows).where(known, leased_now(moment), rows.c.lease_token.is_not(None))
    running = connection.execute(leased).scalar() or 0
    if not waiting and not running and not states.get("skipped"):
        final = {state: n for state, n in states.items() if state in STATE_OF.values()}
        return Mixed(sum(final.values()), final)
    planned = min(pairs, round(policy.gold / (1 - policy.gold) * queued))
    return Mixed(max(planned, sum(states.values()) + running), states, running)


def mixed_counts(store: Store, settings: Settings, queued: int, waiting: int) -> Mapping[str, int]:
    """`mixed_in` by state, for a status that counts rows itself."""
    with store.read() as connection:
        mixed = mixed_in(connection, settings, queued, waiting, time.time())
    return {state: mixed.of(state) for state in ("pending", "leased", *STATE_OF.values(), "unsure")}
