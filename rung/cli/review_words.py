"""`rung review status` in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.review import Progress
    from curation.review.progress import SampleProgress


def lines(found: Progress) -> Iterator[str]:
    """What a person reads, the state first, the next command last."""
    yield f"{found.decided:,} of {found.total:,} decided" + _by(found)
    counts = [f"{n:,} {state}" for state, n in found.states.items() if n]
    if counts:
        yield "  " + ", ".join(counts)
    if found.automatic:
        yield f"  {found.automatic:,} of these by an automatic reviewer, which is no expert review"
    trusted, unreviewed = found.not_queued["trusted"], found.not_queued["unreviewed"]
    if trusted:
        yield f"  {trusted:,} rows of your own are trusted without review"
    if unreviewed:
        yield f"  {unreviewed:,} rows of your own are not queued"
    for sample in found.samples:
        yield from _sample(sample)
    yield from _people(found)
    yield ""
    yield f"Next: {_next(found)}"


def _by(found: Progress) -> str:
    names = [person.name for person in found.reviewers if person.decided]
    return f", by {' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}" if names else ""


def _sample(sample: SampleProgress) -> Iterator[str]:
    plan = sample.plan
    yield f"{'✓' if sample.passed else '○' if not sample.finished else '✗'} Sample of {plan.role}: " + (
        f"{sample.rows:,} of {plan.population:,} rows, {sample.decided:,} decided, {sample.found} with faults, "
        f"{plan.allowed} allowed"
    )
    chances = ", ".join(f"{chance:.0%} at {rate}" for rate, chance in sample.chances.items())
    yield f"    its chance to pass: {chances} faulty rows"
    if sample.bound is not None:
        yield f"    of the rows left unreviewed at most {sample.bound:.1%} are faulty (95%)"


def _people(found: Progress) -> Iterator[str]:
    for person in found.reviewers:
        pace = f", {person.rows_an_hour:,.0f} an hour" if person.rows_an_hour else ""
        kind = " (automatic)" if person.kind == "automatic" else ""
        yield f"{person.name}{kind}: {person.decided:,} decided in {person.minutes:.0f} min{pace}"
    agreed = found.agreement
    if agreed.units:
        value = f"{agreed.value:.2f}" if agreed.value is not None else "undefined (all the same label)"
        interval = f" (95%: {agreed.low:.2f} to {agreed.high:.2f})" if agreed.low is not None else ""
        yield f"Agreement: {agreed.measure} {value}{interval} on {agreed.units:,} rows, raw {agreed.raw:.1%}"
    if found.hours_left:
        yield f"About {found.hours_left:.1f} h left at the present pace"


def _next(found: Progress) -> str:
    return "rung review next" if found.decided < found.total else "rung data freeze"
