"""Gates computed again: what the review log and the frozen files say now, whatever a manifest claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from curation.checks.dismissals import dismissals, settled_pairs
from curation.likeness.leaks.find import Leak, find_leaks
from curation.review.agreement import ENOUGH, Agreement
from curation.review.progress import SampleProgress, agreement, sample_progress
from curation.review.queue import refresh_queue
from curation.review.ruling import outcomes
from curation.split.manifest import Manifest, ReviewFacts, SampleFacts, load_split, read_manifest
from curation.store import Store, StoredRow, row_id
from curation.store.records import POLICY_ROLES
from workspace.folder import Project
from workspace.settings import ReviewSettings, Settings, load_settings

SHOWN = 3


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """A gate's answer: `fact` in a line, `why` it is closed, `opener` the command; `evidence` the same each time."""

    passed: bool
    fact: str
    why: str = ""
    opener: str = ""
    evidence: Mapping[str, str | int | float] = field(default_factory=dict)


def recheck_review(project: Project, settings: Settings, folder: Path, store: Store) -> GateAnswer:
    """Check that every frozen row is still what was reviewed, and was reviewed as the policy demands.

    The policy is `reviewed_under`. Raises Refusal if a frozen file is not as it was frozen.
    """
    refresh_queue(store, settings)
    manifest = read_manifest(folder)
    policy = reviewed_under(manifest, project, settings)
    stored, states = _stored(store, policy)
    rows = [stored[str(entry["id"])] for entry in manifest.rows if str(entry["id"]) in stored]
    every = sample_progress(store, policy, states=states)
    drawn = manifest.review.get("samples", []) if manifest.policy.get("pool") == "sample" else []
    mine = {row.plan for row in rows} | {sample["plan"] for sample in drawn}
    samples = [sample for sample in every if sample.plan.id in mine and policy.pool == "sample"]
    faults = [*_differ(folder, manifest, stored), *_undecided(rows, manifest, policy)]
    faults += [fault for sample in samples for fault in _sample_faults(sample, policy)]
    there = {sample.plan.id: set(sample.drawn) for sample in every}
    faults += [
        f"the sample of {sample['role']} at the freeze is not in this project's store"
        for sample in drawn
        if sample["plan"] not in there or set(sample.get("rows", ())) - there[sample["plan"]]
    ]
    agreed = agreement(store)
    disagreed, bounds = _agreement_faults(agreed, policy)
    faults += disagreed
    fact = _fact(rows, samples, agreed, policy)
    reviewed = [row for row in rows if row.is_reviewed]
    evidence = {
        "dataset": manifest.version,
        "rows": len(manifest.rows),
        "reviewed": len(reviewed),
        "automatic": sum(row.automatic for row in reviewed),
        "person": sum(not row.automatic for row in reviewed),
        **bounds,
    }
    if not faults:
        return GateAnswer(True, fact, evidence=evidence)
    text = "; ".join(faults[:SHOWN]) + (f"; and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else "")
    failed = next((sample for sample in samples if sample.failed), None)
    return GateAnswer(False, fact, text, _opener(faults, failed), evidence)


def reviewed_under(manifest: Manifest, project: Project, settings: Settings) -> ReviewSettings:
    """Return the policy that the review of a frozen dataset is held to: of each setting the strictest.

    That of the freeze, as the manifest has it, holds. What rung.toml or the environment says today counts only where
    it is stricter; a default that nobody wrote down does not. For what an older manifest does not say the strictest
    reading counts, or today's.
    """
    frozen = {"pool": "all", "generated_in_test": False, "accept_automatic": False} | manifest.policy
    today = [settings.review, load_settings(project.settings_file, {}).review]
    said: list[Mapping[str, Any]] = [frozen, *(each.model_dump(include=each.model_fields_set) for each in today)]

    terms = settings.review.model_dump()
    for name, strictest in STRICTEST.items():
        if given := [each[name] for each in said if each.get(name) is not None]:
            terms[name] = strictest(given)
    return ReviewSettings.model_validate(terms)


def _strictest_pool(given: Collection[str]) -> str:
    """Return the strictest of the policies; an unknown one counts as the strictest."""
    if any(each not in ("sample", "trust") for each in given):
        return "all"
    return "sample" if "sample" in given else "trust"


STRICTEST: Mapping[str, Callable[[list[Any]], Any]] = {
    "pool": _strictest_pool, "sample": max, "allowed_faults": min, "accept_automatic": all, "generated_in_test": all,
    "second_edit": any, "agreement_at_least": max, "rejects_at_least": max,
}  # fmt: skip


def _stored(store: Store, policy: ReviewSettings) -> tuple[dict[str, StoredRow], Mapping[int, str]]:
    """Return all rows by id, and by number the states that differ from the stored ones.

    Stored states are a copy, by the settings of the last command: each is settled again from the log under this policy;
    nothing is written.
    """
    rows = {row.id: row for row in store.rows(excluded=None)}
    with store.read() as connection:
        found = outcomes(connection, policy)
    states = {}
    for number, outcome in found.items():
        row = rows[row_id(number)]
        if (outcome.state, outcome.payload) == (row.state, row.payload):
            continue
        rows[row.id] = replace(
            row,
            state=outcome.state,  # type: ignore[arg-type]  # a state, as the store holds it
            payload=outcome.payload,
            decision=outcome.decision,
            automatic=row.automatic and policy.accept_automatic,
        )
        states[number] = outcome.state
    return rows, states


def recheck_leakage(project: Project, settings: Settings, folder: Path, store: Store) -> GateAnswer:
    """Check that nothing of test is in train or validation, and nothing of validation in train.

    Pairs that a person dismissed, with a reason, are counted and let pass. Raises Refusal for a changed file.
    """
    manifest = read_manifest(folder)
    names = ("train", "validation", "test")
    train, validation, test = (load_split(folder, name) if name in manifest.splits else [] for name in names)
    ids = {name: [str(row["id"]) for row in manifest.rows if row["split"] == name] for name in names}
    into_test = find_leaks([*train, *validation], test).leaks if test else []
    into_validation = find_leaks(train, validation).leaks if validation else []
    settled = settled_pairs(dismissals(store).get("leaks", ()))
    learnt = ids["train"] + ids["validation"]

    def open_(leaks: Sequence[Leak], held: Sequence[str]) -> list[str]:
        pairs = ((learnt[leak.train], held[leak.test], leak) for leak in leaks)
        return [f"{a} and {b} ({leak.kind}, {leak.score:.2f})" for a, b, leak in pairs if not settled(a, b)]

    left, also = open_(into_test, ids["test"]), open_(into_validation, ids["validation"])
    dismissed = len(into_test) + len(into_validation) - len(left) - len(also)
    evidence: dict[str, str | int | float] = {"test": len(left), "validation": len(also), "dismissed": dismissed}
    if left or also:
        fact = f"{len(left)} leaks into test, {len(also)} into validation"
        shown = "; ".join((left + also)[:SHOWN])
        return GateAnswer(False, fact, shown, "rung data fix leaks, then rung data freeze", evidence)
    said = f", {dismissed} dismissed by name" if dismissed else ""
    return GateAnswer(True, f"0 leaks between the splits{said}", evidence=evidence)


def review_facts(store: Store, settings: Settings, rows: Sequence[StoredRow]) -> ReviewFacts:
    """Return what a manifest and a dataset card say of the review of these rows."""
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
        "samples": samples_of(store, settings, rows),
        "agreement": asdict(measured) if measured.units else None,
        "policy": settings.review.pool,
    }


def samples_of(store: Store, settings: Settings, rows: Sequence[StoredRow]) -> list[SampleFacts]:
    """Return the samples that speak for these rows as a manifest holds them, with the ids of the drawn rows."""
    mine = {row.plan for row in rows}
    found = sample_progress(store, settings.review)
    return [_sample_json(sample) for sample in found if sample.plan.id in mine]


def _sample_json(sample: SampleProgress) -> SampleFacts:
    return {
        "plan": sample.plan.id,
        "role": sample.plan.role,
        "seed": sample.plan.seed,
        "population": sample.plan.population,
        "size": sample.rows,
        "allowed": sample.plan.allowed,
        "decided": sample.decided,
        "found": sample.found,
        "faults": sample.faults,
        "finished": sample.finished,
        "passed": sample.passed,
        "failed": sample.failed,
        "bound": sample.bound,
        "words": sample.words(),
        "rows": list(sample.drawn),
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


def _undecided(rows: Sequence[StoredRow], manifest: Manifest, policy: ReviewSettings) -> list[str]:
    """Return rows without the decision that the policy demands."""
    split_of = {str(row["id"]): str(row["split"]) for row in manifest.rows}
    faults = []
    for row in rows:
        if row.state == "rejected":
            faults.append(f"{row.id} was rejected by {row.reviewer}")
        elif row.origin == "generated" and split_of[row.id] != "train" and not policy.generated_in_test:
            faults.append(f"{row.id} is generated and is in {split_of[row.id]}")
        elif row.is_reviewed and row.automatic and not policy.accept_automatic:
            faults.append(f"{row.id} was decided by a program alone ({row.reviewer})")
        elif not row.is_reviewed and _must_be_reviewed(row, policy.pool):
            faults.append(f"{row.id} has no decision ({row.state})")
    return faults


def _must_be_reviewed(row: StoredRow, pool: str) -> bool:
    """True if a row without a decision lacks one: own rows do not where a sample speaks for them, or trust."""
    if row.origin != "import" or row.role not in POLICY_ROLES or row.state not in ("trusted", "unreviewed"):
        return True
    return pool not in ("trust", "sample") or (pool == "sample" and row.plan is None)


def _sample_faults(sample: SampleProgress, policy: ReviewSettings) -> Iterator[str]:
    """Yield why a sample does not speak for its rows: unfinished, failed, or smaller than the policy asks for."""
    if fault := sample.fault():
        yield fault
    elif sample.left and sample.rows < min(policy.sample, sample.plan.population):
        yield f"the sample of {sample.plan.role} has {sample.rows} rows, {policy.sample} are asked for"


def _agreement_faults(agreed: Agreement, policy: ReviewSettings) -> tuple[list[str], dict[str, str | float]]:
    """Return the lower bounds that the policy asks for and are not reached, or are unknown, which does not pass; and
    all that it asks for, as evidence.
    """
    faults, bounds = [], dict[str, str | float]()
    for key, wanted, value, low, name in (
        ("agreement_low", policy.agreement_at_least, agreed.raw, agreed.raw_low, "agreement"),
        ("rejects_low", policy.rejects_at_least, agreed.rejects, agreed.rejects_low, "agreement on rejects"),
    ):
        if wanted is None:
            continue
        bounds[key] = "unknown" if low is None else round(low, 6)
        if low is None:
            few = f"{agreed.units} rows were decided by two people, {ENOUGH} are needed"
            none = "no row decided by two people was rejected by either"
            faults.append(f"{name} is unknown: {few if agreed.units < ENOUGH else none}")
        elif low < wanted:
            faults.append(f"{name} is {value:.1%}, at least {low:.1%} with 95% confidence; {wanted:.1%} is asked for")
    return faults, bounds


def _opener(faults: Sequence[str], failed: SampleProgress | None) -> str:
    role = f" --as {failed.plan.role}" if failed and failed.plan.role != "pool" else ""
    if failed or any("are asked for" in fault or "at the freeze is not" in fault for fault in faults):
        return f'rung review sample{role}   (a new sample), or [review] pool = "all"'
    if any("not what was frozen" in fault or "taken out" in fault or "rejected" in fault for fault in faults):
        return "rung data freeze"
    if all(fault.startswith("agreement") for fault in faults):
        return "rung review   (rows that two people see: [review] overlap)"
    return "rung review"


def _fact(
    rows: Sequence[StoredRow], samples: Sequence[SampleProgress], agreed: Agreement, policy: ReviewSettings
) -> str:
    reviewed = [row for row in rows if row.is_reviewed]
    automatic = sum(row.automatic for row in reviewed)
    parts = [f"{len(reviewed):,} of {len(rows):,} decided"]
    for sample in samples:
        if sample.bound is not None and sample.left:
            parts.append(
                f"{sample.plan.role} sample {sample.found} faults in {sample.rows}, rest under {sample.bound:.1%}"
            )
    if policy.pool == "trust":
        parts.append(f"{sum(row.state == 'trusted' for row in rows):,} trusted without review")
    if agreed.value is not None:
        interval = f" (95%: {agreed.low:.2f} to {agreed.high:.2f})" if agreed.low is not None else ""
        parts.append(f"{agreed.measure} {agreed.value:.2f}{interval}")
    if automatic:
        parts.append(f"{automatic:,} by an automatic reviewer, {len(reviewed) - automatic:,} by a person")
    return ", ".join(parts)
