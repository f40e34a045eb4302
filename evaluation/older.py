"""Older versions of a test set that were scored or seen: a hash that changed makes no item new."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from curation.example import Example
from curation.manifest import Manifest, read_manifest
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project, by_number, oldest_first

FRESH = 0.5
"""A test set is fresh where more than this share of its items was never scored: fewer, and scoring it again after each
few new items would be asking until the answer suits.
"""


@dataclass(frozen=True, slots=True)
class Older:
    """A version's test set, scored before. `same`: it has the items that are there now; rows that a blind re-review
    drew may have gone.
    """

    version: str
    test_sha256: str
    same: bool


def older_tests(
    project: Project, test_sha256: str, scored: Collection[str], drawn: Collection[str]
) -> tuple[Older, ...]:
    """The scored test sets that this one repeats, oldest first; none where most of its items are new.

    `scored` are the SHA-256 of test splits that were scored or seen, `drawn` ids of rows that a blind re-review drew.
    """
    wanted = set(scored) - {test_sha256}
    if not wanted:
        return ()
    tests = _frozen_tests(project)
    own = next((pair for pair in tests if pair[1].splits["test"].sha256 == test_sha256), None)
    earlier = {m.splits["test"].sha256: (f, m) for f, m in reversed(tests) if m.splits["test"].sha256 in wanted}
    if own is None or not earlier:
        return ()
    here = set(questions(*own))
    before = {sha: questions(*pair) for sha, pair in earlier.items()}
    seen = here & {question for each in before.values() for question in each}
    if len(seen) < FRESH * len(here):
        return ()
    repeated = [sha for sha in before if here & before[sha].keys()]
    made = [
        Older(earlier[sha][1].version, sha, here <= before[sha].keys() and _gone(before[sha], here) <= set(drawn))
        for sha in repeated
    ]
    return tuple(sorted(made, key=lambda older: by_number(Path(older.version))))


def _frozen_tests(project: Project) -> list[tuple[Path, Manifest]]:
    """The frozen versions that hold a test set, the oldest first."""
    folders = [path.parent for path in oldest_first(project.datasets.glob("*/manifest.json"))]
    return [(folder, manifest) for folder in folders if "test" in (manifest := read_manifest(folder)).splits]


def new_lines(project: Project, test_sha256: str, measured: Collection[str]) -> frozenset[int] | None:
    """Lines of this test set whose items stand in none of the `measured` ones; None where no manifest names it."""
    tests = {m.splits["test"].sha256: (folder, m) for folder, m in _frozen_tests(project)}
    if test_sha256 not in tests:
        return None
    others = [tests[sha] for sha in measured if sha in tests and sha != test_sha256]
    seen = {question for pair in others for question, _, _ in _items(*pair)}
    return frozenset(line for question, line, _ in _items(*tests[test_sha256]) if question not in seen)


def _gone(before: dict[str, str], here: Collection[str]) -> set[str]:
    """Ids of the rows that are there no more; the question where a row has none."""
    return {name or question for question, name in before.items() if question not in here}


def questions(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Question of each test row, folded, with its id in the store ("" where it has none)."""
    return {question: name for question, _, name in _items(folder, manifest)}


def _items(folder: Path, manifest: Manifest) -> list[tuple[str, int, str]]:
    """Folded question, line and id in the store ("" where it has none) of each test row; none where the file is gone.

    Raises Refusal where it is not the file that was frozen.
    """
    ids = {int(r["line"]): str(r["id"]) for r in manifest.rows if r.get("split") == "test" and r.get("id")}
    entry = manifest.splits["test"]
    path = folder / entry.file
    if not path.is_file():
        return []
    if sha256_file(path) != entry.sha256:
        raise Refusal(
            f"{path}: changed since it was frozen, so what of it stands in a later test set cannot be told.",
            "put the file back as it was frozen",
        )
    rows = [(n, Example(json.loads(line))) for n, line in enumerate(path.read_text("utf-8").split("\n"), 1) if line]
    return [(folded(row.question), n, ids.get(n, "")) for n, row in rows]


def folded(text: str) -> str:
    """NFC, without case, runs of white space as one space: the contract's `exact`."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
