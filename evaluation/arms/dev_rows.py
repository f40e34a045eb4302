"""Rows that arms choose on, and rows that they may show: of the frozen dataset, else reviewed rows of the store.

Never a test row, and none that the leakage check finds against the test set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curation.example import Example
from curation.split.manifest import SplitName, load_split, newest_dataset, read_manifest
from curation.store import Store, StoredRow, open_store, store_exists
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True)
class DevRows:
    """`validation` chooses, `examples` may be shown; `validation_ids` are ids of pool rows in the store, in the
    same order; empty for rows that have their split already.

    `notes` says where they come from, in words for the report.
    """

    validation: tuple[Example, ...] = ()
    examples: tuple[Example, ...] = ()
    validation_ids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def rows_for(project: Project, settings: Settings, folder: Path, test: Sequence[Example]) -> DevRows:
    """Return rows of the newest dataset that holds this very test set and a train split, else of the store."""
    test_sha = read_manifest(folder).splits["test"].sha256
    full = newest_dataset(project, complete=True)
    if full is not None and read_manifest(full).splits["test"].sha256 == test_sha:
        return frozen_rows(full)
    if not store_exists(project, settings):
        return DevRows(notes=("No rows to choose on: one version of each arm was taken, untried.",))
    with open_store(project, settings) as store:
        return stored_rows(store, settings, test)


def frozen_rows(folder: Path) -> DevRows:
    """Validation and train of a frozen dataset."""
    validation = load_split(folder, "validation") if "validation" in read_manifest(folder).splits else []
    train = [row for row in load_split(folder, "train") if row.answer is not None]
    note = (
        f"Chosen on the {len(validation)} validation rows of {folder.name}, examples from its {len(train)} train rows."
    )
    return DevRows(tuple(validation), tuple(train), notes=(note,))


def stored_rows(store: Store, settings: Settings, test: Sequence[Example]) -> DevRows:
    """Reviewed imported rows, cleared against the test set and split as the freeze will split them."""
    from curation.likeness.leaks.find import clean_rows

    found = store.rows(role=["pool", "train", "validation"], origin="import")
    known = [row for row in found if (row.is_reviewed or row.state == "trusted") and row.example.answer is not None]
    kept, _ = clean_rows([row.example for row in known], test)
    usable = [known[index] for index in kept]
    validation, train = _parted(usable, settings)
    if not validation:
        return DevRows(notes=("No reviewed rows to choose on: only base and prompt can be measured.",))
    trusted = sum(row.state == "trusted" for row in usable)
    note = f"Chosen on {len(validation)} reviewed pool rows, examples from {len(train)} others; they become validation."
    told = (f"{trusted} of these rows were trusted by policy, not reviewed.",) if trusted else ()
    return DevRows(
        tuple(row.example for row in validation),
        tuple(row.example for row in train),
        tuple(row.id if row.role == "pool" else "" for row in validation),
        (note, *told),
    )


def mark_choosing(project: Project, settings: Settings, ids: Sequence[str]) -> None:
    """Pin the pool rows that chose to validation, where the next freeze will leave them."""
    wanted = [name for name in ids if name]
    if wanted:
        with open_store(project, settings) as store:
            unmarked = [row.id for row in store.rows(ids=wanted) if row.mark != "validation"]
            if unmarked:
                store.mark(unmarked, "validation")


def _parted(rows: Sequence[StoredRow], settings: Settings) -> tuple[list[StoredRow], list[StoredRow]]:
    """Validation and train as a freeze would part the pool; rows that came with a split, or a mark, keep it."""
    from curation.split.split import planned

    share = settings.dataset.validation
    fixed: dict[int, SplitName] = {
        i: "validation" if "validation" in (row.mark, row.role) else "train"
        for i, row in enumerate(rows)
        if row.mark or row.role != "pool"
    }
    shares: dict[SplitName, float] = {"train": 1 - share, "validation": share}
    plan = planned([row.example for row in rows], settings.dataset, shares, fixed)
    return [rows[i] for i in plan.rows("validation")], [rows[i] for i in plan.rows("train")]
