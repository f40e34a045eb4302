"""Permission to release: a tuned model needs `ship`, or a judgement that a named person accepts."""

from dataclasses import dataclass
from pathlib import Path

from curation.store import open_store
from curation.store.vouching import fault_of, way_back
from evaluation.arms.classifiers import CLASSIFIERS
from evaluation.arms.registry import CALLED, arm_name
from evaluation.measured_answers import best_untuned
from evaluation.measurement_report import Report, read_report, reports
from evaluation.verdict.pairing import rule_again
from evaluation.verdict.rule import Verdict, newest_verdict
from training.gates.clearance import refuse_uncleared
from training.release.releases import UNTUNED, FormName
from training.runs import RECORD, RunRecord
from workspace.artefact import revised
from workspace.errors import Refusal
from workspace.files import is_unchanged
from workspace.folder import Project
from workspace.settings import Settings, load_settings

DECIDES = ("verdict", "chosen", "candidate", "margin", "confidence", "difference", "low", "high", "n", "clusters")
"""Fields of a verdict that a release depends on."""
WORDS = {"keep_prompt": "keep the prompt", "need_more_data": "need more data", "judgement": "judgement"}


@dataclass(frozen=True, slots=True)
class Permission:
    """The verdict that allows a release, its folder, and the person who signed."""

    folder: Path
    verdict: Verdict
    by: str
    reason: str


def may_release(
    project: Project, settings: Settings, run: RunRecord, by: str, reason: str, *, signs: bool = True
) -> Permission:
    """Return the permission for a tuned model. Unless `signs`, name and reason are for something else.

    Raises Refusal if there is no verdict, its outputs or the run's weights changed since, verdict.json says other
    than what its outputs come to, or the verdict is neither ship nor a judgement with name and reason.
    """
    if run.state != "finished":
        ways = {"stopped": f"rung runs resume {run.id}", "crashed": f"rung runs resume {run.id}", "failed": "rung plan"}
        way = ways.get(run.state, f"rung runs watch {run.id}")
        raise Refusal(f"Locked: {run.id} is {run.state}, at step {run.step} of {run.steps}.", way)
    found = newest_verdict(project, run.id)
    if found is None:
        raise Refusal(f"Locked: no verdict yet on {run.id}.", f"rung evaluate {run.id}")
    folder, verdict = found
    _unchanged(project, run, folder, verdict)
    _vouched(project, settings, run, folder, verdict)
    _ruled_so(project, settings, run, folder, verdict)
    if verdict.verdict == "ship":
        return Permission(folder, verdict, by, reason if signs else "")
    if verdict.verdict == "judgement" and verdict.accepted is not None:
        by, reason = (by, reason) if signs else ("", "")
        return Permission(folder, verdict, by or verdict.accepted.by, reason or verdict.accepted.reason)
    if verdict.verdict == "judgement" and signs and by.strip() and reason.strip():
        return Permission(folder, verdict, by.strip(), reason.strip())
    raise _refused(run, verdict, signs)


def _refused(run: RunRecord, verdict: Verdict, signs: bool) -> Refusal:
    level, low, high = (100 * figure for figure in (verdict.confidence, verdict.low, verdict.high))
    points = f"{100 * verdict.difference:+.1f} points ({level:.4g}%: {low:+.1f} to {high:+.1f})"
    said = f"The verdict on {run.id} is {WORDS[verdict.verdict]}: {points}, the margin is {100 * verdict.margin:.0f}."
    if verdict.verdict == "judgement" and not signs:
        way = f"rung verdict {run.id} --accept-judgement --by NAME --reason TEXT"
        return Refusal(f"{said} --override loss does not decide that: a named person does, first.", way)
    if verdict.verdict == "judgement":
        return Refusal(f"{said} A named person decides.", f"rung release {run.id} --to adapter --by NAME --reason TEXT")
    return Refusal(f"{said} A tuned model is not released on that.", "rung release --to prompt")


def _unchanged(project: Project, run: RunRecord, folder: Path, verdict: Verdict) -> None:
    """Check that the verdict's report exists, is of this run, and has the outputs that were scored."""
    path = folder / "report.json"
    if not path.is_file():
        raise Refusal(f"{folder.name}: the verdict's report is missing.", f"rung evaluate {run.id}")
    report = read_report(project, folder.name)[1]
    outputs = folder / "outputs.jsonl"
    if report.run != run.id or not is_unchanged(outputs, report.outputs_sha256):
        raise Refusal(f"{folder.name}: outputs changed since the verdict.", f"rung evaluate {run.id}")
    record = project.runs / run.id / RECORD
    measured = report.made_from.get(project.relative(record))
    if measured is not None and not is_unchanged(record, measured):
        raise Refusal(
            f"{project.relative(record)} changed since {folder.name} measured that run.", f"rung evaluate {run.id}"
        )
    if run.adopted and run.adopted.served:
        return
    weights = project.runs / run.id / "adapter"
    changed = [name for name, digest in run.files.items() if not is_unchanged(weights / name, digest)]
    if changed or not run.files:
        raise Refusal(
            f"{run.id}: {', '.join(changed) or 'adapter'} changed since it was trained.", "rung train --again"
        )
    added = sorted(path.name for path in weights.iterdir() if path.name not in run.files)
    if added:
        raise Refusal(
            f"{run.id}: {', '.join(added[:5])} was added to its adapter since it was trained; it would be released, or "
            "change how the model is asked.",
            f"Take it out of {project.relative(weights)}.",
        )


def _vouched(project: Project, settings: Settings, run: RunRecord, folder: Path, verdict: Verdict) -> None:
    """Check that the files behind the release are those that the log names, and that the log was not changed since.

    Reports of other runs on the same test items are among it: they were made after what was planned for these.
    """
    same = [each.id for each in reports(project) if (each.kind, each.test_sha256) == ("run", verdict.test_sha256)]
    evaluations = [project.evaluations / name / "report.json" for name in (verdict.baseline_report or "", *same)]
    manifest = project.datasets / (verdict.dataset or "") / "manifest.json"
    refuse_unvouched(project, settings, manifest, *evaluations, folder / "verdict.json")
    if not run.adopted:
        hint = f"put back what was there; or mv runs/{run.id} ELSEWHERE, then rung runs adopt ELSEWHERE/adapter"
        with open_store(project, settings) as store:
            refuse_uncleared(project.runs / run.id, store.events(ref=run.id), hint)


def refuse_unvouched(project: Project, settings: Settings, *files: Path) -> None:
    """Raise Refusal if a file is not the one that the log names, or the log changed since it was written."""
    if fault := fault_of(project, settings, *files):
        raise Refusal(f"Not released: {fault}.", way_back(project, settings, *files))


def _ruled_so(project: Project, settings: Settings, run: RunRecord, folder: Path, verdict: Verdict) -> None:
    """Check that the ruling and its figures, computed again from the outputs, are those of verdict.json.

    Margin and groups are read from rung.toml alone: the environment softens nothing.
    """
    plain = load_settings(project.settings_file, {})
    settings = revised(settings, dataset=plain.dataset, evaluation=plain.evaluation)
    again = rule_again(project, settings, folder)
    other = [name for name in DECIDES if not _same(getattr(verdict, name), getattr(again, name))]
    if other:
        said = "; ".join(
            f"{name} {_shown(getattr(verdict, name))}, now {_shown(getattr(again, name))}" for name in other
        )
        raise Refusal(
            f"{project.relative(folder / 'verdict.json')} differs from what the outputs give: {said}.",
            f"rung evaluate {run.id}",
        )


def _same(said: object, found: object) -> bool:
    if isinstance(said, float) and isinstance(found, float):
        return abs(said - found) < 1e-6
    return said == found


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def measured_prompt(report: Report) -> None:
    """Raise Refusal if a baseline named no best prompt, or the replies of that arm were lost."""
    if report.chosen is None:
        raise Refusal(f"Locked: {report.id} measured no prompt.", "rung baseline")
    refuse_unmeasured(report, report.chosen)


def refuse_unmeasured(report: Report, name: str) -> None:
    """Raise Refusal if the arm's score is no measurement: it shows nothing about what would be released."""
    if why := next(arm for arm in report.arms if arm.arm == name).unmeasured:
        raise Refusal(
            f"{report.id}: the arm {arm_name(name)} was not measured: {why}.",
            "raise [model] max_tokens in rung.toml, then: rung baseline",
            where=f"evaluations/{report.id}/report.json",
        )


def untuned_forms(report: Report) -> list[FormName]:
    """Return the forms that need no run and were measured, the one of the best arm first."""
    best = best_untuned(report)
    if best is None:
        return []
    arms = {arm.arm for arm in report.arms if not arm.unmeasured}
    known = {*(CALLED.get(arm, arm) for arm in arms & {*CLASSIFIERS}), *(["prompt"] if report.chosen in arms else [])}
    first = CALLED.get(best.arm, best.arm) if best.arm in CLASSIFIERS else "prompt"
    return sorted((form for form in UNTUNED if form in known), key=lambda form: form != first)
