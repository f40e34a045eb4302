"""How the review stands: states, people, pace, samples, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from curation.agreement import Agreement, Unit, measure
from curation.review.mixed import mixed_in
from curation.review.persons import PersonProgress, person_progress, standing
from curation.review.queue import refresh_queue
from curation.review.samples import Plan, plans
from curation.review.votes import FINAL
from curation.sampling import bound_of_rest, pass_chance
from curation.store import Store

if TYPE_CHECKING:
    from curation.review.desk import Desk

OPEN = ("pending", "leased", "skipped", "unsure")
SHOWN = ("pending", "leased", "approved", "edited", "rejected", "skipped", "unsure")
RATES = (0.005, 0.01, 0.02)


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
    """All of `rung review status`. Known items are counted as the rows that they look like."""

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
    older_guideline: int = 0
    """Rows that a person decided under another version of the guideline than the present one."""

    def to_json(self) -> dict[str, Any]:
        """The document of `rung review status --json`."""
        return asdict(self)


def progress(desk: Desk) -> Progress:
    """Count everything anew (the queue is brought in line with the policy first)."""
    from curation.guideline import current_guideline

    refresh_queue(desk.store, desk.settings)
    stored = desk.store.rows()
    queued = [row for row in stored if row.queued or row.state not in ("unreviewed", "trusted")]
    waiting = sum(row.state in OPEN for row in queued)
    with desk.store.read() as connection:
        mixed = mixed_in(connection, desk.settings, len(queued), waiting, desk.clock())
    states = {state: sum(row.state == state for row in queued) + mixed.of(state) for state in SHOWN}
    decided = sum(states[state] for state in ("approved", "edited", "rejected"))
    people = person_progress(desk.store)
    pace = _pace(people)
    guideline = current_guideline(desk.store, desk.project)
    left = len(queued) + mixed.planned - decided
    return Progress(
        states=states,
        decided=decided,
        total=len(queued) + mixed.planned,
        not_queued={state: sum(row.state == state for row in stored) for state in ("unreviewed", "trusted")},
        reviewers=people,
        automatic=sum(row.automatic for row in stored),
        samples=sample_progress(desk.store),
        agreement=agreement(desk.store),
        rows_an_hour=pace,
        hours_left=left / pace if pace else None,
        guideline=guideline.version if guideline else None,
        policy=desk.settings.review.pool,
        older_guideline=sum(
            guideline is not None and row.guideline not in (None, guideline.version) and not row.automatic
            for row in stored
        ),
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
    return measure(overlapping(store), order=FINAL)


def overlapping(store: Store) -> list[Unit]:
    """Rows under blind overlap with their first standing verdicts of persons: name -> verdict."""
    units: dict[int, dict[str, str]] = {}
    for each in standing(store, overlap=True):
        labels = units.setdefault(each["row_id"], {})
        if each["verdict"] in FINAL and each["kind"] == "person" and len(labels) < each["needed"]:
            labels[each["name"]] = each["verdict"]
    return list(units.values())


def _pace(people: Sequence[PersonProgress]) -> float | None:
    """Rows an hour of the persons who decided, together."""
    paces = [person.rows_an_hour for person in people if person.kind == "person" and person.rows_an_hour]
    return sum(paces) if paces else None
