"""The six gates, in their order. Each computes its answer from the artefacts, never from an earlier answer."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from advisor.answer_file import load_answers
from advisor.decide import verdict_of
from advisor.decision import Decision
from advisor.followup import TUNED
from advisor.rulefiles import load_rulebook
from curation.split.audit import GateAnswer, recheck_leakage, recheck_review
from curation.split.manifest import Manifest, SplitName, newest_dataset, read_manifest
from curation.store import Store, open_store
from curation.store.vouching import fault_of
from evaluation.arms.prompted import OPTIMISED
from evaluation.arms.registry import arm_name
from evaluation.measured_answers import form_of, newest_baseline, with_judged
from evaluation.measurement_report import ArmResult, ItemOutcome, Report, newest_report, read_outcomes, read_report
from evaluation.outcomes import unmeasured, unmeasured_words
from training.gates.gate import Evidence, Gate, GateName, closed, passed, policy_of, unknown
from training.plan.memory_fit import MemoryFit, fit_of, measured_fit, this_machine, unknown_because
from training.plan.objective import preferences_of, reward_fault
from training.plan.plans import Plan
from training.plan.recipe import PAIRED
from workspace.artefact import read_artefact
from workspace.counted import counted, gib
from workspace.errors import Refusal, RungError
from workspace.files import is_unchanged, sha256_file
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True)
class GateCase:
    """The state that is judged. Gates read files themselves; nothing here guarantees their content.

    `dataset` is the version of the plan, or without a plan the newest one that has a train split. `report` names the
    baseline report to look at; without it the newest one on the same test items.
    """

    project: Project
    settings: Settings
    plan: Plan | None = None
    report: str | None = None

    @cached_property
    def folder(self) -> Path | None:
        """Folder of the frozen dataset, or None if there is none."""
        if self.plan is not None:
            path = self.project.datasets / self.plan.dataset
            return path if (path / "manifest.json").is_file() else None
        return newest_dataset(self.project, complete=True)

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest in that folder."""
        return read_manifest(self.folder) if self.folder else None


DECISION_RULE = "decision-fine-tune"
DECISION_WHY = "fine-tuning must be the next step"
WORDS = {"fine_tune": "fine-tune", "rag_and_fine_tune": "rag and fine-tune", "few_shot": "few-shot"}


def decision_gate(case: GateCase) -> Gate:
    """Work the advice out again from answers and rules; decision.json must say the same, and it must be to train."""
    path = case.project.decision_file
    if not path.is_file():
        return unknown("decision", "no advice yet", "rung advise", DECISION_RULE, DECISION_WHY)
    written = read_artefact(path, Decision).next_step
    answers = with_judged(case.project, case.settings, load_answers(case.project.answers_file))
    step = str(verdict_of(load_rulebook(case.project.root / "rules"), answers).next_step)
    if step != written:
        fact = f"decision.json says {_word(written)}, the answers say {_word(step)}"
        why = "answers or rules changed since the advice was written"
        return closed("decision", fact, why, "rung advise", "decision-current", {"next_step": step})
    if step not in TUNED:
        fact, opener = _not_yet(case, step)
        return closed("decision", fact, DECISION_WHY, opener, DECISION_RULE, {"next_step": step})
    shown = f"decision.json {sha256_file(path)[:8]}"
    return passed("decision", f"{_word(step)} is the next step", shown, {"next_step": step})


def _not_yet(case: GateCase, step: str) -> tuple[str, str]:
    """Return the reason why the advice is not to train, and the next command, never the one that just ran."""
    found = newest_baseline(case.project, case.settings)
    if found is None:
        return f"the advice says {_word(step)} next", "rung baseline"
    if load_answers(case.project.answers_file).goal_score is None:
        return "no goal is set, so the measured arms are not judged", "rung advise --set goal_score=0.9"
    decision = read_artefact(case.project.decision_file, Decision)
    if form := form_of(decision.reached, found[1]):
        way = _word(step) if form == "prompt" else form
        return f"{way} reaches the goal: training is not needed", f"rung release --to {form}"
    return f"the advice says {_word(step)} next", "rung advise"


def _word(step: str) -> str:
    return WORDS.get(step, step)


DATASET_RULE = "dataset-unchanged"
NEEDED: tuple[SplitName, ...] = ("train", "validation", "test")
FREEZE = "rung data freeze"


def dataset_gate(case: GateCase) -> Gate:
    """Compare every file with the manifest, and the manifest with the log of freezes and with the plan."""
    if case.folder is None or case.manifest is None:
        what = f"{case.plan.dataset} is not there" if case.plan else "no frozen dataset with a train split"
        return unknown("dataset", what, FREEZE, DATASET_RULE, "training reads frozen rows only")
    digest = sha256_file(case.folder / "manifest.json")
    faults = [
        *_whose(case.folder, case.manifest),
        *_file_faults(case.folder, case.manifest),
        *filter(None, [fault_of(case.project, case.settings, case.folder / "manifest.json")]),
        *_plan_faults(case, case.folder, digest),
    ]
    version = case.manifest.version
    evidence: Evidence = {"version": version, "sha256": digest}
    if faults:
        return closed("dataset", faults[0], "training reads frozen rows only", FREEZE, DATASET_RULE, evidence)
    if fault := _signal_fault(case, case.folder):
        why = "a plan is for the pairs or the reward model that it read"
        return closed("dataset", fault, why, "rung plan", DATASET_RULE, evidence)
    return passed("dataset", f"{version}, unchanged", f"manifest.json {digest[:8]}", evidence)


def _whose(folder: Path, manifest: Manifest) -> list[str]:
    """Return a fault for a manifest that belongs to another folder, or a folder that only points elsewhere."""
    faults = []
    if manifest.version != folder.name:
        faults.append(f"the manifest in {folder.name} is that of {manifest.version}")
    links = [path.name for path in (folder, folder / "manifest.json") if path.is_symlink()]
    return faults + [f"{name} is a symlink" for name in links]


def _file_faults(folder: Path, manifest: Manifest) -> list[str]:
    faults = []
    for split in NEEDED:
        entry = manifest.splits.get(split)
        if entry is None:
            faults.append(f"{manifest.version} has no {split} split")
            continue
        path = folder / entry.file
        if path.parent != folder or path.is_symlink():
            faults.append(f"{entry.file} is a symlink")
        elif not path.is_file():
            faults.append(f"{entry.file} is missing")
        elif sha256_file(path) != entry.sha256:
            faults.append(f"{entry.file} changed since it was frozen")
    return faults


def _plan_faults(case: GateCase, folder: Path, digest: str) -> list[str]:
    name = case.project.relative(folder / "manifest.json")
    if case.plan is None or case.plan.made_from.get(name) == digest:
        return []
    return [f"{case.plan.id} was made for another manifest of {case.plan.dataset}"]


def _signal_fault(case: GateCase, folder: Path) -> str:
    """Return a fault if the pairs, read again without leaks, or the reward model are not those of the plan."""
    if case.plan is not None and (fault := reward_fault(case.project, case.plan.recipe, folder.name)):
        return fault
    if case.plan is None or case.plan.recipe.objective not in PAIRED:
        return ""
    try:
        found = preferences_of(case.project, case.settings, folder)
    except Refusal as error:
        return error.message
    changed = found.sha256 != case.plan.recipe.signals
    return f"the reviews give other pairs than {case.plan.id} was made for" if changed else ""


def review_gate(case: GateCase) -> Gate:
    """Count the decisions again in the review log; what the manifest says of them is not believed."""
    return _rechecked(case, "review", recheck_review, "reviewed-only", "only reviewed rows may train")


def leakage_gate(case: GateCase) -> Gate:
    """Search the frozen splits for leaks again."""
    why = "a score on rows that were trained on proves nothing"
    return _rechecked(case, "leakage", recheck_leakage, "no-leaks", why)


def _rechecked(
    case: GateCase, name: GateName, recheck: Callable[[Project, Settings, Path, Store], GateAnswer], rule: str, why: str
) -> Gate:
    if case.folder is None:
        return unknown(name, "no frozen dataset", FREEZE, rule, why)
    try:
        with open_store(case.project, case.settings) as store:
            found = recheck(case.project, case.settings, case.folder, store)
    except Refusal as error:
        return closed(name, "the frozen rows cannot be compared", error.message, error.hint, rule)
    if not found.passed:
        return closed(name, found.fact, found.why, found.opener, rule, found.evidence)
    return passed(name, found.fact, evidence=found.evidence)


BASELINE_RULE = "baseline-same-items"
BASELINE_WHY = "paired items must be the same"
MEASURE = "rung baseline"


def baseline_gate(case: GateCase) -> Gate:
    """Find the report on the plan's test items and count its scores again from the stored outputs."""
    manifest = case.manifest
    if manifest is None or "test" not in manifest.splits:
        return unknown("baseline", "no frozen test set", "rung data freeze --test-only", BASELINE_RULE, BASELINE_WHY)
    entry = manifest.splits["test"]
    found = _report(case, entry.sha256)
    if found is None:
        return _missing(case, manifest)
    folder, report = found
    faults = [*_report_faults(case, report, entry.sha256), *_output_faults(folder, report, entry.rows)]
    faults += filter(None, [fault_of(case.project, case.settings, folder / "report.json")])
    digest = sha256_file(folder / "report.json")
    evidence: Evidence = {"report": report.id, "sha256": digest}
    if faults:
        return closed("baseline", faults[0], BASELINE_WHY, MEASURE, BASELINE_RULE, evidence)
    if not report.vouched_by and OPTIMISED in unmeasured(case.project, manifest, report):
        fact, way = "the optimised prompt was not measured", f"rung baseline --arms {OPTIMISED}"
        why = "the lead is over the best prompt, unless a named person confirms the prompts (rung baseline --by)"
        return closed("baseline", fact, why, way, "baseline-first", evidence)
    return passed("baseline", _scores_fact(case, manifest, report), f"{report.id} {digest[:8]}", evidence)


def _report(case: GateCase, test_sha256: str) -> tuple[Path, Report] | None:
    if case.report is not None:
        try:
            return read_report(case.project, case.report)
        except RungError:
            return None
    return newest_report(case.project, "baseline", test_sha256=test_sha256)


def _missing(case: GateCase, manifest: Manifest) -> Gate:
    if case.report is not None:
        return unknown(
            "baseline", f"the report {case.report} is missing or cannot be read", MEASURE, BASELINE_RULE, BASELINE_WHY
        )
    other = newest_report(case.project, "baseline")
    if other is None:
        return unknown("baseline", "no baseline measured", MEASURE, "baseline-first", "a gain needs a measured prompt")
    fact = f"made on {other[1].dataset}, but the dataset is {manifest.version}"
    return closed("baseline", fact, BASELINE_WHY, MEASURE, BASELINE_RULE, {"report": other[1].id})


def _report_faults(case: GateCase, report: Report, test_sha256: str) -> list[str]:
    faults = []
    if report.kind != "baseline":
        faults.append(f"{report.id} measures a tuned model, not the prompted arms")
    if report.test_sha256 != test_sha256:
        faults.append(f"{report.id} was made on another test set ({report.dataset})")
    if report.metric != case.settings.evaluation.scored_by:
        faults.append(f"measured by {report.metric}, but rung.toml says {case.settings.evaluation.scored_by}")
    return faults


def _output_faults(folder: Path, report: Report, rows: int) -> list[str]:
    outputs = folder / "outputs.jsonl"
    if not is_unchanged(outputs, report.outputs_sha256):
        return [f"{report.id}: outputs.jsonl changed since it was measured"]
    arm = next((a for a in report.arms if a.arm == "prompt"), None)
    if arm is None:
        return [f"{report.id} has no prompt arm"]
    return _score_faults(report, arm, read_outcomes(outputs), rows)


def _score_faults(report: Report, arm: ArmResult, outcomes: list[ItemOutcome], rows: int) -> list[str]:
    """Return the arm's score, worked out again from one output for each test item."""
    found = [o for o in outcomes if (o.split, o.arm, o.form) == ("test", arm.arm, arm.form)]
    answered = {o.row for o in found}
    if answered != set(range(1, rows + 1)):
        return [f"{report.id}: the prompt arm answered {len(answered)} of {rows} test items"]
    if not math.isclose(sum(o.score for o in found) / len(found), arm.score, abs_tol=1e-6):
        return [f"{report.id}: the prompt arm's score is not that of its outputs"]
    return []


def _scores_fact(case: GateCase, manifest: Manifest, report: Report) -> str:
    """Return the best prompted arm's score; and which arms the project could measure and did not."""
    measured = {arm.arm: arm for arm in report.arms}
    best = measured.get(report.chosen or "prompt", measured["prompt"])
    missing = unmeasured_words(case.project, manifest, report)
    return f"{arm_name(best.arm)} {best.score:.1%} on the same {report.n} items{missing and '; ' + missing}"


MACHINE_RULE = "plan-fits"
MACHINE_WHY = "a run that does not fit fails half-way"


def machine_gate(case: GateCase) -> Gate:
    """Estimate the plan's memory again and compare it with what this machine has.

    Of a base whose architecture is unknown the memory counts that `rung plan check` measured.
    """
    if case.plan is None:
        return unknown("machine", "no plan yet", "rung plan", MACHINE_RULE, MACHINE_WHY)
    usable = policy_of(case.project).memory
    fit = fit_of(case.plan.recipe, answer=case.plan.data.answer, usable=usable) or measured_fit(case.plan, usable)
    if fit is None:
        fact = f"no estimate for {case.plan.recipe.base}: {unknown_because(case.plan.recipe.base)}"
        return unknown("machine", fact, "rung plan check", MACHINE_RULE, MACHINE_WHY)
    cards = len(this_machine().cards)
    if cards and case.plan.recipe.processes > cards:
        fact = f"{case.plan.recipe.processes} processes, {counted(cards, 'GPU')}"
        return closed("machine", fact, "each process needs a GPU", f"rung plan --set processes={cards}", MACHINE_RULE)
    evidence: Evidence = {"gib": round(fit.expected, 1), "has": round(fit.has, 1)}
    if not fit.fits:
        return closed(
            "machine", _memory_fact(fit), MACHINE_WHY, f"rung estimate --fit {fit.has:.0f}GB", MACHINE_RULE, evidence
        )
    return passed("machine", _memory_fact(fit), evidence=evidence)


def _memory_fact(fit: MemoryFit) -> str:
    return f"{gib(fit.expected)} planned, {gib(fit.has)} {fit.where}"
