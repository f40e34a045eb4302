"""The verdict of a project's run: outcomes of run and baseline paired item by item, with all other evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.bench import Bench, clusters_of
from evaluation.judge.assessment import judged_again, sitting_of
from evaluation.judge.model_judge import by_judge
from evaluation.looks import ScoringHistory, standing
from evaluation.measurement_report import ItemOutcome, Report, read_report
from evaluation.outcomes import Baseline, check_arms, load_baseline
from evaluation.verdict.evidence import facets_of, secondary_tests, slices
from evaluation.verdict.intervals import TOLERANCE
from evaluation.verdict.paired_scores import PairedScores
from evaluation.verdict.rule import Provenance, ShipRule, Training, Verdict, VerdictEvidence, chosen_arm, rule
from workspace.artefact import hashes, read_artefact, revised
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Trained:
    """The candidate's outcomes, and those of other training runs that differ only in their seed."""

    candidate: str
    outcomes: Sequence[ItemOutcome]
    trainings: Sequence[Training] = ()
    others: Sequence[Sequence[ItemOutcome]] = ()

    def scores(self) -> list[float]:
        """Return by item the mean over the training runs."""
        every = [self.outcomes, *self.others]
        return [sum(o.score for o in each) / len(every) for each in zip(*every, strict=True)]

    def scored(self) -> list[ItemOutcome]:
        """Return this run's outcomes, each with the mean score over the training runs."""
        return [revised(o, score=s) for o, s in zip(self.outcomes, self.scores(), strict=True)]


def evidence_for(
    bench: Bench, baseline: Baseline, report: Report, trained: Trained, known: ScoringHistory
) -> tuple[PairedScores, VerdictEvidence]:
    """Return the tuned outcomes paired with every measured arm's, and the evidence for the verdict.

    Raises Refusal if the items differ, or another model judged the baseline's.
    """
    pairs, evidence = _ruling(bench.project, bench.settings, baseline, report, trained, known)
    chosen = chosen_arm(pairs.arms, evidence.chosen)
    rival = baseline.outcomes[chosen]
    facets = facets_of(bench.dataset, bench.settings.dataset.group_by)
    found = slices(trained.scored(), rival, by_class=bench.closed, facets=facets, clusters=pairs.clusters)
    worse = [f"Worse on {s.name}: {100 * s.difference:+.1f} points on {s.n} items" for s in found if s.worse]
    files = [baseline.folder / "report.json", baseline.folder / "outputs.jsonl"]
    scoring = known.scoring(report.scored, report.metric)
    return pairs, replace(
        evidence,
        chosen=chosen,
        provenance=revised(evidence.provenance, made_from={**report.made_from, **hashes(bench.project.root, *files)}),
        slices=found,
        secondary=secondary_tests([trained.outcomes, *trained.others], rival, report.metric, pairs.clusters),
        notes=[*_spent(bench.settings, known, scoring), *(worse if known.is_open else ())],
    )


def _ruling(
    project: Project, settings: Settings, baseline: Baseline, report: Report, trained: Trained, known: ScoringHistory
) -> tuple[PairedScores, VerdictEvidence]:
    """Return the paired scores with their clusters, and the evidence that decides: the rule, and lost arms."""
    if report.judge != baseline.report.judge:
        raise Refusal(
            f"The baseline {baseline.report.id} was judged by {baseline.report.judge}, this run by {report.judge}.",
            "rung baseline",
        )
    scoring = known.scoring(report.scored, report.metric)
    margin = settings.evaluation.margin if known.margin is None else known.margin
    lines = [o.row for o in trained.outcomes]
    pairs = paired(baseline, trained, clusters_of(project.datasets / report.dataset, settings.dataset.group_by, lines))
    mine = [arm for arm in report.arms if arm.arm.split(":")[0] == trained.candidate]
    provenance = Provenance(
        id=report.id,
        run=report.run,
        candidate=trained.candidate,
        trainings=list(trained.trainings),
        dataset=report.dataset,
        test_sha256=report.test_sha256,
        metric=report.metric,
        baseline_report=baseline.report.id,
        planned_runs=known.planned,
        place=known.place(scoring),
    )
    return pairs, VerdictEvidence(
        chosen=baseline.report.chosen,
        rule=ShipRule(margin, known.confidence, known.may_ship(scoring)),
        provenance=provenance,
        lost={arm.arm: arm.unmeasured for arm in (*baseline.report.arms, *mine) if arm.unmeasured},
        unchecked=by_judge(report.metric),
    )


def rule_again(project: Project, settings: Settings, folder: Path) -> Verdict:
    """Recompute the ruling from both reports' outputs, people's labels for a judge, and the records of the test set.

    From verdict.json it takes only the baseline's name and the seeds of the training runs.

    Raises Refusal if outputs changed, or the baseline is of other test items or another metric.
    """
    told, report = read_artefact(folder / "verdict.json", Verdict), read_report(project, folder.name)[1]
    measured = load_baseline(folder, report).outcomes
    baseline = load_baseline(*read_report(project, told.baseline_report or ""))
    same = (baseline.report.kind, baseline.report.test_sha256, baseline.report.metric)
    if same != ("baseline", report.test_sha256, report.metric):
        raise Refusal(
            f"{baseline.report.id} is no baseline on the test items of {report.id} by {report.metric}.",
            f"rung evaluate {report.run}",
        )
    check_arms(project, baseline.report, before=folder)
    alone = [arm for arm in report.arms if ":" not in arm.arm]
    candidate = alone[preferred([arm.validation for arm in alone])].arm
    others = [found for arm, found in measured.items() if arm.startswith(f"{candidate}:")]
    trained = Trained(candidate, measured[candidate], told.trainings, others)
    found = standing(project, settings, report.test_sha256)
    pairs, evidence = _ruling(project, settings, baseline, report, trained, found)
    if by_judge(report.metric) and told.judge is not None:
        sitting = sitting_of(project, settings, folder, rule(pairs, evidence))
        evidence = replace(evidence, judge=judged_again(sitting, told.judge))
    return rule(pairs, evidence)


def preferred(validations: Sequence[float | None]) -> int:
    """Return the index of the variant that validation prefers; 0 (the plain one) on a tie."""
    plain = validations[0] or 0.0
    better = [place for place, score in enumerate(validations) if score is not None and score > plain + TOLERANCE]
    return better[0] if better else 0


def paired(baseline: Baseline, trained: Trained, clusters: tuple[str, ...] | None = None) -> PairedScores:
    """Return the scores of the same items, with their clusters. Raises Refusal if an arm has other items."""
    items = [(o.item, o.expected) for o in trained.outcomes]
    for arm, found in baseline.outcomes.items():
        if [(o.item, o.expected) for o in found] != items:
            raise Refusal(f"{arm} in {baseline.report.id} was measured on other items.", "rung baseline")
    return PairedScores(
        ids=tuple(str(item) for item, _ in items),
        tuned=tuple(trained.scores()),
        arms={arm: tuple(o.score for o in found) for arm, found in baseline.outcomes.items()},
        clusters=clusters,
        trainings=tuple(tuple(o.score for o in one) for one in (trained.outcomes, *trained.others))
        if trained.others
        else (),
    )


def _spent(settings: Settings, known: ScoringHistory, scoring: str) -> list[str]:
    """Return notes on earlier runs and looks at this test set, and on settings that changed since the first run."""
    told = []
    before = [other for other in known.runs[: known.runs.index(scoring)] if scoring in known.runs]
    earlier = [*before, *([f"{known.looks} looks at its items"] if known.looks else [])]
    planned = f"{known.planned} {'run was' if known.planned == 1 else 'runs were'} planned"
    if not known.may_ship(scoring):
        told.append(
            f"{planned} on this test set and this is number {known.place(scoring)} (before: {', '.join(earlier)}): "
            "it cannot ship without fresh test items."
        )
    elif earlier:
        told.append(f"Before on this test set: {', '.join(earlier)}; {planned}.")
    return [*told, *_changed(settings, known, planned)]


def _changed(settings: Settings, known: ScoringHistory, planned: str) -> list[str]:
    """Return the settings of rung.toml that changed since the first run was scored."""
    wanted, told = settings.evaluation, []
    if wanted.runs != known.planned:
        told.append(
            f"rung.toml now says runs = {wanted.runs}; {planned}, the value when the first run was scored, counts."
        )
    if known.margin is not None and wanted.margin != known.margin:
        margins = f"margin = {wanted.margin:g}, but it was {known.margin:g}"
        told.append(f"rung.toml says {margins} when the first was scored; that counts.")
    if known.metric and wanted.scored_by != known.metric:
        told.append(
            f"{known.metric} was the metric when the first run was scored; by {wanted.scored_by} it is another."
        )
    return told
