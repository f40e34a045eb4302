"""`rung data freeze` and `rung data diff` in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.freeze import Difference, FreezePlan, Frozen

SMALL_TEST = 100
MOST = 10


def frozen_lines(done: Frozen, margin: float) -> Iterator[str]:
    """A version that is frozen now, or was before."""
    manifest = done.manifest
    sizes = ", ".join(f"{split.rows:,} {name}" for name, split in manifest.splits.items())
    digest = manifest.splits["test"].sha256[:8] if manifest.test_only else _digest(done)
    state = "is frozen already, with these very rows" if done.was_there else "is frozen"
    what = "The test set of " if manifest.test_only else ""
    yield f"{what}{manifest.version} {state}: {sizes}, {digest}."
    yield from _left_out([str(entry["reason"]) for entry in manifest.dropped])
    found = manifest.review
    by = f"{found['by_person']:,} by a person, {found['automatic']:,} by an automatic reviewer"
    yield f"{found['reviewed']:,} of {found['rows']:,} rows were decided: {by}"
    if trusted := found["states"].get("trusted", 0):
        yield f"! {trusted:,} rows are trusted without review, and the card says so"
    if kept := manifest.policy.get("test_kept_from"):
        yield f"The test set is that of {kept}, byte for byte."
    if other := manifest.policy.get("test_differs_from"):
        yield f"! The test set is not that of {other}: what was measured on {other} does not count here"
    yield from _test_size(manifest.splits["test"].rows if "test" in manifest.splits else 0, margin)
    if manifest.classes:
        name, least = min(manifest.classes.items(), key=lambda entry: entry[1])
        yield f"{len(manifest.classes):,} classes in train; the smallest, {name[:40]!r}, has {least:,} rows"
    yield ""
    step = "rung baseline" if manifest.test_only else "rung plan"
    yield f"Next: {step}      Card: datasets/{manifest.version}/README.md"


def frozen_json(folder: str, done: Frozen, margin: float) -> dict[str, Any]:
    """The document of `rung data freeze --json`."""
    manifest = done.manifest
    return {
        "version": manifest.version,
        "folder": folder,
        "was_there": done.was_there,
        "test_only": manifest.test_only,
        "splits": {name: split.model_dump() for name, split in manifest.splits.items()},
        "dropped": dict(Counter(str(entry["reason"]) for entry in manifest.dropped)),
        "review": manifest.review,
        "leakage": manifest.leakage,
        "classes": manifest.classes,
        "smallest_gain": smallest_gain(manifest.splits["test"].rows if "test" in manifest.splits else 0, margin),
    }


def plan_lines(plan: FreezePlan, margin: float) -> Iterator[str]:
    """What would be frozen."""
    yield "Would be frozen: " + ", ".join(f"{n:,} {name}" for name, n in plan.sizes.items())
    yield from _left_out([str(entry["reason"]) for entry in plan.dropped])
    yield from _test_size(plan.sizes.get("test", 0), margin)
    yield ""
    yield f"Next: rung data freeze{' --test-only' if plan.test_only else ''}"


def difference_lines(found: Difference) -> Iterator[str]:
    """Sizes, then the rows."""
    for name, (before, after) in found.sizes.items():
        yield f"{name:<12}{before:>8,} -> {after:>8,}"
    yield (
        "The test set is the same, byte for byte."
        if found.same_test
        else ("! The test set differs: scores on the two versions cannot be compared.")
    )
    moved = [f"{name} ({old} to {new})" for name, old, new in found.moved]
    for what, rows in (
        ("added", found.added),
        ("removed", found.removed),
        ("moved", moved),
        ("changed", found.changed),
    ):
        if rows:
            more = f" and {len(rows) - MOST:,} more (--json)" if len(rows) > MOST else ""
            yield f"{len(rows):,} {what}: {', '.join(rows[:MOST])}{more}"
    yield ""
    yield "Next: rung baseline" if not found.same_test else "Next: rung plan"


def smallest_gain(n: int, margin: float) -> float | None:
    """The true gain that would ship on n items with 80% chance, if two arms differ on a fifth of them."""
    from evaluation.compare import minimum_detectable

    return minimum_detectable(n, 0.0, margin, discordant=DISCORDANT) if n else None


DISCORDANT = 0.2
"""Share of items on which two arms differ, taken for the estimate before anything is measured."""


def _test_size(n: int, margin: float) -> Iterator[str]:
    if not n:
        return
    gain = smallest_gain(n, margin)
    shown = f"a gain of about {100 * gain:.0f} points" if gain is not None else "no gain at all"
    yield f"{n:,} test items can show {shown} over the margin of {100 * margin:g}, if two arms differ on 20% of them"
    if n < SMALL_TEST:
        yield f"! Under {SMALL_TEST} test items: only large differences can be shown"


def _left_out(reasons: list[str]) -> Iterator[str]:
    if reasons:
        counted = Counter(reasons).most_common()
        yield f"{len(reasons):,} rows left out: " + ", ".join(f"{n:,} {reason}" for reason, n in counted)


def _digest(done: Frozen) -> str:
    from workspace.files import sha256_file

    return sha256_file(done.folder / "manifest.json")[:8]
