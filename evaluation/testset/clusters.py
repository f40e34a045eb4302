"""Clusters of test items: one conversation, or one `[dataset] group_by` key, for the verdict's interval."""

from collections.abc import Sequence
from pathlib import Path

from curation.split.manifest import SplitName, load_split, read_manifest
from curation.split.split import group_key


def clusters_of(
    dataset: Path, group_by: str, lines: Sequence[int], split: SplitName = "test"
) -> tuple[str, ...] | None:
    """Return the group of each item, by the line of its row in the split, or None if no two items share one.

    The key that the dataset was frozen by counts; `group_by` only where it was frozen by none, so that a key which is
    taken out of rung.toml later narrows no interval. The items of a row without the key are a group of their own.
    """
    if (dataset / "manifest.json").is_file():
        group_by = read_manifest(dataset).policy.get("group_by") or group_by
    if not group_by and len(set(lines)) == len(lines):
        return None
    keys = [group_key(row, group_by) for row in load_split(dataset, split)]
    found = tuple(keys[line - 1] or f"item {line}" for line in lines)
    return found if len(set(found)) < len(found) else None
