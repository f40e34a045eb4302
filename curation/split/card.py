"""The dataset card: YAML front matter that the Hugging Face tools read, then what a person should know.

The front matter names the columns. Without them the JSON reader of `datasets` takes them from the first rows of each
split, reads texts that look like dates as dates, and stops where a later row or another split differs. A column with
values of several kinds is one of JSON, which `datasets` reads from 4.7 on.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from curation.checks.rules import class_sizes
from curation.example import Example
from curation.split.manifest import SMALL_TEST, Manifest, SampleFacts
from curation.split.plan import FreezePlan
from workspace.counted import counted
from workspace.folder import Project
from workspace.json_types import JsonObject
from workspace.settings import Settings

SHOWN_CLASSES = 5


def card_text(project: Project, settings: Settings, plan: FreezePlan, manifest: Manifest, sha256: str) -> str:
    """Return the whole README.md of a frozen version; `sha256` is that of its manifest.json."""
    lines = [
        *_front(settings, plan, manifest),
        f"# {project.name}, {manifest.version}",
        "",
        f"This version is `{sha256[:8]}`: the start of the SHA-256 of its manifest.json, which names every row.",
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
    yield "configs:"
    yield "- config_name: default"
    yield "  data_files:"
    for name, split in manifest.splits.items():
        yield f"  - split: {name}"
        yield f"    path: {split.file}"
    yield from feature_lines({name: [row.example for row in rows] for name, rows in plan.splits.items()})
    yield "---"
    yield ""


def _splits(plan: FreezePlan, manifest: Manifest) -> Iterator[str]:
    yield "| split | rows | sha256 |"
    yield "|---|---|---|"
    for name, split in manifest.splits.items():
        yield f"| {name} | {split.rows:,} | {split.sha256[:8]} |"
    yield ""
    if manifest.test_only:
        yield "A test set alone, frozen so that the ladder can be measured before training rows are reviewed."
    else:
        yield f"Split by seed {manifest.seed}; near rows are on one side. {plan.rule}"
    if plan.kept_test:
        yield f"The test set is that of {plan.kept_test}."
    if (test := manifest.splits.get("test")) and test.rows < SMALL_TEST:
        yield f"The test set has {test.rows} rows: under {SMALL_TEST}, only large differences can be shown on it."
    yield from class_lines(manifest.classes)
    if near := len(plan.across):
        yield f"{near} near pairs with different answers are on two sides, because both were fixed there."
    yield ""


def class_lines(classes: Mapping[str, int]) -> Iterator[str]:
    """Yield the classes in train, and those under the size table's minimum: they stop no freeze, but training."""
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
    yield "This blocks training, not the freeze: add rows of these classes."


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
        yield f"- **generated rows in validation or test: {in_test:,}**, as the policy allows"
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
        yield _sample(sample)
    if found["agreement"] and found["agreement"]["value"] is not None:
        agreed = found["agreement"]
        on = counted(agreed["units"], "row")
        yield f"- agreement: {agreed['measure']} {agreed['value']:.2f} on {on} that two people saw"
    yield f"- guideline: {manifest.guideline[:8] or 'none'}"
    yield ""


def _sample(sample: SampleFacts) -> str:
    """Say how many rows were drawn and what was found; faults are counted in decided rows alone."""
    drawn = f"{sample['size']} of {sample['population']:,} rows drawn by seed {sample['seed']}"
    found = f"{sample['decided']} decided, {sample['found']} with faults, {sample['allowed']} allowed"
    rest = f"; of the rest at most {sample['bound']:.1%} are faulty (95%)" if sample["bound"] is not None else ""
    failed = "; **the sample failed**" if sample["failed"] else ""
    return f"- sample of {sample['role']}: {drawn}, {found}{rest}{failed}"


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


Shape = Any
"""`"string"`, `"int64"`, `"float64"`, `"bool"`, `"null"`, `{key: Shape}`, `[Shape]`, or `"json"`: anything."""
MOST_KEYS = 100
"""Keys of a nested object from which they are names of things, not columns."""
DEEPEST = 1
"""Objects around an object from which unlike ones are JSON."""


def feature_lines(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    """YAML lines of `dataset_info`; empty if there is no row."""
    shape = _merged_all((_shape(example.row, 0) for rows in splits.values() for example in rows), 0)
    if not isinstance(shape, dict):
        return []
    columns = [{"name": name, **_feature("json" if _holds_json(part) else part)} for name, part in shape.items()]
    return ["dataset_info:", "  config_name: default", "  features:", *(f"  - {_line(each)}" for each in columns)]


def _line(column: JsonObject) -> str:
    """Return a column as a line of JSON that is YAML: of two escapes that are one character YAML makes two."""
    return re.sub(r"\\ud[89ab]..\\ud[c-f]..", lambda pair: str(json.loads(f'"{pair[0]}"')), json.dumps(column))


def _holds_json(shape: Shape) -> bool:
    if isinstance(shape, dict):
        return not 0 < len(shape) <= MOST_KEYS or any(map(_holds_json, shape.values()))
    return _holds_json(shape[0]) if isinstance(shape, list) else bool(shape == "json")


def _merged_all(shapes: Iterable[Shape], depth: int) -> Shape:
    whole: Shape = "null"
    for shape in shapes:
        whole = _merged(whole, shape, depth)
    return whole


def _shape(value: Any, depth: int) -> Shape:
    """Return the shape of a value with `depth` objects around it."""
    if isinstance(value, Mapping):
        return {key: _shape(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_merged_all((_shape(part, depth) for part in value), depth)]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return "json"
    names = {str: "string", bool: "bool", int: "int64", float: "float64", type(None): "null"}
    return names[type(value)]


def _merged(one: Shape, other: Shape, depth: int) -> Shape:
    """Return the shape that holds both. Unlike objects share their keys (what one lacks is null) as rows and as the
    objects of a column; deeper they stay JSON: the parameters of a tool mean something else with one more null.
    """
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if isinstance(one, dict) and isinstance(other, dict):
        if depth > DEEPEST and one.keys() != other.keys():
            return "json"
        keys = {**one, **other}
        return {key: _merged(one.get(key, "null"), other.get(key, "null"), depth + 1) for key in keys}
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0], depth)]
    if isinstance(one, str) and isinstance(other, str) and {one, other} == {"int64", "float64"}:
        return "float64"
    return "json"


def _feature(shape: Shape) -> JsonObject:
    """Return a shape as `datasets` writes it; JSON is YAML, and needs no rules for odd keys."""
    if isinstance(shape, str):
        return {"dtype": shape}
    word, inner = ("list", shape[0]) if isinstance(shape, list) else ("struct", shape)
    if isinstance(inner, dict):
        return {word: [{"name": name, **_feature(part)} for name, part in inner.items()]}
    return {word: inner if isinstance(inner, str) else _feature(inner)}
