"""The verdict with its evidence: ship, judgement, keep the prompt, or need more data (`rule_on`)."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from evaluation.forgetting import Forgetting
from evaluation.judge.model_judge import JudgeReport
from evaluation.verdict.compare import POWER, Comparison, compare, items_to_settle, minimum_detectable
from evaluation.verdict.evidence import SecondaryResult, Slice, TuningPrice
from evaluation.verdict.intervals import (
    ALONE,
    CONFIDENCE,
    FEWEST_CLUSTERS,
    TOLERANCE,
    Retraining,
    are_few,
    is_binary,
    normal_quantile,
    retraining_of,
)
from evaluation.verdict.paired_scores import PairedScores
from workspace.artefact import Artefact, ArtefactPart, now, read_artefact, revised
from workspace.errors import RungError, did_you_mean
from workspace.folder import Project, oldest_first
from workspace.settings import MARGIN

NOT_CHECKED = "The judge was not checked by people, so it decides nothing yet: rung judge RUN --sheet FILE"

Ruling = Literal["ship", "judgement", "keep_prompt", "need_more_data"]


class Rival(ArtefactPart):
    """The tuned model against one arm: the arm's score, and the paired difference (tuned - arm) with its interval."""

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


class Acceptance(ArtefactPart):
    """The named person who decided a `judgement`."""

    by: str
    reason: str
    at: datetime


class Training(ArtefactPart):
    """One of several training runs that differ only in their seed, with its score on the test items."""

    run: str
    seed: int
    score: float


class Provenance(ArtefactPart):
    """Origin of a verdict: the run, the test items, the baseline."""

    made_from: dict[str, str] = Field(default_factory=dict)
    id: str | None = None
    run: str | None = None
    served: str | None = None
    """`NAME at HOST` if a server answered for the run: which weights the name refers to was not checked."""
    dataset: str | None = None
    test_sha256: str | None = None
    metric: str | None = None
    baseline_report: str | None = None
    candidate: str = "tuned"
    """The arm that the verdict is about: `tuned`, or `tuned_rag` where validation preferred it."""
    trainings: list[Training] = []
    """The runs that differ only in their seed, if the interval includes retraining."""
    planned_runs: int | None = None
    """Number of runs planned on the test set: `confidence` is 1 - .05/planned_runs."""
    place: int | None = None
    """Number of scorings of this test set, this one and looks included. Beyond the plan nothing ships."""


class Verdict(Provenance, Artefact):
    """`evaluations/E-002/verdict.json`, and what `rung verdict --json` prints.

    The figures of the first level are against `chosen`, the prompted arm that validation named; `arms` holds each
    rival. Scores are in 0..1, differences in -1..1, unrounded. `minimum_detectable` is the true gain that ships with
    80% probability, `smallest_difference` the true difference found to be above 0 with that probability.
    `items_to_settle` counts items, or clusters if there are any; it is None if the estimate is at the margin. All
    three include the variance between training runs if several were measured. `effective_clusters` is the number of
    clusters of equal size with the same precision.
    """

    verdict: Ruling
    n: int
    clusters: int | None
    effective_clusters: float | None = None
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
    """True if some score is neither 0 nor 1: then a mean is not a share of right items."""
    chosen: str
    arms: list[Rival]
    notes: list[str] = []
    accepted: Acceptance | None = None
    slices: list[Slice] = []
    secondary: list[SecondaryResult] = []
    """Metrics besides the primary one, paired; p-values corrected by Holm's method. None of them decides."""
    forgetting: Forgetting | None = None
    """The general suite before and after training; None if it was not measured."""
    judge: JudgeReport | None = None
    """The judge model's scores, compared with labels of people; None if no judge was asked."""
    trainings_spread: float | None = None
    """Standard deviation over training runs of the difference to the chosen arm; None for one run."""
    price: TuningPrice | None = None
    """Cost of the tuned model compared with the prompt; None in verdicts on score files."""
    unmeasured: dict[str, str] = {}
    """Arm (or candidate) without a valid score -> the reason: too many of its replies were lost."""

    @property
    def few_clusters(self) -> bool:
        """True if the clusters are too few or too unequal: then nothing is decided."""
        return are_few(self.clusters, self.effective_clusters)

    @property
    def may_ship(self) -> bool:
        """True if it is one of the runs planned on this test set, or none was planned."""
        return self.place is None or self.planned_runs is None or self.place <= self.planned_runs


@dataclass(frozen=True, slots=True)
class ShipRule:
    """Gain that a tuned model needs, at which confidence, and whether the run was planned."""

    margin: float = MARGIN
    confidence: float = CONFIDENCE
    may_ship: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictEvidence:
    """Evidence for a verdict besides the paired scores.

    `chosen` is the arm that validation chose; it may be omitted if there is only one. `lost` maps arms (or the
    candidate) without a valid score to the reason. `unchecked`: the scores are a judge model's, and decide nothing
    until its report `judge` compares them with people's labels.
    """

    chosen: str | None = None
    rule: ShipRule = ShipRule()
    provenance: Provenance = field(default_factory=Provenance)
    lost: Mapping[str, str] = field(default_factory=dict)
    slices: Sequence[Slice] = ()
    secondary: Sequence[SecondaryResult] = ()
    forgetting: Forgetting | None = None
    price: TuningPrice | None = None
    unchecked: bool = False
    judge: JudgeReport | None = None
    notes: Sequence[str] = ()


def rule(pairs: PairedScores, evidence: VerdictEvidence = VerdictEvidence()) -> Verdict:
    """Return the complete verdict on paired scores.

    Raises RungError if `chosen` is not among the arms, or is missing with several.
    """
    name, again = chosen_arm(pairs.arms, evidence.chosen), retraining_of(pairs.trainings)
    wanted, source = evidence.rule, evidence.provenance
    results = {
        arm: compare(found, pairs.tuned, pairs.clusters, wanted.confidence, again) for arm, found in pairs.arms.items()
    }
    against = results[name]
    few = are_few(against.clusters, against.units)
    graded = not is_binary([*pairs.tuned, *pairs.arms[name]])
    verdict = Verdict(
        **dict(source),
        verdict="need_more_data" if evidence.unchecked else rule_on(results, name, wanted, few=few, lost=evidence.lost),
        n=len(pairs.ids),
        clusters=against.clusters,
        effective_clusters=None if against.clusters is None else against.units,
        baseline=against.baseline,
        tuned=against.tuned,
        confidence=wanted.confidence,
        margin=wanted.margin,
        minimum_detectable=None if few else detectable(against, wanted, graded, again),
        smallest_difference=detectable(against, ShipRule(0.0, wanted.confidence), graded, again),
        items_to_settle=_items_to_settle(against, wanted, again),
        graded=graded,
        **against.figures,
        chosen=name,
        arms=[
            Rival(arm=arm, chosen=arm == name, score=result.baseline, **result.figures)
            for arm, result in results.items()
        ],
        notes=[*([NOT_CHECKED] if evidence.unchecked else []), *evidence.notes],
        slices=list(evidence.slices),
        secondary=list(evidence.secondary),
        forgetting=evidence.forgetting,
        trainings_spread=again.spread if pairs.trainings else None,
        price=evidence.price,
        unmeasured=dict(evidence.lost),
    )
    return with_judge(verdict, evidence.judge) if evidence.judge else verdict


def accepted(verdict: Verdict, by: str, reason: str) -> Verdict:
    """Return the verdict with the person who accepts it; unchanged if it is not a judgement."""
    if verdict.verdict != "judgement":
        return verdict
    return revised(verdict, accepted=Acceptance(by=by, reason=reason, at=now()))


def with_judge(verdict: Verdict, report: JudgeReport) -> Verdict:
    """Return the verdict with the judge's report; if the judge decides, ruled again on the corrected differences."""
    if not report.decides:
        return revised(verdict, judge=report)
    notes = [note for note in verdict.notes if note != NOT_CHECKED]
    fault = "" if report.used else report.why
    if report.used and verdict.trainings:
        fault = f"people labelled the outputs of {verdict.run} alone, one of {len(verdict.trainings)} trainings"
    if fault:
        why = f"The judge decides nothing: {fault}"
        return revised(verdict, judge=report, verdict="need_more_data", notes=[why, *notes])
    found = {each.arm: each for each in report.rivals}
    arms = [
        revised(rival, difference=found[rival.arm].corrected, low=found[rival.arm].low, high=found[rival.arm].high)
        for rival in verdict.arms
    ]
    results = {rival.arm: rival for rival in arms}
    against = results[verdict.chosen]
    half = max(against.high - against.difference, against.difference - against.low)
    quantile = normal_quantile((1 + verdict.confidence) / 2)
    seen = half * (1 + normal_quantile(POWER) / quantile)
    wanted = ShipRule(verdict.margin, verdict.confidence, verdict.may_ship)
    return revised(
        verdict,
        judge=report,
        verdict=rule_on(results, verdict.chosen, wanted, few=verdict.few_clusters, lost=verdict.unmeasured),
        difference=against.difference,
        low=against.low,
        high=against.high,
        arms=arms,
        p_value=math.erfc(abs(against.difference) * quantile / half / math.sqrt(2)),
        # from the corrected interval's own width (normal approximation); items alone settle nothing
        smallest_difference=seen if seen <= 1 else None,
        minimum_detectable=verdict.margin + seen if verdict.margin + seen <= 1 else None,
        items_to_settle=None,
        notes=["Differences are the judge's, corrected by people's labels; both errors are in the interval", *notes],
    )


def rule_on(
    results: Mapping[str, Comparison | Rival],
    chosen: str,
    wanted: ShipRule,
    *,
    few: bool = False,
    lost: Collection[str] = (),
) -> Ruling:
    """Return the ruling. A gain is tuned minus arm; the first case that applies decides:

    - need_more_data: `few` clusters, or the score of the chosen arm or of the candidate is `lost` (no measurement).
    - ship: against every arm the whole interval of the gain is above the margin, and the run may ship (it is within
      the planned number). If another arm is lost, a judgement instead.
    - keep_prompt: against the chosen arm the whole interval is below the margin.
    - judgement: against the chosen arm the gain is at least the margin and its interval above 0. A person decides.
    - need_more_data: everything else.
    """
    if few or chosen in lost or set(lost) - results.keys():
        return "need_more_data"
    against = results[chosen]
    if wanted.may_ship and all(result.low > wanted.margin + TOLERANCE for result in results.values()):
        return "judgement" if lost else "ship"
    if against.high < wanted.margin - TOLERANCE:
        return "keep_prompt"
    if against.difference >= wanted.margin - TOLERANCE and against.low > TOLERANCE:
        return "judgement"
    return "need_more_data"


def chosen_arm(arms: Mapping[str, object], chosen: str | None) -> str:
    """Return the arm that validation chose. Raises RungError if it is unknown, or not named among several."""
    known = ", ".join(arms)
    if chosen is None and len(arms) > 1:
        raise RungError(
            f"Several arms ({known}): which one did validation choose?", "--chosen ARM", expected="--chosen ARM"
        )
    if chosen is not None and chosen not in arms:
        hint = did_you_mean(chosen, arms)
        raise RungError(f"--chosen {chosen}: no such arm.{hint} Found: {known}.", expected=known, found=chosen)
    return chosen if chosen is not None else next(iter(arms))


def detectable(result: Comparison, wanted: ShipRule, graded: bool, again: Retraining = ALONE) -> float | None:
    """Return the true difference whose interval is above the margin with 80% probability; None if there is none."""
    moved, n = result.better + result.worse, result.better + result.worse + result.same
    counted = not graded and result.units == n
    return minimum_detectable(
        result.units,
        result.spread,
        wanted.margin,
        degrees=result.degrees,
        discordant=(moved + 1) / (n + 2) if counted else None,
        confidence=wanted.confidence,
        again=again,
    )


def _items_to_settle(against: Comparison, wanted: ShipRule, again: Retraining) -> int | None:
    """Return the items that would settle the verdict (see Verdict); at least the fewest clusters that decide."""
    settle = items_to_settle(against, wanted.margin, wanted.confidence, again)
    if settle is None or against.clusters is None:
        return settle
    return max(settle, math.ceil(FEWEST_CLUSTERS * against.clusters / against.units - TOLERANCE))


def newest_verdict(project: Project, run: str | None = None) -> tuple[Path, Verdict] | None:
    """Return the newest verdict (of a run) with its evaluation's folder; None if there is none."""
    for path in reversed(oldest_first(project.evaluations.glob("*/verdict.json"))):
        verdict = read_artefact(path, Verdict)
        if run is None or verdict.run == run:
            return path.parent, verdict
    return None
