"""Further evidence of a verdict, none of which decides: slices by class, length, source, reviewer and topic, secondary
metrics, and the price of a tuned model compared with the prompt: review hours, training, a call, upkeep, break-even.

Times are measured and prices come from the dated tables in rules/. An unknown figure is null, and its name is listed.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from advisor.answer_file import answers_at
from advisor.breakeven import CachedTokens, break_even
from advisor.rulefiles import load_rulebook
from curation.split.manifest import load_split, read_manifest
from evaluation.measurement_report import ArmResult, ItemOutcome
from evaluation.metrics.text import normalised_match, refuses, token_f1
from evaluation.verdict.compare import Comparison, compare
from workspace.artefact import ArtefactPart, now
from workspace.folder import Project
from workspace.settings import Settings

MOST = 60
"""Most parts of one kind: a key with more names is no grouping."""
FEWEST = 10
"""Fewest items (or groups, by effective number) of a slice that is called worse: one of 10 moves it by 10 points."""


class SecondaryResult(BaseModel):
    """A metric besides the primary one, paired over the items: it informs and never decides.

    `p_holm` is the p-value of no difference, corrected for all of them (Holm); None in verdicts of an older Rung.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    n: int
    tuned: float
    baseline: float
    difference: float
    low: float
    high: float
    p_value: float | None = None
    p_holm: float | None = None


class Slice(SecondaryResult):
    """The primary metric on the items of one part; `kind` is what the items were divided by.

    `worse`: the difference is below 0, on at least FEWEST items or groups.
    """

    kind: str
    worse: bool = False


Facets = Mapping[str, Mapping[int, str]]
"""Kind of part (source, reviewer, topic) -> the name of each item's part."""


def facets_of(folder: Path, group_by: str = "") -> Facets:
    """Return, for the test rows of a frozen dataset, the file each came from, its reviewer and its topic.

    The topic is the row's key `group_by` where one is set, else `topic` or `category`.
    """
    rows = [row for row in read_manifest(folder).rows if row.get("split") == "test"]
    found: dict[str, dict[int, str]] = {
        "source": {int(row["line"]): _file(row) for row in rows},
        "reviewer": {int(row["line"]): str(row.get("reviewer") or "nobody") for row in rows},
        "topic": {},
    }
    for number, example in enumerate(load_split(folder, "test"), 1):
        name = next((str(example.row[k]) for k in (group_by, "topic", "category") if k and k in example.row), "")
        if name:
            found["topic"][number] = name
    return found


def _file(row: Mapping[str, Any]) -> str:
    source = str(row.get("source") or "unknown")
    name, colon, line = source.rpartition(":")
    return name if colon and line.isdigit() else source


def slices(
    tuned: Sequence[ItemOutcome],
    baseline: Sequence[ItemOutcome],
    *,
    by_class: bool,
    facets: Facets | None = None,
    clusters: Sequence[str] | None = None,
) -> list[Slice]:
    """Return the parts by length of the expected answer (cut at the terciles), class and `facets`; the worst first.

    A division with one part only is left out. `clusters` names each item's cluster, for the interval.
    """
    named = dict(zip((o.item for o in tuned), clusters, strict=True)) if clusters is not None else None
    pairs = list(zip(tuned, baseline, strict=True))
    cuts = {"length": _length_names(tuned)}
    if by_class:
        cuts["class"] = [outcome.expected.strip() for outcome in tuned]
    for kind, names in (facets or {}).items():
        if len(set(names.values())) <= MOST:
            cuts[kind] = [names.get(outcome.row, "unknown") for outcome in tuned]
    parts: dict[tuple[str, str], list[tuple[ItemOutcome, ItemOutcome]]] = {}
    for kind, each in cuts.items():
        for name, pair in zip(each, pairs, strict=True) if len(set(each)) > 1 else ():
            parts.setdefault((kind, name), []).append(pair)
    results = [
        compare(
            [b.score for _, b in part],
            [t.score for t, _ in part],
            [named[t.item] for t, _ in part] if named is not None else None,
        )
        for part in parts.values()
    ]
    adjusted = holm([result.p_value for result in results])
    found = [
        Slice(
            kind=kind,
            name=name,
            n=len(part),
            **(asdict(result) | {"worse": result.units >= FEWEST and result.difference < 0, "p_holm": p}),
        )
        for ((kind, name), part), result, p in zip(parts.items(), results, adjusted, strict=True)
    ]
    return sorted(found, key=lambda part: (part.difference, part.name))


def _length_names(outcomes: Sequence[ItemOutcome]) -> list[str]:
    lengths = [len(o.expected) for o in outcomes]
    first, second = sorted(lengths)[len(lengths) // 3], sorted(lengths)[math.ceil(2 * len(lengths) / 3) - 1]
    under, over = f"answers under {first} characters", f"answers over {second} characters"
    between = f"answers of {first} to {second} characters"
    return [under if length < first else over if length > second else between for length in lengths]


SECONDARY: dict[str, Callable[[ItemOutcome], float]] = {
    "normalised match": lambda o: normalised_match(o.output, o.expected),
    "token F1": lambda o: token_f1(o.output, o.expected),
    "refusals": lambda o: float(refuses(o.output, o.stopped)),
    "cut at the limit": lambda o: float(o.stopped == "length"),
}
"""Secondary metrics: name -> score of one item."""


def holm(values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: rejecting all with p <= a makes a false rejection with probability at most a."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, most = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = most
    return adjusted


def secondary_tests(
    trainings: Sequence[Sequence[ItemOutcome]],
    baseline: Sequence[ItemOutcome],
    metric: str,
    clusters: Sequence[str] | None = None,
) -> list[SecondaryResult]:
    """Return each secondary metric except `metric`, paired over the items or their `clusters`.

    With several `trainings` an item's value is their mean.
    """
    results: dict[str, Comparison] = {}
    for name, score in SECONDARY.items():
        if name.replace(" ", "_").lower() != metric:
            tuned = [sum(map(score, each)) / len(each) for each in zip(*trainings, strict=True)]
            results[name] = compare([score(o) for o in baseline], tuned, clusters)
    return [
        SecondaryResult(name=name, n=len(baseline), **asdict(result), p_holm=adjusted)
        for (name, result), adjusted in zip(results.items(), holm([r.p_value for r in results.values()]), strict=True)
    ]


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
