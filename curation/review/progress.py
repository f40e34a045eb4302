"""How the review stands: states, people, pace, samples, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from curation.agreement import Agreement, Unit, measure
from curation.review.queue import Plan, plans, refresh_queue
from curation.review.votes import FINAL
from curation.sampling import bound_of_rest, pass_chance
from curation.store import Store

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

    from curation.review.desk import Desk

SHOWN = ("pending", "leased", "approved", "edited", "rejected", "skipped", "unsure")
BREAK_SECONDS = 300.0
"""A longer pause between two decisions is a break, and counts as this long at most."""
RATES = (0.005, 0.01, 0.02)


@dataclass(frozen=True, slots=True)
class PersonProgress:
    """One reviewer's standing decisions, and their pace over the time that they sat at it."""

    name: str
    kind: str
    role: str
    decided: int
    verdicts: Mapping[str, int]
    minutes: float
    rows_an_hour: float | None


@dataclass(frozen=True, slots=True)
class SampleProgress:
    """A sampling plan and how it goes. Unfinished, skipped and unsure rows count as faults, as edits and rejects do.

    `bound` is the one-sided 95% upper bound of faulty rows among those left unreviewed, None while unfinished;
    `chances` the plan's chance to pass at 0.5%, 1% and 2% faults.
    """

    plan: Plan
    rows: int
    decided: int
    found: int
    faults: int
    finished: bool
    passed: bool
    bound: float | None
    chances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Progress:
    """All of `rung review status`."""

    states: Mapping[str, int]
    decided: int
    total: int
    not_queued: Mapping[str, int]
    reviewers: Sequence[PersonProgress]
    automatic: int
    samples: Sequence[SampleProgress]
    agreement: Agreement
    rows_an_hour: float | None
    hours_left: float | None
    guideline: int | None
    policy: str

    def to_json(self) -> dict[str, Any]:
        """The document of `rung review status --json`."""
        return asdict(self)


def progress(desk: Desk) -> Progress:
    """Count everything anew (the queue is brought in line with the policy first)."""
    from curation.guideline import current_guideline

    refresh_queue(desk.store, desk.settings)
    stored = desk.store.rows()
    queued = [row for row in stored if row.queued or row.state not in ("unreviewed", "trusted")]
    states = {state: sum(row.state == state for row in queued) for state in SHOWN}
    decided = sum(states[state] for state in ("approved", "edited", "rejected"))
    people = _people(desk.store)
    pace = _pace(people)
    guideline = current_guideline(desk.store, desk.project)
    left = len(queued) - decided
    return Progress(
        states=states,
        decided=decided,
        total=len(queued),
        not_queued={state: sum(row.state == state for row in stored) for state in ("unreviewed", "trusted")},
        reviewers=people,
        automatic=sum(row.automatic for row in stored),
        samples=sample_progress(desk.store),
        agreement=agreement(desk.store),
        rows_an_hour=pace,
        hours_left=left / pace if pace else None,
        guideline=guideline.version if guideline else None,
        policy=desk.settings.review.pool,
    )


def sample_progress(store: Store) -> list[SampleProgress]:
    """Each sampling plan with what was found so far."""
    made = []
    for plan in plans(store):
        covered = [row for row in store.rows(role=plan.role) if row.plan == plan.id]
        drawn = [row for row in covered if row.in_sample]
        found = sum(row.state in ("edited", "rejected") for row in drawn)
        decided = sum(row.state in ("approved", "edited", "rejected") for row in drawn)
        faults = found + len(drawn) - decided
        finished = decided == len(drawn)
        made.append(
            SampleProgress(
                plan=plan,
                rows=len(drawn),
                decided=decided,
                found=found,
                faults=faults,
                finished=finished,
                passed=finished and (found <= plan.allowed or len(drawn) == len(covered)),
                bound=bound_of_rest(len(covered), len(drawn), found) if finished else None,
                chances={f"{rate:.1%}": pass_chance(plan.population, plan.size, plan.allowed, rate) for rate in RATES},
            )
        )
    return made


def agreement(store: Store) -> Agreement:
    """Over all rows that two or more people decided without seeing one another's decision."""
    return measure(overlapping(store))


def overlapping(store: Store) -> list[Unit]:
    """Rows under blind overlap with their first standing verdicts of persons: name -> verdict."""
    units: dict[int, dict[str, str]] = {}
    for each in _standing(store, overlap=True):
        labels = units.setdefault(each["row_id"], {})
        if each["verdict"] in FINAL and each["kind"] == "person" and len(labels) < each["needed"]:
            labels[each["name"]] = each["verdict"]
    return list(units.values())


def _standing(store: Store, *, overlap: bool = False) -> Sequence[RowMapping]:
    from sqlalchemy import exists, select

    from curation.store.tables import decisions, reviewers, rows

    later = decisions.alias("later")
    asked = (
        select(decisions, reviewers.c.name, reviewers.c.kind, reviewers.c.role, rows.c.needed)
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .join(rows, rows.c.id == decisions.c.row_id)
        .where(decisions.c.verdict != "undo", ~exists().where(later.c.supersedes == decisions.c.id))
        .order_by(decisions.c.id)
    )
    if overlap:
        asked = asked.where(rows.c.needed > 1, decisions.c.id > rows.c.since)
    with store.read() as connection:
        return connection.execute(asked).mappings().all()


def _people(store: Store) -> list[PersonProgress]:
    by_name: dict[str, list[RowMapping]] = {}
    for each in _standing(store):
        by_name.setdefault(each["name"], []).append(each)
    made = []
    for name, entries in by_name.items():
        seconds = _seconds([entry["at"] for entry in entries])
        verdicts = {v: sum(entry["verdict"] == v for entry in entries) for v in (*FINAL, "skip", "unsure")}
        decided = sum(verdicts[v] for v in FINAL)
        made.append(
            PersonProgress(
                name=name,
                kind=entries[0]["kind"],
                role=entries[0]["role"],
                decided=decided,
                verdicts=verdicts,
                minutes=seconds / 60,
                rows_an_hour=(len(entries) - 1) / seconds * 3600 if seconds and len(entries) > 1 else None,
            )
        )
    return made


def _seconds(times: Sequence[str]) -> float:
    moments = [datetime.fromisoformat(each).timestamp() for each in times]
    return sum(min(BREAK_SECONDS, max(0.0, later - earlier)) for earlier, later in pairwise(moments))


def _pace(people: Sequence[PersonProgress]) -> float | None:
    """Rows an hour of the persons who decided, together."""
    paces = [person.rows_an_hour for person in people if person.kind == "person" and person.rows_an_hour]
    return sum(paces) if paces else None
