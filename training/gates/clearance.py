"""The lock on the training door: six gates, a receipt for one run, and the process that trains asking all over again.

This guards against accidents and short cuts, not against an owner who rewrites the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curation.store import Event, open_store
from training.gates.checks import (
    GateCase,
    baseline_gate,
    dataset_gate,
    decision_gate,
    leakage_gate,
    machine_gate,
    review_gate,
)
from training.gates.gate import MAY_OVERRIDE, Gate, GateOverride, policy_of
from training.plan.plans import Plan, read_plan
from training.runs import RECORD, RunRecord, read_run
from workspace.artefact import Artefact, hashes, now, read_artefact, revised, write_artefact
from workspace.errors import InputError, Problem, Refusal, RungError, did_you_mean
from workspace.files import sha256_file, write_bytes
from workspace.folder import Project, find_project, next_id
from workspace.settings import GateSettings, Settings, load_settings

RECEIPT = "clearance.json"
PLAN_COPY = "plan.toml"


class Clearance(Artefact):
    """`runs/R-001/clearance.json`: a receipt of what every gate found, for one plan and one run; no authority."""

    run: str
    plan: str
    plan_sha256: str
    dataset: str
    gates: list[Gate]

    @property
    def overrides(self) -> list[GateOverride]:
        """Gates that a person set aside."""
        return [gate.override for gate in self.gates if gate.override is not None]


class Locked(Refusal):
    """A gate is closed: nothing was started. `gates` are all six, in their order."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self.gates = tuple(gates)
        first = next(gate for gate in gates if not gate.opens)
        why = f" ({first.why})" if first.why else ""
        super().__init__(f"Training is locked: {first.name}: {first.fact}{why}.", first.opener, where=first.name)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A run that may train now, with all it was cleared for."""

    project: Project
    settings: Settings
    folder: Path
    plan: Plan
    clearance: Clearance


def check_gates(
    project: Project,
    settings: Settings,
    plan: Plan | None = None,
    *,
    report: str | None = None,
    overrides: Sequence[GateOverride] = (),
) -> list[Gate]:
    """Return the finding of each gate, in order; nothing is written. `report` names the baseline report to check."""
    case = GateCase(project, settings, plan, report)
    found = [
        decision_gate(case),
        dataset_gate(case),
        review_gate(case),
        leakage_gate(case),
        baseline_gate(case),
        machine_gate(case),
    ]
    return [_set_aside(gate, overrides, policy_of(project)) for gate in found]


def override(gate: str, by: str, reason: str, policy: GateSettings | None = None) -> GateOverride:
    """Return a gate set aside by name.

    Raises InputError for a gate that can only be met, where name or reason is missing, and for whom the policy leaves
    out.
    """
    policy = policy or GateSettings()
    problems = []
    if gate not in policy.may_override:
        known = f"One of: {', '.join(policy.may_override) or 'none, by [gates]'}; the others can only be met."
        hint = did_you_mean(gate, policy.may_override)
        problems.append(Problem(f"--override {gate}: this gate cannot be overridden. {known}{hint}"))
    if not by.strip():
        problems.append(Problem("--by: an override needs a name."))
    elif policy.override_by and by.strip() not in policy.override_by:
        problems.append(
            Problem(f"--by {by}: may not override; [gates] override_by allows {', '.join(policy.override_by)}.")
        )
    if not reason.strip():
        problems.append(Problem("--reason: an override needs a reason."))
    if problems:
        raise InputError(problems, "rung train --override GATE --by NAME --reason TEXT")
    return GateOverride.model_validate({"gate": gate, "by": by.strip(), "reason": reason.strip(), "at": now()})


def grant(
    project: Project,
    settings: Settings,
    plan_file: Path,
    *,
    overrides: Sequence[GateOverride] = (),
    by: str = "",
    name: str = "",
) -> Path:
    """Check every gate and, if all are open, make `runs/R-001/` (or `name`). Raises Locked if one is closed."""
    plan = read_plan(plan_file)
    gates = check_gates(project, settings, plan, overrides=overrides)
    if not all(gate.opens for gate in gates):
        raise Locked(gates)
    folder, clearance = issue(project, plan_file, plan, gates, name)
    with open_store(project, settings) as store:
        for item in clearance.overrides:
            store.event("override", item.by, folder.name, item.model_dump(mode="json"))
        detail = {"sha256": sha256_file(folder / RECEIPT), "plan": clearance.plan_sha256}
        store.event("cleared", by, folder.name, detail)
    write_artefact(folder / RECORD, record_of(project, folder, plan, clearance, by))
    return folder


def issue(
    project: Project, plan_file: Path, plan: Plan, gates: list[Gate], name: str = "", receipt: str = RECEIPT
) -> tuple[Path, Clearance]:
    """Make the folder of a run with a copy of its plan and what the gates found, and give both."""
    folder = project.runs / (name or next_id(project.runs, "R"))
    write_bytes(folder / PLAN_COPY, plan_file.read_bytes())
    clearance = receipt_of(project, plan_file, plan, gates, folder.name)
    write_artefact(folder / receipt, clearance)
    return folder, clearance


def receipt_of(project: Project, plan_file: Path, plan: Plan, gates: list[Gate], run: str) -> Clearance:
    """Return what the gates found for this plan and this run; nothing is written."""
    return Clearance(
        made_from={**plan.made_from, **hashes(project.root, plan_file)},
        run=run,
        plan=plan.id,
        plan_sha256=sha256_file(plan_file),
        dataset=plan.dataset,
        gates=gates,
    )


def admit(folder: Path) -> Admitted:
    """Check first in the training process that this run is cleared and that all gates still pass.

    Every gate is computed again from the artefacts; overrides are those of the event log. Raises Refusal if the
    receipt is missing, made by hand, of another run or plan, used, or no longer true.
    """
    project, settings = project_of(folder)
    clearance, plan = _receipt(folder)
    record = read_run(folder) if (folder / RECORD).is_file() else None
    with open_store(project, settings) as store:
        events = store.events(ref=folder.name)
    refuse_uncleared(folder, events)
    _unused(folder, record, started=any(e.kind == "started" for e in events))
    set_aside = [GateOverride.model_validate(e.detail) for e in events if e.kind == "override"]
    _still_true(project, settings, plan, clearance, set_aside)
    return Admitted(project, settings, folder, plan, clearance)


def refuse_uncleared(folder: Path, events: Sequence[Event], hint: str = "rung train") -> None:
    """Raise Refusal if no event of the run names this receipt."""
    receipt = folder / RECEIPT
    given = {each.detail.get("sha256") for each in events if each.kind == "cleared"}
    if not receipt.is_file() or sha256_file(receipt) not in given:
        raise Refusal(f"{folder.name}: this clearance was not given by `rung train` (not in the log).", hint)


def _set_aside(gate: Gate, overrides: Sequence[GateOverride], policy: GateSettings) -> Gate:
    """Return the gate with the override that the policy of rung.toml lets through, if there is one."""
    if gate.passed is True or gate.name not in MAY_OVERRIDE or gate.name not in policy.may_override:
        return gate
    may = [item for item in overrides if not policy.override_by or item.by in policy.override_by]
    found = next((item for item in may if item.gate == gate.name), None)
    return revised(gate, override=found)


def record_of(
    project: Project, folder: Path, plan: Plan, clearance: Clearance, by: str, receipt: str = RECEIPT
) -> RunRecord:
    """Return the record of a run that has not begun."""
    return RunRecord(
        made_from=hashes(project.root, folder / PLAN_COPY, folder / receipt),
        id=folder.name,
        state="cleared",
        plan=plan.id,
        plan_sha256=clearance.plan_sha256,
        clearance_sha256=sha256_file(folder / receipt),
        dataset=plan.dataset,
        base=plan.recipe.base,
        base_fingerprint=plan.base_fingerprint,
        method=plan.recipe.method,
        objective=plan.recipe.objective,
        processes=plan.recipe.processes,
        system_prompt=plan.recipe.system_prompt,
        overrides=clearance.overrides,
        by=by,
        steps=plan.recipe.steps,
    )


def project_of(folder: Path) -> tuple[Project, Settings]:
    """Return the project and settings around a run's folder. Raises Refusal if it is no run folder of a project."""
    project = find_project(folder.parent)
    if project is None or folder.is_symlink() or folder.resolve().parent != project.runs.resolve():
        raise Refusal(f"{folder}: not a run folder of a project.", "rung train")
    return project, load_settings(project.settings_file)


def _receipt(folder: Path) -> tuple[Clearance, Plan]:
    for name in (RECEIPT, PLAN_COPY):
        if not (folder / name).is_file() or (folder / name).is_symlink():
            raise Refusal(f"{folder.name} has no clearance ({name} is missing or a symlink).", "rung train")
    try:
        clearance = read_artefact(folder / RECEIPT, Clearance)
    except RungError as error:
        raise Refusal(f"{folder.name}: the clearance cannot be read: {error.message}", "rung train") from error
    if clearance.run != folder.name:
        raise Refusal(f"{folder.name}: this clearance was given for {clearance.run}.", "rung train")
    if clearance.plan_sha256 != sha256_file(folder / PLAN_COPY):
        raise Refusal(f"{folder.name}: this clearance was given for another plan.", "rung train")
    return clearance, read_plan(folder / PLAN_COPY)


def _unused(folder: Path, record: RunRecord | None, *, started: bool) -> None:
    """Refuse a used clearance: it starts one run. An interrupted run resumes with it; an ended one does not.

    A process that died before the log knew of its start has used nothing.
    """
    if record is None:
        raise Refusal(f"{folder.name}: run.json is missing; a clearance cannot be used twice.", "rung train")
    fresh = record.state in ("cleared", "crashed") and not started
    interrupted = record.state in ("stopped", "crashed") and started
    if not fresh and not interrupted:
        raise Refusal(f"{folder.name}: this clearance was used ({record.state}).", "rung train")


def _still_true(
    project: Project, settings: Settings, plan: Plan, clearance: Clearance, overrides: Sequence[GateOverride]
) -> None:
    named = next((g.evidence.get("report") for g in clearance.gates if g.name == "baseline"), None)
    gates = check_gates(project, settings, plan, report=str(named) if named else None, overrides=overrides)
    if not all(gate.opens for gate in gates):
        raise Locked(gates)
    cleared = [essence(gate) for gate in clearance.gates]
    if changed := [gate.name for gate in gates if essence(gate) not in cleared]:
        raise Refusal(f"{clearance.run}: changed since it was cleared: {', '.join(changed)}.", "rung train")


def essence(gate: Gate) -> tuple[object, ...]:
    """Return what two looks at the same state agree on."""
    return gate.name, gate.passed, gate.evidence, gate.override
