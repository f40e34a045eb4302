"""Progress of the review: states, people, pace, samples, agreement.

Acceptance sampling is exact, by the hypergeometric distribution: `population` rows hold `faulty` ones, of which a
random sample of `size` is drawn without return.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from curation.review.agreement import Agreement, measure
from curation.review.people import Desk, PersonProgress, person_progress
from curation.review.queue import plans, refresh_queue
from curation.review.ruling import comes_to
from curation.store import Store, number_of, row_id
from curation.store.decision_log import read_standing
from curation.store.records import DECIDED, FINAL, VERDICT_OF, SamplingPlan
from curation.store.reviewers import current_guideline
from curation.store.waiting_rows import drawn_rows, plan_that_drew, plans_of_decided, undrawn_rows
from workspace.settings import ReviewSettings

SHOWN = ("pending", "leased", "approved", "edited", "rejected", "skipped", "unsure")
RATES = (0.005, 0.01, 0.02)
NONE: Mapping[int, str] = {}
NO_FAULT = ("duplicates", "left_duplicates", "leaks")
"""Findings that take a row out without saying that the row is wrong."""


@dataclass(frozen=True, slots=True)
class SampleProgress:
    """A sampling plan and how it goes. Unfinished, skipped and unsure rows count as faults, as edits and rejects do.

    `rows` counts every row that was drawn: one that was taken out of the data since still counts, with its fault; if
    nobody had decided it, it is a fault. Only duplicates and leaks that nobody had decided (`gone`) are none. `left`:
    rows of the plan that are still in the data, were not drawn and have no decision. `failed` is known as soon as one
    fault too many was found. `bound` is the one-sided 95% upper bound of faulty rows among `left`, None while
    unfinished; `chances` the plan's chance to pass at 0.5%, 1% and 2% faults. `drawn` are the ids of the drawn rows.
    """

    plan: SamplingPlan
    rows: int
    decided: int
    found: int
    faults: int
    gone: int
    left: int
    finished: bool
    passed: bool
    failed: bool
    bound: float | None
    chances: Mapping[str, float]
    drawn: tuple[str, ...] = ()

    def words(self) -> str:
        """Return that the sample failed, and why; empty if it has not."""
        return f"The sample of {self.plan.role} failed: {self.fault()}." if self.failed else ""

    def fault(self) -> str:
        """Return why the sample does not pass, in a clause; empty if it passes."""
        role, rows = self.plan.role, f"{self.rows:,} sampled {self.plan.role} rows"
        if self.failed:
            rest = f", up to {self.bound:.1%} of the rest may be" if self.bound is not None else ""
            return f"{self.found} of {rows} were faulty, {self.plan.allowed} allowed{rest}"
        if not self.finished:
            return f"the sample of {role} is not finished ({self.decided} of {self.rows - self.gone})"
        return ""


@dataclass(frozen=True, slots=True)
class ReviewProgress:
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
    older_guideline: int = 0
    """Rows that a person decided under another version of the guideline than the present one."""

    def to_json(self) -> dict[str, Any]:
        """Return the document of `rung review status --json`."""
        return asdict(self)


def progress(desk: Desk) -> ReviewProgress:
    """Count everything, after the queue was brought in line with the policy."""
    refresh_queue(desk.store, desk.settings)
    stored = desk.store.rows()
    queued = [row for row in stored if row.state not in ("unreviewed", "trusted")]
    states = {state: sum(row.state == state for row in queued) for state in SHOWN}
    decided = sum(states[state] for state in ("approved", "edited", "rejected"))
    people = person_progress(desk.store)
    pace = sum(each.rows_an_hour or 0 for each in people if each.kind == "person") or None
    guideline = current_guideline(desk.store, desk.project)
    left = len(queued) - decided
    return ReviewProgress(
        states=states,
        decided=decided,
        total=len(queued),
        not_queued={state: sum(row.state == state for row in stored) for state in ("unreviewed", "trusted")},
        reviewers=people,
        automatic=sum(row.automatic for row in stored),
        samples=sample_progress(desk.store, desk.settings.review),
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


def sample_progress(
    store: Store, policy: ReviewSettings | None = None, *, plan: int | None = None, states: Mapping[int, str] = NONE
) -> list[SampleProgress]:
    """Return each sampling plan, or one, with what was found so far.

    With `policy` no plan allows more faults than that policy. `states` are states by row number that count instead of
    the stored ones.
    """
    drawn_up = [each for each in plans(store) if plan in (None, each.id)]
    if not drawn_up:
        return []
    reopened = [number for number, state in states.items() if state not in DECIDED]
    drawn: dict[int, list[tuple[int, str]]] = {}
    with store.read() as connection:
        for of, number, state, finding, decided in drawn_rows(connection, plan):
            state = states.get(number, state)
            if finding is not None and state not in DECIDED:  # taken out: nobody will be asked any more
                state = "gone" if finding in NO_FAULT and not decided else "rejected"
            drawn.setdefault(of, []).append((number, state))
        undrawn = undrawn_rows(connection, plan)
        again = Counter(plans_of_decided(connection, reopened))
    return [
        _sample(each, drawn.get(each.id, []), *undrawn.get(each.id, (0, 0)), again[each.id], policy)
        for each in drawn_up
    ]


def failed_sample(desk: Desk, name: str) -> SampleProgress | None:
    """Return the failed sample in which a row was drawn; None if it has not failed, or the row was not drawn."""
    with desk.store.read() as connection:
        plan = plan_that_drew(connection, number_of(name))
    if plan is None or desk.settings.review.pool != "sample":
        return None
    return next((each for each in sample_progress(desk.store, desk.settings.review, plan=plan) if each.failed), None)


def _sample(
    plan: SamplingPlan,
    drawn: Sequence[tuple[int, str]],
    undrawn: int,
    left: int,
    again: int,
    policy: ReviewSettings | None,
) -> SampleProgress:
    if policy is not None and policy.allowed_faults < plan.allowed:
        plan = replace(plan, allowed=policy.allowed_faults)
    left += again
    states = Counter(state for _, state in drawn)
    gone, found = states["gone"], states["edited"] + states["rejected"]
    decided = found + states["approved"]
    finished = decided + gone == len(drawn)
    failed = found > plan.allowed and left > 0
    bound = None
    if finished:  # the faulty rows that the sample leaves possible, all of them among those still in the data
        size = len(drawn) - gone
        possible = most_faulty(size + undrawn, size, found) - found
        bound = min(1.0, possible / left) if left else 0.0
    return SampleProgress(
        plan=plan,
        rows=len(drawn),
        decided=decided,
        found=found,
        faults=found + len(drawn) - decided - gone,
        gone=gone,
        left=left,
        finished=finished,
        passed=finished and not failed,
        failed=failed,
        bound=bound,
        chances={f"{rate:.1%}": pass_chance(plan.population, plan.size, plan.allowed, rate) for rate in RATES},
        drawn=tuple(row_id(number) for number, _ in drawn),
    )


def agreement(store: Store) -> Agreement:
    """Over all rows that two or more people decided without seeing one another's decision.

    A label is what a person's first standing decision comes to; that of an edit holds its text: two edits agree where
    they leave the same row.
    """
    units: dict[int, dict[str, str]] = {}
    with store.read() as connection:
        found = read_standing(connection, overlap=True)
    for each in found:
        labels = units.setdefault(each["row_id"], {})
        if each["verdict"] in FINAL and each["kind"] == "person" and len(labels) < each["needed"]:
            state, text = comes_to(each["verdict"], each["payload"], each["original"] or each["row_payload"])
            labels[each["name"]] = f"edit:{text}" if state == "edited" else VERDICT_OF[state]
    return measure(list(units.values()))


CONFIDENCE = 0.95


def at_most(population: int, faulty: int, size: int, found: int) -> float:
    """Return chance that a sample of `size` holds at most `found` of the `faulty` rows."""
    total = _choose(population, size)
    terms = [
        math.exp(_choose(faulty, hits) + _choose(population - faulty, size - hits) - total)
        for hits in range(min(found, faulty, size) + 1)
    ]
    return min(1.0, math.fsum(terms))


def pass_chance(population: int, size: int, allowed: int, error: float) -> float:
    """Return chance that the plan passes where a share `error` of the rows is faulty (rounded up to whole rows)."""
    return at_most(population, math.ceil(error * population - 1e-9), size, allowed)


def most_faulty(population: int, size: int, found: int) -> int:
    """Upper bound, one-sided: the most faulty rows in the whole population that still agree with `found` of `size`."""
    more = range(found + 1, population - (size - found) + 1)
    return found + bisect_left(
        more, True, key=lambda faulty: at_most(population, faulty, size, found) <= 1 - CONFIDENCE
    )


def _choose(n: int, k: int) -> float:
    """Natural logarithm of n over k; minus infinity where there is no way."""
    if k < 0 or k > n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
