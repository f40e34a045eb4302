"""Price of a tuned model compared with the prompt: review hours, training, a call, upkeep, break-even.

Times are measured and prices come from the dated tables in rules/. An unknown figure is null, and its name is listed.
"""

import json
import math
from datetime import date
from pathlib import Path

from advisor.answer_file import answers_at
from advisor.breakeven import CachedTokens, break_even
from advisor.rulefiles import load_rulebook
from evaluation.measurement_report import ArmResult
from workspace.artefact import ArtefactPart, now
from workspace.folder import Project
from workspace.settings import Settings


class Call(ArtefactPart):
    """One call of an arm: mean tokens, median seconds, and dollars if a dated price is known."""

    arm: str
    tokens_in: float
    tokens_out: float
    seconds: float | None
    usd: float | None


class TuningPrice(ArtefactPart):
    """The price of fine-tuning. Money in dollars; `unknown` names each price or answer that is missing.

    `review_hours` are people's hours of review, `review_usd` their cost at `[review] hour_usd`, `drafts_usd` the cost
    of drafting candidates. From `break_even_calls` a day on, a rented GPU with the tuned model, upkeep included, costs
    less than the prompted model; `assumed` lists its assumptions on prompt caches and batches.
    """

    review_hours: float | None
    review_people: int
    review_usd: float | None
    drafts_usd: float | None
    training_seconds: float | None
    prompted: Call
    tuned: Call
    upkeep_usd_per_month: float | None
    break_even_calls: int | None
    incumbent: str | None
    card: str | None
    prices_dated: date | None
    expired: bool
    unknown: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def price_of(project: Project, settings: Settings, run: str, prompted: ArmResult, tuned: ArmResult) -> TuningPrice:
    """Return the price of a run, from the store, its run.json, the measured arms and the rulebook's price tables."""
    hours, people, drafts = _work(project, settings)
    answers = answers_at(project.answers_file)
    read, written = (math.ceil(total / max(1, prompted.n)) for total in (prompted.input_tokens, prompted.output_tokens))
    hosted = settings.model.base if settings.model.provider != "local" else None
    book = load_rulebook(project.root / "rules")
    asked = answers.with_changes(tokens_in=read, tokens_out=written, incumbent_model=answers.incumbent_model or hosted)
    even = break_even(book, asked, answers.model_size_b, now().date(), _cached(prompted))
    unknown = list(even.unknown)
    if hours and settings.review.hour_usd is None:
        unknown.append("what an hour of review costs ([review] hour_usd)")
    return TuningPrice(
        review_hours=hours,
        review_people=people,
        review_usd=hours * settings.review.hour_usd if hours is not None and settings.review.hour_usd else None,
        drafts_usd=drafts,
        training_seconds=_training_seconds(project.runs / run / "run.json"),
        prompted=call_of(prompted),
        tuned=call_of(tuned),
        upkeep_usd_per_month=even.upkeep_usd_per_month,
        break_even_calls=even.calls_per_day,
        incumbent=even.incumbent,
        card=even.card,
        prices_dated=even.prices_dated,
        expired=even.expired,
        unknown=tuple(unknown),
        assumed=even.assumed,
    )


def _cached(arm: ArmResult) -> CachedTokens | None:
    """Return the tokens of a prompt that a cache can hold: as replies counted them, else the shared beginning."""
    if arm.cached_tokens:
        return CachedTokens(arm.cached_tokens / arm.n, measured=True)
    return None if arm.shared is None else CachedTokens(arm.shared * arm.input_tokens / arm.n)


def call_of(arm: ArmResult) -> Call:
    """Return the arm's measured call."""
    return Call(
        arm=arm.arm,
        tokens_in=arm.input_tokens / max(1, arm.n),
        tokens_out=arm.output_tokens / max(1, arm.n),
        seconds=arm.p50_seconds,
        usd=arm.cost_usd / max(1, arm.n) if arm.cost_usd else arm.cost_usd,
    )


def _work(project: Project, settings: Settings) -> tuple[float | None, int, float | None]:
    """Return people's hours of review (None for sheets), the number of people, and dollars for drafts."""
    from curation.review.people import person_progress
    from curation.store import open_store, store_exists

    if not store_exists(project, settings):
        return None, 0, None
    with open_store(project, settings) as store:
        persons = [person for person in person_progress(store) if person.kind == "person"]
        costs = [row.meta.get("cost_usd") for row in store.rows(excluded=None) if "cost_usd" in row.meta]
    drafts = None if None in costs else math.fsum(float(cost or 0.0) for cost in costs)
    hours = math.fsum(person.minutes for person in persons) / 60
    return (hours if hours or not persons else None), len(persons), drafts


def _training_seconds(path: Path) -> float | None:
    try:
        seconds = json.loads(path.read_text())["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(seconds) or None
