"""A run on fresh test items: another frozen version than the one it was trained on, once nothing of it was seen."""

from __future__ import annotations

from curation.manifest import load_split, read_manifest
from evaluation.bench import frozen_test
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings


def check_unseen(project: Project, settings: Settings, run: str, trained: str, tested: str) -> None:
    """Raises Refusal where rows that the run learnt from, or that chose its checkpoint, hold test items of `tested`."""
    from curation.leakage import find_leaks

    folder, (_, test) = project.datasets / trained, frozen_test(project, tested)
    splits = read_manifest(folder).splits
    rows = [row for split in ("train", "validation") if split in splits for row in load_split(folder, split)]
    found = find_leaks(rows, test, settings.dataset.threshold)
    if found.leaked_test:
        raise Refusal(
            f"{run} was trained on {trained}, which holds {found.leaked_test} of the {len(test)} test items "
            f"of {tested}.",
            "rung plan, then rung train: a new run on the newest version",
        )
