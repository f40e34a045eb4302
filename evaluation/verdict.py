"""The verdict: may the tuned model replace the best prompt? In the contract's order, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from evaluation.compare import (
    ALONE,
    CONFIDENCE,
    TOLERANCE,
    Comparison,
    Retraining,
    compare,
    items_to_settle,
    minimum_detectable,
)
from evaluation.forgetting import Forgetting
from evaluation.intervals import is_binary
from evaluation.judge_report import JudgeReport
from evaluation.price import Price
from evaluation.scores import PairedScores
from workspace.artefact import Artefact, now, read_artefact
from workspace.errors import RungError, did_you_mean
from workspace.folder import Project, oldest_first

MARGIN = 0.05
FEWEST_CLUSTERS = 10

Ruling = Literal["ship", "judgement", "keep_prompt", "need_more_data"]


class Rival(BaseModel):
    """The tuned model against one arm: the arm's own score, and the paired difference with its interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    arm: str
    chosen: bool
    score: float
    difference: float
    low: float
    high: float
    p_value: float
    better: int
    worse: int
    same: int


class Acceptance(BaseModel):
    """The named person who decided a `judgement`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    by: str
    reason: str
    at: datetime


class Training(BaseModel):
    """One of several trainings that differ in their seed: its score on the test items."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    run: str
    seed: int
    score: float


class Verdict(Artefact):
    """`evaluations/E-002/verdict.json`, and what `rung verdict --json` prints.

    The figures of the first level are against `chosen`, the prompted arm that validation named; `arms` holds each
    rival. Scores and differences are absolute, unrounded. `minimum_detectable` is the true gain that would ship with
    80% chance, `smallest_difference` the true difference that would be told from 0 with that chance.
    `items_to_settle` is None where the estimate lies at the margin; it counts clusters where they are given. Where
    several trainings were measured, their scatter counts in all three; else these are for one training.
    """

    verdict: Ruling
    n: int
    clusters: int | None
    baseline: float
    tuned: float
    difference: float
    low: float
    high: float
    confidence: float
    margin: float
    p_value: float
    minimum_detectable: float | None
    smallest_difference: float | None
    items_to_settle: int | None
    better: int
    worse: int
    same: int
    graded: bool = False
    """Whether some score is neither 0 nor 1: then a mean is no count of right items."""
    chosen: str
    arms: list[Rival]
    notes: list[str] = []
    accepted: Acceptance | None = None
    id: str | None = None
    run: str | None = None
    served: str | None = None
    """`NAME at HOST` where the run was asked of a server: which weights stand behind the name was not checked."""
    dataset: str | None = None
    test_sha256: str | None = None
    metric: str | None = None
    baseline_report: str | None = None
    slices: list[dict[str, Any]] = []
    secondary: list[dict[str, Any]] = []
    """Metrics beside the primary one, paired, their p corrected together (Holm). None of them decides."""
    forgetting: Forgetting | None = None
    """The general suite before and after; None where it was not measured."""
    planned_runs: int | None = None
    """Runs that the test set was meant for: `confidence` is 1 - .05/planned_runs."""
    judge: JudgeReport | None = None
    """What a model as judge says, held against people; None where none was asked."""
    candidate: str = "tuned"
    """The arm that is ruled on: `tuned`, or `tuned_rag` where validation preferred it."""
    trainings: list[Training] = []
    """The runs that differ only in their seed, where the interval includes retraining."""
    trainings_spread: float | None = None
    """Standard deviation of the trainings' differences to the chosen arm; None of one training."""
    price: Price | None = None
    """What the tuned model costs beside the prompt; None in verdicts on score files."""
    place: int | None = None
    """Which scoring of this test set this is, from 1, looks at its items counted. Beyond the plan none ships."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a tuned model must gain, at which confidence; and whether it is among the runs that were planned."""

    margin: float = MARGIN
    confidence: float = CONFIDENCE
    may_ship: bool = True


def verdict_of(scores: PairedScores, chosen: str | None = None, rule: Rule = Rule()) -> Verdict:
    """Rule on paired scores. `chosen` may be left out where there is one arm.

    Raises RungError where `chosen` is not among the arms, or is missing with several.
    """
    name = _chosen(scores.arms, chosen)
    results = {arm: compare(s, scores.tuned, scores.clusters, rule.confidence) for arm, s in scores.arms.items()}
    against = results[name]
    seen = sight(against, rule, _is_binary(scores, name), clustered=scores.clusters is not None)
    ruling = rule_on(results, name, rule.margin, against.units if scores.clusters is not None else None, rule.may_ship)
    return Verdict(
        verdict=ruling,
        n=len(scores.ids),
        clusters=against.units if scores.clusters is not None else None,
        baseline=against.baseline,
        tuned=against.tuned,
        difference=against.difference,
        low=against.low,
        high=against.high,
        confidence=rule.confidence,
        margin=rule.margin,
        p_value=against.p_value,
        minimum_detectable=seen["minimum_detectable"],
        smallest_difference=seen["smallest_difference"],
        items_to_settle=seen["items_to_settle"],
        better=against.better,
        worse=against.worse,
        same=against.same,
        graded=not is_binary([*scores.tuned, *scores.arms[name]]),
        chosen=name,
        arms=[_rival(arm, arm == name, result) for arm, result in results.items()],
    )


def accepted(verdict: Verdict, by: str, reason: str) -> Verdict:
    """The verdict with the person who decides it; unchanged where it is not a judgement."""
    if verdict.verdict != "judgement":
        return verdict
    return verdict.model_copy(update={"accepted": Acceptance(by=by, reason=reason, at=now())})


def rule_on(
    results: Mapping[str, Comparison | Rival],
    chosen: str,
    margin: float,
    clusters: int | None = None,
    may_ship: bool = True,
) -> Ruling:
    """The contract's order: ship against every arm; then keep, judgement, more data against the chosen one.

    A run beyond those that were planned may not ship: the order goes on without it.
    """
    if clusters is not None and clusters < FEWEST_CLUSTERS:
        return "need_more_data"
    against = results[chosen]
    if may_ship and all(result.low > margin + TOLERANCE for result in results.values()):
        return "ship"
    if against.high < margin - TOLERANCE:
        return "keep_prompt"
    if against.difference >= margin - TOLERANCE and against.low > TOLERANCE:
        return "judgement"
    return "need_more_data"


def _chosen(arms: Mapping[str, object], chosen: str | None) -> str:
    known = ", ".join(arms)
    if chosen is None and len(arms) > 1:
        raise RungError(
            f"Several arms ({known}): which one did validation choose?", "--chosen ARM", expected="--chosen ARM"
        )
    if chosen is not None and chosen not in arms:
        hint = did_you_mean(chosen, arms)
        raise RungError(f"--chosen {chosen}: no such arm.{hint} Found: {known}.", expected=known, found=chosen)
    return chosen if chosen is not None else next(iter(arms))


def detectable(result: Comparison, rule: Rule, binary: bool, again: Retraining = ALONE) -> float | None:
    """The true difference whose interval would lie above the margin with 80% chance; `binary` for 0/1 scores."""
    moved, n = result.better + result.worse, result.better + result.worse + result.same
    discordant = (moved + 1) / (n + 2) if binary else None
    return minimum_detectable(
        result.units, result.spread, rule.margin, discordant=discordant, confidence=rule.confidence, again=again
    )


def sight(
    against: Comparison, rule: Rule, binary: bool, again: Retraining = ALONE, *, clustered: bool
) -> dict[str, Any]:
    """What these items, and the trainings of `again`, can show, and the items that would settle it, as in Verdict."""
    settle = items_to_settle(against, rule.margin, rule.confidence, again)
    too_few = clustered and against.units < FEWEST_CLUSTERS
    return {
        "minimum_detectable": None if too_few else detectable(against, rule, binary, again),
        "smallest_difference": detectable(against, Rule(0.0, rule.confidence), binary, again),
        "items_to_settle": max(settle, FEWEST_CLUSTERS) if settle is not None and clustered else settle,
    }


def _is_binary(scores: PairedScores, arm: str) -> bool:
    return scores.clusters is None and {*scores.arms[arm], *scores.tuned} <= {0.0, 1.0}


def _rival(arm: str, chosen: bool, result: Comparison) -> Rival:
    return Rival(
        arm=arm,
        chosen=chosen,
        score=result.baseline,
        difference=result.difference,
        low=result.low,
        high=result.high,
        p_value=result.p_value,
        better=result.better,
        worse=result.worse,
        same=result.same,
    )


def newest_verdict(project: Project, run: str | None = None) -> tuple[Path, Verdict] | None:
    """The newest verdict (of a run) with its evaluation's folder; None where there is none."""
    for path in reversed(oldest_first(project.evaluations.glob("*/verdict.json"))):
        verdict = read_artefact(path, Verdict)
        if run is None or verdict.run == run:
            return path.parent, verdict
    return None
