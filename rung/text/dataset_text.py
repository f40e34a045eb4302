"""`rung data freeze` in words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.split.card import class_lines
from curation.split.freeze import Frozen
from curation.split.plan import FreezePlan
from rung.status.following import after_freeze_plan, after_sample
from rung.text.power_text import SmallestGain
from workspace.counted import counted
from workspace.files import sha256_file
from workspace.json_types import JsonObject


def frozen_lines(done: Frozen, size: SmallestGain, step: str, drafted: Sequence[str] = ()) -> Iterator[str]:
    """Yield what a freeze did, and the next command, `step`; `drafted` is what the first prompt was drafted from."""
    manifest = done.manifest
    sizes = ", ".join(f"{split.rows:,} {name}" for name, split in manifest.splits.items())
    digest, found = sha256_file(done.folder / "manifest.json")[:8], manifest.review
    state = "was already frozen with the same rows" if done.was_there else "is frozen"
    what = "The test set of " if manifest.test_only else ""
    yield f"{what}{manifest.version} {state}: {sizes}, {digest}."
    yield from failed_lines(found["samples"])
    yield from _left_out([str(entry["reason"]) for entry in manifest.dropped])
    by = f"{found['by_person']:,} by a person, {found['automatic']:,} by an automatic reviewer"
    yield f"{found['reviewed']:,} of {found['rows']:,} rows were decided: {by}"
    if trusted := found["states"].get("trusted", 0):
        yield f"! {counted(trusted, 'row')} trusted without review; the dataset card lists them"
    if kept := manifest.policy.get("test_kept_from"):
        yield f"The test set is the same as in {kept}, byte for byte."
    if other := manifest.policy.get("test_differs_from"):
        yield f"! The test set differs from {other}: measurements on {other} do not count here"
    yield from size.lines()
    yield from _offer(manifest.policy.get("dates", []))
    yield from class_lines(manifest.classes)
    if drafted:
        yield f"prompts/prompt.md was drafted from {' and '.join(drafted)}: change it before rung baseline"
    yield ""
    yield f"Next: {step}      Card: datasets/{manifest.version}/README.md"


def frozen_json(folder: str, done: Frozen, size: SmallestGain) -> JsonObject:
    """Return the document of `rung data freeze --json`."""
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
        "smallest_gain": size.smallest_gain,
        "proposed_test": size.proposal(),
        "dates": manifest.policy.get("dates", []),
    }


def plan_lines(plan: FreezePlan, size: SmallestGain) -> Iterator[str]:
    """Yield what a freeze would write."""
    yield "Would freeze: " + ", ".join(f"{n:,} {name}" for name, n in plan.sizes.items())
    yield from failed_lines(plan.samples)
    yield from _left_out([str(entry["reason"]) for entry in plan.dropped])
    yield from size.lines()
    yield from _offer(plan.dates)
    yield from class_lines(plan.classes or {})
    yield ""
    yield f"Next: {after_freeze_plan(test_only=plan.test_only)}"


def plan_json(plan: FreezePlan, size: SmallestGain) -> JsonObject:
    """Return the document of `rung data freeze --dry-run --json`."""
    return {
        "sizes": plan.sizes,
        "dropped": list(plan.dropped),
        "rule": plan.rule,
        "smallest_gain": size.smallest_gain,
        "proposed_test": size.proposal(),
        "dates": list(plan.dates),
        "samples": list(plan.samples),
    }


def failed_lines(samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each sample that failed: what was found, and the next command."""
    yield from (f"✗ {each['words']} Next: {after_sample(each['role'])}" for each in samples if each.get("words"))


def _offer(dates: Sequence[str]) -> Iterator[str]:
    """Yield a split by time, where rows carry dates."""
    for key in dates[:1]:
        yield f'Rows have dates under "{key}": --split-by {key} tests on the newest rows, as in real use'


def _left_out(reasons: list[str]) -> Iterator[str]:
    if reasons:
        each = Counter(reasons).most_common()
        named = (counted(n, reason) if reason.endswith("duplicate") else f"{n:,} {reason}" for reason, n in each)
        yield f"{counted(len(reasons), 'row')} left out: {', '.join(named)}"
