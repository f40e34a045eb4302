"""A tuned model's outcomes beside the baseline's, item by item, and the verdict on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evaluation.bench import Bench
from evaluation.clusters import clusters_of
from evaluation.compare import Comparison, cluster_means, compare, over_trainings, retraining_of
from evaluation.holm import secondary_tests
from evaluation.judge import unchecked
from evaluation.looks import Standing
from evaluation.outcomes import Baseline
from evaluation.report import Outcome, Report
from evaluation.scores import PairedScores
from evaluation.slices import facets_of, slices
from evaluation.verdict import Rule, Training, Verdict, rule_on, sight, verdict_of
from workspace.artefact import hashes
from workspace.errors import Refusal
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Trained:
    """The candidate's outcomes, and those of other trainings that differ in their seed only."""

    candidate: str
    outcomes: Sequence[Outcome]
    trainings: Sequence[Training] = ()
    others: Sequence[Sequence[Outcome]] = ()

    def scores(self) -> list[float]:
        """By item, the mean over the trainings."""
        every = [self.outcomes, *self.others]
        return [sum(o.score for o in each) / len(every) for each in zip(*every, strict=True)]

    def scored(self) -> list[Outcome]:
        """This training's outcomes, each with the mean score over the trainings."""
        return [o.model_copy(update={"score": s}) for o, s in zip(self.outcomes, self.scores(), strict=True)]


def judge(bench: Bench, baseline: Baseline, report: Report, trained: Trained, standing: Standing) -> Verdict:
    """Pair the tuned outcomes with every measured arm's and rule.

    Raises Refusal where the items are not the same, or another model judged the baseline's.
    """
    if report.judge != baseline.report.judge:
        raise Refusal(
            f"The baseline {baseline.report.id} was judged by {baseline.report.judge}, this run by {report.judge}.",
            "rung baseline",
        )
    scoring = standing.scoring(report.scored, report.metric)
    margin = bench.settings.evaluation.margin if standing.margin is None else standing.margin
    rule = Rule(margin, standing.confidence, standing.may_ship(scoring))
    group_by = bench.settings.dataset.group_by
    scores = paired(baseline, trained, clusters_of(bench.dataset, group_by, [o.item for o in trained.outcomes]))
    verdict = verdict_of(scores, baseline.report.chosen, rule)
    if trained.others:
        verdict = _with_trainings(verdict, baseline, trained, rule, scores.clusters)
    if bench.desk.metric.judged:
        verdict = unchecked(verdict)
    rival = baseline.outcomes[verdict.chosen]
    facets = facets_of(bench.dataset, group_by)
    found = slices(trained.scored(), rival, by_class=bench.closed, facets=facets, clusters=scores.clusters)
    files = [baseline.folder / "report.json", baseline.folder / "outputs.jsonl"]
    told = [*_spent(bench.settings, standing, scoring), *(_worse(found) if standing.is_open else ())]
    return verdict.model_copy(
        update={
            "id": report.id,
            "run": report.run,
            "candidate": trained.candidate,
            "dataset": report.dataset,
            "test_sha256": report.test_sha256,
            "metric": report.metric,
            "baseline_report": baseline.report.id,
            "made_from": {**report.made_from, **hashes(bench.project.root, *files)},
            "slices": found,
            "secondary": secondary_tests([trained.outcomes, *trained.others], rival, report.metric, scores.clusters),
            "planned_runs": standing.planned,
            "place": standing.place(scoring),
            "notes": [*verdict.notes, *told],
        }
    )


def paired(baseline: Baseline, trained: Trained, clusters: tuple[str, ...] | None = None) -> PairedScores:
    """Scores of the same items side by side, with their clusters. Raises Refusal where an arm has other items."""
    items = [(o.item, o.expected) for o in trained.outcomes]
    for arm, found in baseline.outcomes.items():
        if [(o.item, o.expected) for o in found] != items:
            raise Refusal(f"{arm} in {baseline.report.id} was measured on other items.", "rung baseline")
    return PairedScores(
        ids=tuple(str(item) for item, _ in items),
        tuned=tuple(trained.scores()),
        arms={arm: tuple(o.score for o in found) for arm, found in baseline.outcomes.items()},
        clusters=clusters,
    )


def _with_trainings(
    verdict: Verdict, baseline: Baseline, trained: Trained, rule: Rule, clusters: Sequence[str] | None
) -> Verdict:
    """Ruled on intervals that hold another training too."""
    every = [[o.score for o in outcomes] for outcomes in (trained.outcomes, *trained.others)]
    units = {arm: _units(every, found, clusters) for arm, found in baseline.outcomes.items()}
    results = {
        arm: _over(trained.scores(), found, units[arm], rule.confidence, clusters)
        for arm, found in baseline.outcomes.items()
    }
    against, again = results[verdict.chosen], retraining_of(units[verdict.chosen])
    arms = [r.model_copy(update={"low": results[r.arm].low, "high": results[r.arm].high}) for r in verdict.arms]
    return verdict.model_copy(
        update={
            "verdict": rule_on(results, verdict.chosen, rule.margin, verdict.clusters, rule.may_ship),
            "low": against.low,
            "high": against.high,
            "arms": arms,
            "trainings": list(trained.trainings),
            "trainings_spread": again.spread,
            **sight(against, rule, clusters is None and not verdict.graded, again, clustered=clusters is not None),
        }
    )


def _units(
    every: Sequence[Sequence[float]], baseline: Sequence[Outcome], clusters: Sequence[str] | None
) -> list[list[float]]:
    """By training, its differences to an arm: of items, or of clusters where they are given."""
    differences = [[t - b.score for t, b in zip(one, baseline, strict=True)] for one in every]
    return [cluster_means(one, clusters) for one in differences] if clusters is not None else differences


def _over(
    means: Sequence[float],
    baseline: Sequence[Outcome],
    units: Sequence[Sequence[float]],
    confidence: float,
    clusters: Sequence[str] | None,
) -> Comparison:
    low, high = over_trainings(units, confidence)
    return replace(compare([o.score for o in baseline], means, clusters, confidence), low=low, high=high)


def _worse(found: Sequence[dict[str, object]]) -> list[str]:
    return [
        f"Worse on {s['name']}: {100 * float(str(s['difference'])):+.1f} points on {s['n']} items"
        for s in found
        if s["worse"]
    ]


def _spent(settings: Settings, standing: Standing, scoring: str) -> list[str]:
    """What earlier runs and looks took from the test set, and what was changed after it was fixed."""
    told = []
    before = [other for other in standing.runs[: standing.runs.index(scoring)] if scoring in standing.runs]
    earlier = [*before, *([f"{standing.looks} looks at its items"] if standing.looks else [])]
    planned = f"{standing.planned} {'run was' if standing.planned == 1 else 'runs were'} planned"
    if not standing.may_ship(scoring):
        told.append(
            f"{planned} on this test set and this is number {standing.place(scoring)} (before: {', '.join(earlier)}): "
            "it cannot ship without fresh test items."
        )
    elif earlier:
        told.append(f"Before on this test set: {', '.join(earlier)}; {planned}.")
    return [*told, *_changed(settings, standing, planned)]


def _changed(settings: Settings, standing: Standing, planned: str) -> list[str]:
    """What rung.toml says otherwise than when the first run was scored."""
    wanted, told = settings.evaluation, []
    if wanted.runs != standing.planned:
        told.append(f"rung.toml says runs = {wanted.runs}, but {planned} when the first was scored; that counts.")
    if standing.margin is not None and wanted.margin != standing.margin:
        margins = f"margin = {wanted.margin:g}, but it was {standing.margin:g}"
        told.append(f"rung.toml says {margins} when the first was scored; that counts.")
    if standing.metric and wanted.metric != standing.metric:
        told.append(
            f"{standing.metric} was the metric when the first run was scored; by {wanted.metric} it is another."
        )
    return told
