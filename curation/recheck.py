"""Gates computed again: what the review log and the frozen files say now, whatever a manifest claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.agreement import ENOUGH, Agreement
from curation.fixes import dismissals
from curation.manifest import Manifest, load_split, read_manifest
from curation.review.progress import SampleProgress, agreement, sample_progress
from curation.review.queue import refresh_queue
from curation.store import Store, StoredRow, open_store
from workspace.folder import Project
from workspace.settings import ReviewSettings, Settings

if TYPE_CHECKING:
    from curation.leakage import Leak

OWN = ("pool", "train", "validation", "test")
SHOWN = 3
STRICT = ("", "trust", "sample", "all")
"""Review policies, each stricter than the one before; one that is not known counts as the strictest."""


@dataclass(frozen=True, slots=True)
class Recheck:
    """A gate's answer: `fact` in a line, `why` it is closed, `opener` the command; `evidence` the same each time."""

    passed: bool
    fact: str
    why: str = ""
    opener: str = ""
    evidence: Mapping[str, str | int | float] = field(default_factory=dict)


def recheck_review(project: Project, settings: Settings, folder: Path, store: Store | None = None) -> Recheck:
    """Whether every frozen row is still what was reviewed, and was reviewed as the policy demands.

    Raises Refusal where a frozen file is not as it was frozen.
    """
    if store is None:
        with open_store(project, settings) as opened:
            return recheck_review(project, settings, folder, opened)
    refresh_queue(store, settings)
    manifest = read_manifest(folder)
    stored = {row.id: row for row in store.rows(excluded=None)}
    rows = [stored[str(entry["id"])] for entry in manifest.rows if str(entry["id"]) in stored]
    pool = max(str(manifest.policy.get("pool", "")), settings.review.pool, key=_strictness)
    faults = [*_differ(folder, manifest, stored), *_undecided(rows, manifest, settings, pool)]
    samples = [sample for sample in sample_progress(store) if settings.review.pool == "sample"]
    faults += _sample_faults(samples, {row.role for row in rows})
    agreed = agreement(store)
    faults += agreement_faults(agreed, settings.review)
    fact = _fact(rows, samples, agreed, settings)
    evidence = _evidence(rows, manifest) | _bounds(agreed, settings.review)
    if not faults:
        return Recheck(True, fact, evidence=evidence)
    text = "; ".join(faults[:SHOWN]) + (f"; and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else "")
    return Recheck(False, fact, text, _opener(faults), evidence)


def recheck_leakage(project: Project, settings: Settings, folder: Path, store: Store | None = None) -> Recheck:
    """Whether nothing of test stands in train or validation, and nothing of validation in train.

    Leaks that a person dismissed, with a reason, are counted and let pass. Raises Refusal for a changed file.
    """
    if store is None:
        with open_store(project, settings) as opened:
            return recheck_leakage(project, settings, folder, opened)
    from curation.leakage import find_leaks

    manifest = read_manifest(folder)
    names = ("train", "validation", "test")
    train, validation, test = (load_split(folder, name) if name in manifest.splits else [] for name in names)
    ids = {name: [str(row["id"]) for row in manifest.rows if row["split"] == name] for name in names}
    into_test = find_leaks([*train, *validation], test).leaks if test else []
    into_validation = find_leaks(train, validation).leaks if validation else []
    settled = frozenset().union(*dismissals(store).get("leaks", ()))
    learnt = ids["train"] + ids["validation"]
    left = [_named(leak, learnt, ids["test"]) for leak in into_test if learnt[leak.train] not in settled]
    also = [_named(leak, learnt, ids["validation"]) for leak in into_validation if learnt[leak.train] not in settled]
    dismissed = len(into_test) + len(into_validation) - len(left) - len(also)
    evidence: dict[str, str | int | float] = {"test": len(left), "validation": len(also), "dismissed": dismissed}
    if left or also:
        fact = f"{len(left)} leaks into test, {len(also)} into validation"
        shown = "; ".join((left + also)[:SHOWN])
        return Recheck(False, fact, shown, "rung data fix leaks, then rung data freeze", evidence)
    said = f", {dismissed} dismissed by name" if dismissed else ""
    return Recheck(True, f"0 leaks between the splits{said}", evidence=evidence)


def review_facts(store: Store, settings: Settings, rows: Sequence[StoredRow]) -> dict[str, Any]:
    """What a manifest and a dataset card say of the review of these rows."""
    reviewed = [row for row in rows if row.is_reviewed]
    measured = agreement(store)
    return {
        "rows": len(rows),
        "states": dict(sorted(Counter(row.state for row in rows).items())),
        "reviewed": len(reviewed),
        "by_person": sum(not row.automatic for row in reviewed),
        "automatic": sum(row.automatic for row in reviewed),
        "reviewers": dict(sorted(Counter(row.reviewer for row in reviewed).items())),
        "generated": sum(row.origin == "generated" for row in rows),
        "samples": [_sample_json(sample) for sample in sample_progress(store)],
        "agreement": asdict(measured) if measured.units else None,
        "policy": settings.review.pool,
    }


def _sample_json(sample: SampleProgress) -> dict[str, Any]:
    return {
        "plan": sample.plan.id,
        "role": sample.plan.role,
        "seed": sample.plan.seed,
        "population": sample.plan.population,
        "size": sample.rows,
        "allowed": sample.plan.allowed,
        "faults": sample.faults,
        "finished": sample.finished,
        "passed": sample.passed,
        "bound": sample.bound,
    }


def _differ(folder: Path, manifest: Manifest, stored: Mapping[str, StoredRow]) -> list[str]:
    """Frozen rows that the store does not know, took out, or holds with another text."""
    faults = []
    listed = Counter(str(row["split"]) for row in manifest.rows)
    for split in manifest.splits:
        lines = load_split(folder, split)
        if len(lines) != listed[split]:
            faults.append(f"{split} has {len(lines)} rows, the manifest tells the origin of {listed[split]}")
            continue
        for entry in manifest.rows:
            if entry["split"] != split:
                continue
            row = stored.get(str(entry["id"]))
            if row is None:
                faults.append(f"{entry['id']} is not in this project's store")
            elif row.excluded is not None:
                faults.append(f"{row.id} was taken out since: {row.excluded}")
            elif row.example.content_hash != lines[int(entry["line"]) - 1].content_hash:
                faults.append(f"{row.id} is not what was frozen")
    return faults


def _undecided(rows: Sequence[StoredRow], manifest: Manifest, settings: Settings, pool: str) -> list[str]:
    """Rows without the decision that the policy demands; `pool` is that of the freeze or today's, the stricter."""
    split_of = {str(row["id"]): str(row["split"]) for row in manifest.rows}
    faults = []
    for row in rows:
        if row.state == "rejected":
            faults.append(f"{row.id} was rejected by {row.reviewer}")
        elif row.origin == "generated" and split_of[row.id] != "train" and not settings.review.generated_in_test:
            faults.append(f"{row.id} is generated and stands in {split_of[row.id]}")
        elif not row.is_reviewed and _must_be_reviewed(row, pool):
            faults.append(f"{row.id} has no decision ({row.state})")
    return faults


def _strictness(pool: str) -> int:
    return STRICT.index(pool) if pool in STRICT else len(STRICT)


def _must_be_reviewed(row: StoredRow, pool: str) -> bool:
    own = row.origin == "import" and row.role in OWN
    return not own or pool == "all" or row.state not in ("trusted", "unreviewed")


def _sample_faults(samples: Sequence[SampleProgress], roles: set[str]) -> list[str]:
    """Roles whose newest sampling plan is unfinished, or found more faults than it allows."""
    newest = {sample.plan.role: sample for sample in samples if sample.plan.role in roles}
    faults = []
    for role, sample in newest.items():
        if not sample.finished:
            faults.append(f"the sample of {role} is not finished ({sample.decided} of {sample.rows})")
        elif not sample.passed:
            bound = f", up to {sample.bound:.1%} of the rest may be" if sample.bound is not None else ""
            faults.append(
                f"{sample.found} of {sample.rows} sampled {role} rows were faulty, {sample.plan.allowed} allowed{bound}"
            )
    return faults


def agreement_faults(agreed: Agreement, policy: ReviewSettings) -> list[str]:
    """Where the lower bounds that the policy asks for are not reached, or are unknown: unknown is not passed."""
    faults = []
    for wanted, value, low, name in (
        (policy.agreement_at_least, agreed.raw, agreed.raw_low, "agreement"),
        (policy.rejects_at_least, agreed.rejects, agreed.rejects_low, "agreement on rejects"),
    ):
        if wanted is None:
            continue
        if low is None:
            few = f"{agreed.units} rows were decided by two people, {ENOUGH} are needed"
            none = "no row decided by two people was rejected by either"
            faults.append(f"{name} is unknown: {few if agreed.units < ENOUGH else none}")
        elif low < wanted:
            faults.append(f"{name} is {value:.1%}, at least {low:.1%} with 95% confidence; {wanted:.1%} is asked for")
    return faults


def _bounds(agreed: Agreement, policy: ReviewSettings) -> dict[str, str | int | float]:
    """What the bounds were, where the policy asks for them."""
    found: dict[str, str | int | float] = {}
    if policy.agreement_at_least is not None:
        found["agreement_low"] = "unknown" if agreed.raw_low is None else round(agreed.raw_low, 6)
    if policy.rejects_at_least is not None:
        found["rejects_low"] = "unknown" if agreed.rejects_low is None else round(agreed.rejects_low, 6)
    return found


def _opener(faults: Sequence[str]) -> str:
    if any("were faulty" in fault for fault in faults):
        return 'rung review sample   (a new sample), or [review] pool = "all"'
    if any("not what was frozen" in fault or "taken out" in fault or "rejected" in fault for fault in faults):
        return "rung data freeze"
    if all(fault.startswith("agreement") for fault in faults):
        return "rung review   (rows that two people see: [review] overlap)"
    return "rung review"


def _fact(rows: Sequence[StoredRow], samples: Sequence[SampleProgress], agreed: Agreement, settings: Settings) -> str:
    reviewed = [row for row in rows if row.is_reviewed]
    automatic = sum(row.automatic for row in reviewed)
    parts = [f"{len(reviewed):,} of {len(rows):,} decided"]
    roles = {row.role for row in rows}
    for sample in samples:
        if sample.plan.role in roles and sample.bound is not None and sample.rows < sample.plan.population:
            parts.append(
                f"{sample.plan.role} sample {sample.found} faults in {sample.rows}, rest under {sample.bound:.1%}"
            )
    if settings.review.pool == "trust":
        parts.append(f"{sum(row.state == 'trusted' for row in rows):,} trusted without review")
    if agreed.value is not None:
        interval = f" (95%: {agreed.low:.2f} to {agreed.high:.2f})" if agreed.low is not None else ""
        parts.append(f"{agreed.measure} {agreed.value:.2f}{interval}")
    if automatic:
        parts.append(f"{automatic:,} by an automatic reviewer, {len(reviewed) - automatic:,} by a person")
    return ", ".join(parts)


def _evidence(rows: Sequence[StoredRow], manifest: Manifest) -> dict[str, str | int | float]:
    reviewed = [row for row in rows if row.is_reviewed]
    return {
        "dataset": manifest.version,
        "rows": len(manifest.rows),
        "reviewed": len(reviewed),
        "automatic": sum(row.automatic for row in reviewed),
        "person": sum(not row.automatic for row in reviewed),
    }


def _named(leak: Leak, train: Sequence[str], test: Sequence[str]) -> str:
    return f"{train[leak.train]} and {test[leak.test]} ({leak.kind}, {leak.score:.2f})"
