"""Correcting test labels after somebody saw results: only by a blind review of a random sample, or of all items.

Whoever corrects only the items that a model got wrong makes that model look better. So after a test set was scored or
read, its labels may change only among rows that were drawn here; a baseline on others' corrections is refused.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from curation.split.manifest import load_split, newest_dataset, read_manifest
from curation.store import Store, open_store, store_exists
from evaluation.testset.looks import LOOKED, RECHECKED, SCORED, folded, stored_ids
from workspace.errors import Refusal, RungError
from workspace.folder import Project, by_number, oldest_first
from workspace.settings import Settings

FEWEST = 20
"""Rows that a sample has at least: one at a time would be picking."""


@dataclass(frozen=True, slots=True)
class Relabelling:
    """Rows that wait for their second review, of how many test rows, and the queue change that undo takes back."""

    rows: int
    of: int
    change: int


def recheck_labels(project: Project, settings: Settings, wanted: str) -> Relabelling:
    """Queue a random sample of the newest test set's rows, or `all`, for another review.

    Raises RungError for a number that is none or too small, Refusal where the rows are not in the store.
    """
    folder = newest_dataset(project)
    if folder is None or "test" not in read_manifest(folder).splits:
        raise Refusal("No test set is frozen yet.", "rung data freeze --test-only")
    ids = list(stored_ids(read_manifest(folder)).values())
    if not ids or not store_exists(project, settings):
        raise Refusal(f"The test rows of {folder.name} are not in the store.", "rung data import FILE --as test")
    test_sha = read_manifest(folder).splits["test"].sha256
    with open_store(project, settings) as store:
        before = len(store.events(kind=RECHECKED, ref=test_sha))
        drawn = random.Random(f"{test_sha}{before}").sample(sorted(ids), _count(wanted, len(ids)))
        change = store.queue(drawn, "test labels, a second time", "reopened", actor=settings.project.person)
        store.event(RECHECKED, settings.project.person, test_sha, {"rows": sorted(drawn), "of": len(ids)})
    return Relabelling(len(drawn), len(ids), change)


def _count(wanted: str, there: int) -> int:
    if wanted == "all":
        return there
    if not wanted.isdecimal() or int(wanted) < min(FEWEST, there):
        raise RungError(
            f'--recheck "{wanted}": a number of random rows, {min(FEWEST, there)} at least, or all.',
            expected=f"{min(FEWEST, there)} to {there}, or all",
            found=wanted,
        )
    return min(int(wanted), there)


def check_corrections(project: Project, settings: Settings, folder: Path) -> None:
    """Raise Refusal if test labels differ from those of a scored or seen version, in rows no blind re-review drew."""
    if not store_exists(project, settings):
        return
    labels = _labels(folder)
    with open_store(project, settings) as store:
        drawn = {row for event in store.events(kind=RECHECKED) for row in event.detail["rows"]}
        for older in oldest_first(project.datasets.glob("*/manifest.json")):
            if by_number(older.parent) >= by_number(folder) or "test" not in read_manifest(older.parent).splits:
                continue
            changed = _changed(store, older.parent, labels, drawn)
            if changed:
                raise Refusal(
                    f"{len(changed)} test labels ({', '.join(changed[:3])}) were corrected after the test set of "
                    f"{older.parent.name} was scored or seen, outside of a blind review of a random sample or of all.",
                    "rung evaluate --recheck all",
                )


def _changed(store: Store, older: Path, labels: dict[str, str | None], drawn: Collection[str]) -> list[str]:
    """Return rows of an older, scored test set whose label is another now, also where the row was imported again."""
    events = store.events(ref=read_manifest(older).splits["test"].sha256)
    if not any(event.kind in (SCORED, LOOKED) for event in events):
        return []
    ids = stored_ids(read_manifest(older))
    found = []
    for line, row in enumerate(load_split(older, "test"), 1):
        name, question = ids.get(line, ""), folded(row.question)
        now = labels[name] if name in labels else labels.get(question, row.answer)
        if now != row.answer and name not in drawn:
            found.append(name or f"line {line}")
    return sorted(found)


def _labels(folder: Path) -> dict[str, str | None]:
    """Return answers of the test rows, by id in the store and by question."""
    ids, rows = stored_ids(read_manifest(folder)), load_split(folder, "test")
    named = {ids[line]: row.answer for line, row in enumerate(rows, 1) if line in ids}
    return {**{folded(row.question): row.answer for row in rows}, **named}
