"""What one frozen version has that another has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curation.manifest import load_split, read_manifest


@dataclass(frozen=True, slots=True)
class Difference:
    """Row ids: those only in one version, those that changed their split (`[id, from, to]`) or their text."""

    old: str
    new: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[tuple[str, str, str], ...]
    changed: tuple[str, ...]
    same_test: bool
    sizes: Mapping[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        """The document of `rung data diff --json`."""
        return asdict(self)


def difference(old: Path, new: Path) -> Difference:
    """Compare two frozen versions row by row. Raises Refusal where a file is not as it was frozen."""
    before, after = _rows(old), _rows(new)
    first, second = read_manifest(old), read_manifest(new)
    both = [name for name in after if name in before]
    names = dict.fromkeys((*first.splits, *second.splits))
    sizes = {n: tuple(m.splits[n].rows if n in m.splits else 0 for m in (first, second)) for n in names}
    tests = [manifest.splits["test"].sha256 if "test" in manifest.splits else "" for manifest in (first, second)]
    return Difference(
        old=old.name,
        new=new.name,
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        moved=tuple((name, before[name][0], after[name][0]) for name in both if before[name][0] != after[name][0]),
        changed=tuple(name for name in both if before[name][1] != after[name][1]),
        same_test=tests[0] == tests[1],
        sizes={name: (pair[0], pair[1]) for name, pair in sizes.items()},
    )


def _rows(folder: Path) -> dict[str, tuple[str, str]]:
    """Split and content hash of each row by its id."""
    manifest = read_manifest(folder)
    texts = {split: load_split(folder, split) for split in manifest.splits}
    return {
        str(row["id"]): (str(row["split"]), texts[row["split"]][int(row["line"]) - 1].content_hash)
        for row in manifest.rows
    }
