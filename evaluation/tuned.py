"""The tuned model on the same frozen items, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chat.protocols import ChatModel
from curation.manifest import read_manifest
from evaluation.arms import tuned as tuned_arm
from evaluation.baseline import made_from, measure_choice, write_choices
from evaluation.bench import Bench, frozen_test, open_folder
from evaluation.choose import Choice, choose
from evaluation.forgetting import NOT_MEASURED, measure_forgetting
from evaluation.general import suite
from evaluation.holm import secondary_tests
from evaluation.looks import Standing, take_place
from evaluation.metrics.own import FOLDER as OWN_METRICS
from evaluation.report import ArmResult, Outcome, Report, newest_report, read_outcomes, write_outcomes
from evaluation.scores import PairedScores
from evaluation.slices import facets_of, slices
from evaluation.verdict import Rule, Verdict, verdict_of
from workspace.artefact import hashes, write_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline report that a run can be paired with, and its test outcomes in each arm's chosen form."""

    folder: Path
    report: Report
    outcomes: dict[str, list[Outcome]]


def run_evaluation(
    bench: Bench,
    run: str,
    system_prompt: str | None,
    evidence: Sequence[Path] = (),
    *,
    untrained: Callable[[], ChatModel] | None = None,
) -> Path:
    """Measure run `run` (the bench's model carries its adapter); writes outputs, report and last verdict.json.

    `evidence` are files that the report is made from (the run's run.json). With `untrained`, which opens the model as
    it was before training, the general suite is measured on both. Raises Refusal where there is no baseline
    on this very test set, or its outputs changed.
    """
    baseline = require_baseline(bench.project, bench.settings, bench.dataset.name)
    with writer_lock(bench.project.evaluations / ".lock", "A measuring"):
        folder = open_folder(bench.project)
        variants = tuned_arm.variants(system_prompt)
        choice = choose(tuned_arm.NAME, False, variants, bench.choosing, bench.desk, bench.watch)
        write_choices(folder, bench, [choice])
        place = take_place(bench.project, bench.settings, bench.test_sha256, run)
        arm, outcomes = measure_choice(bench, choice, bench.items)
        write_outcomes(folder / "outputs.jsonl", [*choice.outcomes, *outcomes])
        report = _report(folder, bench, run, arm, choice, evidence)
        verdict = judge(bench, baseline, report, [o for o in outcomes if o.form == choice.form], place)
        write_artefact(folder / "verdict.json", _with_forgetting(bench, verdict, untrained))
        write_artefact(folder / "report.json", report)
    return folder


def _with_forgetting(bench: Bench, verdict: Verdict, untrained: Callable[[], ChatModel] | None) -> Verdict:
    """The verdict that names what is known of forgetting."""
    if untrained is None:
        return verdict.model_copy(update={"notes": [*verdict.notes, NOT_MEASURED]})
    limit, watch = bench.settings.evaluation.forgetting_limit, bench.watch("general suite, before and after")
    items = suite(bench.project.root)
    found = measure_forgetting(items, untrained(), bench.desk.model, bench.desk.replies, limit, watch)
    return verdict.model_copy(update={"forgetting": found, "notes": [*verdict.notes, found.words()]})


def require_baseline(project: Project, settings: Settings, dataset: str | None = None) -> Baseline:
    """The newest baseline on the test set and metric that a run would be measured on; costs no model.

    Raises Refusal that says why there is none.
    """
    folder, _ = frozen_test(project, dataset)
    test_sha, metric = read_manifest(folder).splits["test"].sha256, settings.evaluation.metric
    found = newest_report(project, "baseline", test_sha256=test_sha)
    if found is None:
        raise Refusal(_why_none(project, folder.name), "rung baseline")
    if found[1].metric != metric:
        raise Refusal(
            f"The baseline {found[1].id} was scored by {found[1].metric}, rung.toml says {metric}. "
            "Paired items must be scored alike.",
            "rung baseline",
        )
    changed = [n for n, digest in found[1].made_from.items() if _is_other_metric(project, n, digest)]
    if changed:
        raise Refusal(f"{changed[0]} changed since the baseline {found[1].id} was scored by it.", "rung baseline")
    return load_baseline(*found)


def _is_other_metric(project: Project, name: str, digest: str) -> bool:
    path = project.root / name
    return name.startswith(f"{OWN_METRICS}/") and not (path.is_file() and sha256_file(path) == digest)


def load_baseline(folder: Path, report: Report) -> Baseline:
    """The report's test outcomes by arm, after outputs.jsonl was found to be what the report vouches for."""
    path = folder / "outputs.jsonl"
    if not path.is_file() or sha256_file(path) != report.outputs_sha256:
        raise Refusal(f"{path}: changed since the report was written.", "rung baseline")
    forms = {arm.arm: arm.form for arm in report.arms}
    outcomes: dict[str, list[Outcome]] = {arm: [] for arm in forms}
    for outcome in read_outcomes(path):
        if outcome.split == "test" and forms.get(outcome.arm) == outcome.form:
            outcomes[outcome.arm].append(outcome)
    return Baseline(folder, report, outcomes)


def _why_none(project: Project, dataset: str) -> str:
    other = newest_report(project, "baseline")
    if other is None:
        return "No baseline yet: a tuned model is compared with the prompted arms on the same items."
    return (
        f"The test set changed since the baseline {other[1].id} (made on {other[1].dataset}, now "
        f"{dataset}). Paired items must be equal."
    )


def _report(folder: Path, bench: Bench, run: str, arm: ArmResult, choice: Choice, evidence: Sequence[Path]) -> Report:
    return Report(
        id=folder.name,
        kind="run",
        run=run,
        made_from={**made_from(bench, folder, [choice]), **hashes(bench.project.root, *evidence)},
        dataset=bench.dataset.name,
        test_sha256=bench.test_sha256,
        model=bench.desk.model.name,
        metric=bench.desk.metric.spec,
        n=arm.n,
        arms=[arm],
        outputs_sha256=sha256_file(folder / "outputs.jsonl"),
        rows_from=[*bench.rows.notes],
    )


def judge(bench: Bench, baseline: Baseline, report: Report, outcomes: Sequence[Outcome], standing: Standing) -> Verdict:
    """Pair the tuned outcomes with every measured arm's and rule. Raises Refusal where the items are not the same."""
    scores = paired(baseline, outcomes, clusters=None)
    chosen = baseline.report.chosen
    rule = Rule(bench.settings.evaluation.margin, standing.confidence, standing.may_ship(str(report.run)))
    verdict = verdict_of(scores, chosen, rule)
    rival = baseline.outcomes[verdict.chosen]
    facets = facets_of(bench.dataset, bench.settings.dataset.group_by)
    found = slices(outcomes, rival, by_class=bench.closed, facets=facets)
    files = [baseline.folder / "report.json", baseline.folder / "outputs.jsonl"]
    return verdict.model_copy(
        update={
            "id": report.id,
            "run": report.run,
            "dataset": report.dataset,
            "test_sha256": report.test_sha256,
            "metric": report.metric,
            "baseline_report": baseline.report.id,
            "made_from": {**report.made_from, **hashes(bench.project.root, *files)},
            "slices": found,
            "secondary": secondary_tests(outcomes, rival, report.metric),
            "planned_runs": standing.planned,
            "place": standing.place(str(report.run)),
            "notes": [*_spent(bench.settings, standing, str(report.run)), *(_worse(found) if standing.is_open else ())],
        }
    )


def paired(baseline: Baseline, outcomes: Sequence[Outcome], clusters: Sequence[str] | None) -> PairedScores:
    """Scores of the same items side by side."""
    items = [(o.item, o.expected) for o in outcomes]
    for arm, found in baseline.outcomes.items():
        if [(o.item, o.expected) for o in found] != items:
            raise Refusal(f"{arm} in {baseline.report.id} was measured on other items.", "rung baseline")
    return PairedScores(
        ids=tuple(str(item) for item, _ in items),
        tuned=tuple(o.score for o in outcomes),
        arms={arm: tuple(o.score for o in found) for arm, found in baseline.outcomes.items()},
        clusters=tuple(clusters) if clusters is not None else None,
    )


def _worse(found: Sequence[dict[str, object]]) -> list[str]:
    return [
        f"Worse on {s['name']}: {100 * float(str(s['difference'])):+.1f} points on {s['n']} items"
        for s in found
        if s["worse"]
    ]


def _spent(settings: Settings, standing: Standing, run: str) -> list[str]:
    """What earlier runs and looks took from the test set, and a plan that was changed after it was fixed."""
    told = []
    before = [other for other in standing.runs[: standing.runs.index(run)] if run in standing.runs]
    earlier = [*before, *([f"{standing.looks} looks at its items"] if standing.looks else [])]
    planned = f"{standing.planned} {'run was' if standing.planned == 1 else 'runs were'} planned"
    if not standing.may_ship(run):
        told.append(
            f"{planned} on this test set and this is number {standing.place(run)} (before: {', '.join(earlier)}): "
            "it cannot ship without fresh test items."
        )
    elif earlier:
        told.append(f"Before on this test set: {', '.join(earlier)}; {planned}.")
    if settings.evaluation.runs != standing.planned:
        told.append(
            f"rung.toml says runs = {settings.evaluation.runs}, but {planned} when the first was scored; that counts."
        )
    return told
