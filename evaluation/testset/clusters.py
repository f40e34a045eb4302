"""Test items that hang together: those of one `[dataset] group_by` key count together in the verdict's interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from curation.split.manifest import SplitName, load_split, read_manifest
from curation.split.split import group_key


def clusters_of(
    dataset: Path, group_by: str, items: Sequence[int], split: SplitName = "test"
) -> tuple[str, ...] | None:
    """The group of each item (its line in the split), or None where no two items share one.

    The key that the dataset was frozen by counts; `group_by` only where it was frozen by none, so that a key which is
    taken out of rung.toml later narrows no interval. An item without the key is a group of its own.
    """
    if (dataset / "manifest.json").is_file():
        group_by = read_manifest(dataset).policy.get("group_by") or group_by
    if not group_by:
        return None
    keys = [group_key(row, group_by) for row in load_split(dataset, split)]
    found = tuple(keys[item - 1] or f"item {item}" for item in items)
    return found if len(set(found)) < len(found) else None
