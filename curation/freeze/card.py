"""The dataset card: YAML front matter that the Hugging Face tools read, then what a person should know."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from curation.freeze.features import feature_lines
from curation.manifest import SMALL_TEST, Manifest
from workspace.folder import Project
from workspace.settings import Settings
from workspace.words import counted

if TYPE_CHECKING:
    from curation.freeze.plan import FreezePlan

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
SHOWN_CLASSES = 5


def card_text(project: Project, settings: Settings, plan: FreezePlan, manifest: Manifest) -> str:
    """The whole README.md of a frozen version."""
    lines = [
        *_front(settings, plan, manifest),
        f"# {project.name}, {manifest.version}",
        "",
        *_splits(plan, manifest),
        *_origin(plan, manifest),
        *_review(manifest),
        *_left_out(manifest),
        *_files(manifest),
    ]
    return "\n".join(lines) + "\n"


def _front(settings: Settings, plan: FreezePlan, manifest: Manifest) -> Iterator[str]:
    yield "---"
    yield f"license: {json.dumps(settings.dataset.licence)}"
    yield f"size_categories: [{json.dumps(_size(sum(split.rows for split in manifest.splits.values())))}]"
    yield "configs:"
    yield "- config_name: default"
    yield "  data_files:"
    for name, split in manifest.splits.items():
        yield f"  - split: {name}"
        yield f"    path: {split.file}"
    yield from feature_lines({name: [row.example for row in rows] for name, rows in plan.splits.items()})
    yield "---"
    yield ""


def _size(rows: int) -> str:
    return next((name for most, name in SIZES if rows < most), "1M<n<10M")


def _splits(plan: FreezePlan, manifest: Manifest) -> Iterator[str]:
    yield "| split | rows | sha256 |"
    yield "|---|---|---|"
    for name, split in manifest.splits.items():
        yield f"| {name} | {split.rows:,} | {split.sha256[:8]} |"
    yield ""
    if manifest.test_only:
        yield "A test set alone, frozen so that the ladder can be measured before training rows are reviewed."
    else:
        yield f"Split by seed {manifest.seed}; near rows stand on one side. {plan.rule}"
    if plan.kept_test:
        yield f"The test set is that of {plan.kept_test}."
    if (test := manifest.splits.get("test")) and test.rows < SMALL_TEST:
        yield f"The test set has {test.rows} rows: under {SMALL_TEST}, only large differences can be shown on it."
    yield from class_lines(manifest.classes)
    said = sum(pair["kind"] == "paraphrase" for pair in plan.across)
    if near := len(plan.across) - said:
        yield f"{near} near pairs with different answers stand on two sides, because both were fixed there."
    if said:
        yield f"{said} pairs that say the same in other words stand on two sides, because the test set was fixed."
    yield ""


def class_lines(classes: Mapping[str, int]) -> Iterator[str]:
    """The classes in train, and those under the size table's minimum: they stop no freeze, but training."""
    from curation.quality.rules import class_sizes

    if not classes:
        return
    minimum, _, table = class_sizes()
    thin = sorted((count, name) for name, count in classes.items() if count < minimum)
    if not thin:
        yield f"{len(classes):,} classes in train, each with {minimum} rows or more ({table})."
        return
    shown = ", ".join(f"{name[:40]} ({count:,})" for count, name in thin[:SHOWN_CLASSES])
    more = f" and {len(thin) - SHOWN_CLASSES:,} more" if len(thin) > SHOWN_CLASSES else ""
    yield f"{len(thin):,} of {len(classes):,} classes have fewer than {minimum} rows in train ({table}): {shown}{more}."
    yield "That stands in the way of training, not of the freeze: more rows for these classes."


def _origin(plan: FreezePlan, manifest: Manifest) -> Iterator[str]:
    yield "## Where the rows come from"
    yield ""
    sources: Counter[str] = Counter()
    models: Counter[str] = Counter()
    for rows in plan.splits.values():
        for row in rows:
            sources[row.source.rpartition(":")[0] if row.line else "generated"] += 1
            if row.origin == "generated":
                models[str(row.meta.get("model") or row.meta.get("provider") or "unnamed model")] += 1
    for source, n in sources.most_common():
        yield f"- {source}: {counted(n, 'row')}"
    for model, n in models.most_common():
        yield f"- written by {model}, then reviewed: {counted(n, 'row')}"
    in_test = sum(row["origin"] == "generated" and row["split"] != "train" for row in manifest.rows)
    if in_test:
        yield f"- **generated rows that stand in validation or test: {in_test:,}**, as the policy allows"
    for licence, n in Counter(str(row["licence"]) for row in manifest.rows).most_common():
        yield f"- licence {licence}: {counted(n, 'row')}"
    yield ""


def _review(manifest: Manifest) -> Iterator[str]:
    found = manifest.review
    yield "## Who reviewed them"
    yield ""
    yield f"- {found['reviewed']:,} of {found['rows']:,} rows were decided: {found['by_person']:,} by a person, " + (
        f"{found['automatic']:,} by an automatic reviewer, which is no expert review"
    )
    for name, n in found["reviewers"].items():
        yield f"- {name}: {n:,}"
    trusted = found["states"].get("trusted", 0)
    if trusted:
        yield f"- **trusted without review, by policy: {counted(trusted, 'row')}**"
    for sample in found["samples"]:
        yield f"- sample of {sample['role']}: {sample['size']} of {sample['population']:,} rows drawn by seed " + (
            f"{sample['seed']}, {sample['faults']} faults, {sample['allowed']} allowed"
            + (f"; of the rest at most {sample['bound']:.1%} are faulty (95%)" if sample["bound"] is not None else "")
        )
    if found["agreement"] and found["agreement"]["value"] is not None:
        agreed = found["agreement"]
        on = counted(agreed["units"], "row")
        yield f"- agreement: {agreed['measure']} {agreed['value']:.2f} on {on} that two people saw"
    yield f"- guideline: {manifest.guideline[:8] or 'none'}"
    yield ""


def _left_out(manifest: Manifest) -> Iterator[str]:
    if not manifest.dropped:
        return
    yield "## What was left out"
    yield ""
    for reason, n in Counter(str(entry["reason"]) for entry in manifest.dropped).most_common():
        yield f"- {n:,}: {reason}"
    yield ""


def _files(manifest: Manifest) -> Iterator[str]:
    yield "`manifest.json` tells for every line its row id, file and line of origin, state, reviewer, decision and"
    yield "guideline; `rung why ROW` walks the chain. A frozen version never changes."
    if manifest.leakage.get("dismissed"):
        yield f"{counted(manifest.leakage['dismissed'], 'finding')} of a leak dismissed by name, with a reason."
