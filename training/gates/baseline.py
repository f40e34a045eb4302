"""Gate 5: at least the prompt arm was measured, on that very test split, and its report is whole."""

from __future__ import annotations

from pathlib import Path

from evaluation.arms.words import arm_name
from evaluation.report import ArmResult, Outcome, Report, newest_report, read_outcomes, read_report
from evaluation.sealed import sealed_items
from training.case import Case
from training.gate import Gate, closed, passed, unknown
from workspace.errors import RungError
from workspace.files import sha256_file

RULE = "baseline-same-items"
WHY = "paired items must be the same"
MEASURE = "rung baseline"


def baseline_gate(case: Case) -> Gate:
    """Find the report on the plan's test items and count its scores again from the stored outputs."""
    entry = case.manifest.splits.get("test") if case.manifest else None
    if entry is None:
        return unknown("baseline", "no frozen test set", "rung data freeze --test-only", RULE, WHY)
    found = _report(case, entry.sha256)
    if found is None:
        return _missing(case)
    folder, report = found
    sealed = sealed_items(case.project, case.settings, entry.sha256, entry.rows, draw=False)
    asked = set(range(1, entry.rows + 1)) - sealed
    faults = [*_about(case, report, entry.sha256), *_faults(folder, report, asked)]
    digest = sha256_file(folder / "report.json")
    if faults:
        return closed("baseline", faults[0], WHY, MEASURE, RULE, {"report": report.id, "sha256": digest})
    return passed("baseline", _fact(report), f"{report.id} {digest[:8]}", {"report": report.id, "sha256": digest})


def _report(case: Case, test_sha256: str) -> tuple[Path, Report] | None:
    if case.report is not None:
        try:
            return read_report(case.project, case.report)
        except RungError:
            return None
    return newest_report(case.project, "baseline", test_sha256=test_sha256)


def _missing(case: Case) -> Gate:
    if case.report is not None:
        return unknown("baseline", f"the report {case.report} is missing or cannot be read", MEASURE, RULE, WHY)
    other = newest_report(case.project, "baseline")
    if other is None or case.manifest is None:
        return unknown("baseline", "no baseline measured", MEASURE, "baseline-first", "the lead is over a prompt")
    fact = f"made on {other[1].dataset}, but the dataset is {case.manifest.version}"
    return closed("baseline", fact, WHY, MEASURE, RULE, {"report": other[1].id})


def _about(case: Case, report: Report, test_sha256: str) -> list[str]:
    faults = []
    if report.kind != "baseline":
        faults.append(f"{report.id} measures a tuned model, not the prompted arms")
    if report.test_sha256 != test_sha256:
        faults.append(f"{report.id} was made on another test set ({report.dataset})")
    if report.metric != case.settings.evaluation.metric:
        faults.append(f"measured by {report.metric}, but rung.toml says {case.settings.evaluation.metric}")
    return faults


def _faults(folder: Path, report: Report, asked: set[int]) -> list[str]:
    outputs = folder / "outputs.jsonl"
    if outputs.is_symlink() or not outputs.is_file() or sha256_file(outputs) != report.outputs_sha256:
        return [f"{report.id}: outputs.jsonl changed since it was measured"]
    arm = next((a for a in report.arms if a.arm == "prompt"), None)
    if arm is None:
        return [f"{report.id} has no prompt arm"]
    return _counted(report, arm, read_outcomes(outputs), asked)


def _counted(report: Report, arm: ArmResult, outcomes: list[Outcome], asked: set[int]) -> list[str]:
    """The arm's score, worked out again from one output for each test item that is not sealed."""
    scores = {o.item: o.score for o in outcomes if (o.split, o.arm, o.form) == ("test", arm.arm, arm.form)}
    if set(scores) != asked:
        return [f"{report.id}: the prompt arm answered {len(scores)} of {len(asked)} test items"]
    if abs(sum(scores.values()) / len(asked) - arm.score) > 1e-6:
        return [f"{report.id}: the prompt arm's score is not that of its outputs"]
    return []


def _fact(report: Report) -> str:
    best = next((a for a in report.arms if a.arm == (report.chosen or "prompt")), report.arms[0])
    return f"{arm_name(best.arm)} {best.score:.1%} on the same {report.n} items"
