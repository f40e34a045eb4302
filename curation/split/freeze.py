"""Write a frozen version in one step: everything in a temporary folder, then one rename."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.split.audit import STRICTEST, review_facts
from curation.split.card import card_text
from curation.split.manifest import (
    FrozenRow,
    Manifest,
    SplitFile,
    SplitName,
    newest_dataset,
    read_manifest,
)
from curation.split.plan import FreezePlan, Stage, plan_freeze
from curation.store import Store, StoredRow, open_store
from curation.store.reviewers import current_guideline
from curation.store.vouching import unlike_log, write_vouched
from workspace.counted import counted
from workspace.errors import Refusal
from workspace.files import is_unchanged, sha256_bytes, sha256_file, sync_folder, write_bytes, write_text
from workspace.folder import Project, next_id
from workspace.lock import writer_lock
from workspace.settings import Settings

WORKSHOP = ".tmp"
"""Folder below `datasets/` in which a version is made; nobody looks for versions in it."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen version: its folder and manifest, and whether it was there already, with these very rows."""

    folder: Path
    manifest: Manifest
    was_there: bool


def freeze(
    project: Project,
    settings: Settings,
    *,
    test_only: bool = False,
    leave_out: bool = False,
    actor: str = "rung",
    stage: Stage = lambda _: None,
) -> Frozen:
    """Freeze what is in the store as the next version. The same rows again give the version that is there.

    Raises Refusal that names the rows in the way, all reasons at once; then nothing was written. Killed at any
    moment it leaves a whole version or none.
    """
    project.datasets.mkdir(exist_ok=True)
    with (
        writer_lock(project.datasets / ".lock", "rung data freeze"),
        open_store(project, settings) as store,
    ):
        plan = plan_freeze(store, project, settings, test_only=test_only, leave_out=leave_out, stage=stage)
        if plan.blockers:
            raise refusal(plan)
        workshop = project.datasets / WORKSHOP
        shutil.rmtree(workshop, ignore_errors=True)
        if there := same_version(project, settings, plan):
            return Frozen(there, read_manifest(there), True)
        version = next_id(project.datasets, "v")
        manifest = _manifest(store, project, settings, plan, version)
        temporary = workshop / version
        temporary.mkdir(parents=True)
        for split, data in plan.files.items():
            write_bytes(temporary / f"{split}.jsonl", data)
        path, sizes = temporary / "manifest.json", {name: split.rows for name, split in manifest.splits.items()}
        write_vouched(store, path, manifest, actor, test_only=manifest.test_only, **sizes)
        write_text(temporary / "README.md", card_text(project, settings, plan, manifest, sha256_file(path)))
        folder = temporary.rename(project.datasets / version)
        sync_folder(project.datasets)
        shutil.rmtree(workshop, ignore_errors=True)
        return Frozen(folder, read_manifest(folder), False)


def refusal(plan: FreezePlan) -> Refusal:
    """Return the refusal with all blockers of a freeze."""
    one = len(plan.blockers) == 1  # the hint names what to do
    lines = [blocker.text if one else f"{blocker.text}\n    do: {blocker.opener}" for blocker in plan.blockers]
    what = "the test set" if plan.test_only else "the dataset"
    head = f"Not frozen: {counted(len(lines), 'problem')} with {what}."
    return Refusal("\n".join((head, *(f"✗ {line}" for line in lines))), plan.blockers[0].opener)


def same_version(project: Project, settings: Settings, plan: FreezePlan) -> Path | None:
    """Return the newest version if this plan would freeze exactly this under the same policy (for a test set alone:
    this or more). A frozen test set alone is not a whole version.
    """
    newest = newest_dataset(project)
    if newest is None or plan.blockers:
        return None
    manifest = read_manifest(newest)
    if not plan.test_only and manifest.test_only:
        return None
    terms = _terms(settings)
    if {**terms, **{name: manifest.policy[name] for name in POLICY if name in manifest.policy}} != terms:
        return None  # reviewed under another policy: the gates hold each version to its own
    for split, data in plan.files.items():
        entry = manifest.splits.get(split)
        if (
            entry is None
            or entry.sha256 != sha256_bytes(data)
            or not is_unchanged(newest / entry.file, entry.sha256)
            or [row for row in manifest.rows if row["split"] == split] != _provenance(plan, split, settings)
        ):
            return None
    return None if unlike_log(project, settings, newest / "manifest.json") else newest


def _provenance(plan: FreezePlan, split: SplitName, settings: Settings) -> list[FrozenRow]:
    return [
        {
            "split": split,
            "line": line,
            "id": row.id,
            "source": row.source,
            "source_sha256": row.source_sha256,
            "origin": row.origin,
            "role": row.role,
            "state": row.state,
            "reviewer": row.reviewer,
            "automatic": row.automatic,
            "decision": row.decision,
            "guideline": row.guideline,
            "licence": licence_of(row, settings),
        }
        for line, row in enumerate(plan.splits[split], 1)
    ]


def licence_of(row: StoredRow, settings: Settings) -> str:
    """Return the licence of the row itself, else of its file (`[dataset.licences]`), else of the dataset."""
    named = row.example.row.get("license") or row.example.row.get("licence")
    file = row.source.rpartition(":")[0] if row.line else row.source
    licences = settings.dataset.licences
    return str(named or licences.get(file) or licences.get(Path(file).name) or settings.dataset.licence)


def _manifest(
    store: Store,
    project: Project,
    settings: Settings,
    plan: FreezePlan,
    version: str,
) -> Manifest:
    rows = [row for split in plan.splits.values() for row in split]
    guideline = current_guideline(store, project)
    files = [project.settings_file, project.guideline_file]
    if plan.kept_test:
        files.append(project.datasets / plan.kept_test / "manifest.json")
    return Manifest(
        version=version,
        test_only=plan.test_only,
        splits={
            split: SplitFile(file=f"{split}.jsonl", rows=len(plan.splits[split]), sha256=sha256_bytes(data))
            for split, data in plan.files.items()
        },
        seed=settings.dataset.seed,
        shares=dict(plan.shares or {}),
        threshold=settings.dataset.threshold,
        policy={
            **_terms(settings),
            "group_by": settings.dataset.group_by,
            "split_by": settings.dataset.split_by,
            "dates": list(plan.dates),
            "licence": settings.dataset.licence,
            "rule": plan.rule,
            "test_kept_from": plan.kept_test,
            "test_differs_from": plan.other_test,
        },
        review=review_facts(store, settings, rows),
        leakage={"train_test": 0, "train_validation": 0, "dismissed": plan.dismissed, "across": list(plan.across)},
        guideline=guideline.sha256 if guideline else "",
        dropped=list(plan.dropped),
        classes=dict(plan.classes or {}),
        rows=[entry for split in plan.splits for entry in _provenance(plan, split, settings)],
        made_from={project.relative(file): sha256_file(file) for file in files if file.is_file()},
    )


POLICY = (*STRICTEST, "overlap", "overlap_people")
"""The settings of `[review]` that the gates hold a frozen dataset to, as they were at the freeze."""


def _terms(settings: Settings) -> dict[str, Any]:
    return settings.review.model_dump(include=set(POLICY))
