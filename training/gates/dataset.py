"""Gate 2: the dataset is frozen and its files are, byte for byte, those that were frozen."""

from __future__ import annotations

from pathlib import Path

from curation.manifest import Manifest, SplitName
from training.case import Case
from training.gate import Evidence, Gate, closed, passed, unknown
from training.methods import FROM_REVIEWS
from training.preferences import preferences_of
from training.reward import reward_fault
from workspace.errors import Refusal
from workspace.files import sha256_file

RULE = "dataset-unchanged"
NEEDED: tuple[SplitName, ...] = ("train", "validation", "test")
FREEZE = "rung data freeze"


def dataset_gate(case: Case) -> Gate:
    """Compare every file with the manifest, and the manifest with the plan."""
    if case.folder is None or case.manifest is None:
        what = f"{case.plan.dataset} is not there" if case.plan else "no frozen dataset with a train split"
        return unknown("dataset", what, FREEZE, RULE, "training reads frozen rows only")
    faults = [*_whose(case.folder, case.manifest), *_faults(case.folder, case.manifest), *_plan_faults(case)]
    digest = sha256_file(case.folder / "manifest.json")
    evidence: Evidence = {"sha256": digest}
    if faults:
        return closed("dataset", faults[0], "training reads frozen rows only", FREEZE, RULE, evidence)
    if fault := _signal_fault(case, case.folder):
        return closed(
            "dataset",
            fault,
            "a plan is for the pairs, labels or reward model that it read",
            "rung plan",
            RULE,
            evidence,
        )
    return passed(
        "dataset",
        f"{case.manifest.version}, unchanged",
        f"manifest.json {digest[:8]}",
        {"version": case.manifest.version, "sha256": digest},
    )


def _whose(folder: Path, manifest: Manifest) -> list[str]:
    """A manifest that belongs to another folder, or a folder that only points elsewhere."""
    faults = []
    if manifest.version != folder.name:
        faults.append(f"the manifest in {folder.name} is that of {manifest.version}")
    links = [path.name for path in (folder, folder / "manifest.json") if path.is_symlink()]
    return faults + [f"{name} is a symlink" for name in links]


def _faults(folder: Path, manifest: Manifest) -> list[str]:
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


def _plan_faults(case: Case) -> list[str]:
    """The plan was made for this manifest and no other."""
    if case.plan is None or case.folder is None:
        return []
    name = case.project.relative(case.folder / "manifest.json")
    planned = case.plan.made_from.get(name)
    if planned != sha256_file(case.folder / "manifest.json"):
        return [f"{case.plan.id} was made for another manifest of {case.plan.dataset}"]
    return []


def _signal_fault(case: Case, folder: Path) -> str:
    """Pairs and labels are read from the review log again, leaks left out; they must be those of the plan.

    So must the reward model, where the plan names one.
    """
    if case.plan is not None and (fault := reward_fault(case.project, case.plan.recipe, folder.name)):
        return fault
    if case.plan is None or case.plan.recipe.objective not in FROM_REVIEWS:
        return ""
    try:
        found = preferences_of(case.project, case.settings, folder, case.plan.recipe.objective)
    except Refusal as error:
        return error.message
    changed = found.sha256 != case.plan.recipe.signals
    return f"the reviews give other pairs or labels than {case.plan.id} was made for" if changed else ""
