"""The verdict in parts: by class, length, source, reviewer and topic. Many parts, little data each: places to look,
never a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.manifest import load_split, read_manifest
from evaluation.compare import compare
from evaluation.holm import with_holm
from evaluation.report import Outcome

MOST = 60
"""Parts of a kind that are listed at most: a key with more names than this is no grouping."""
FEWEST = 10
"""Items, or groups, that a slice must have to be called worse: below that a single one moves it by 10 points and more.
"""


Facets = Mapping[str, Mapping[int, str]]
"""By kind (source, reviewer, topic): the name of the part that each item belongs to."""


def facets_of(folder: Path, group_by: str = "") -> Facets:
    """Of the test rows of a frozen dataset: the file they came from, who reviewed them, and the row's own topic.

    The topic is the row's key `group_by` where one is set, else `topic` or `category`.
    """
    rows = [row for row in read_manifest(folder).rows if row.get("split") == "test"]
    found: dict[str, dict[int, str]] = {
        "source": {int(row["line"]): _file(row) for row in rows},
        "reviewer": {int(row["line"]): str(row.get("reviewer") or "nobody") for row in rows},
        "topic": {},
    }
    for number, example in enumerate(load_split(folder, "test"), 1):
        name = next((str(example.row[k]) for k in (group_by, "topic", "category") if k and k in example.row), "")
        if name:
            found["topic"][number] = name
    return found


def _file(row: Mapping[str, Any]) -> str:
    source = str(row.get("source") or "unknown")
    name, colon, line = source.rpartition(":")
    return name if colon and line.isdigit() else source


def slices(
    tuned: Sequence[Outcome],
    baseline: Sequence[Outcome],
    *,
    by_class: bool,
    facets: Facets | None = None,
    clusters: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Per slice: kind, name, n, tuned, baseline, difference, low, high, p_value, p_holm and `worse`; the worst first.

    `p_holm` is the p of no difference, corrected for all slices together (Holm). `worse` is set where the difference
    is below 0 on at least 10 items. Lengths are of the expected answer and are cut at the terciles; only slices that
    leave something out are listed. `clusters` names the group of each item: items of one group count together, as one.
    """
    named = dict(zip((o.item for o in tuned), clusters, strict=True)) if clusters is not None else None
    pairs = list(zip(tuned, baseline, strict=True))
    found = _cut("length", pairs, _length_names(tuned), named)
    if by_class:
        found += _cut("class", pairs, lambda outcome: outcome.expected.strip(), named)
    for kind, names in (facets or {}).items():
        if len(set(names.values())) <= MOST:
            found += _cut(kind, pairs, _part_of(names), named)
    return sorted(with_holm(found), key=lambda s: (s["difference"], s["name"]))


def _part_of(names: Mapping[int, str]) -> Callable[[Outcome], str]:
    return lambda outcome: names.get(outcome.item, "unknown")


def _cut(
    kind: str,
    pairs: Sequence[tuple[Outcome, Outcome]],
    name: Callable[[Outcome], str],
    clusters: Mapping[int, str] | None,
) -> list[dict[str, Any]]:
    parts: dict[str, list[tuple[Outcome, Outcome]]] = {}
    for pair in pairs:
        parts.setdefault(name(pair[0]), []).append(pair)
    return [_slice(kind, key, part, clusters) for key, part in parts.items()] if len(parts) > 1 else []


def _slice(
    kind: str, name: str, pairs: Sequence[tuple[Outcome, Outcome]], clusters: Mapping[int, str] | None
) -> dict[str, Any]:
    groups = None if clusters is None else [clusters[t.item] for t, _ in pairs]
    result = compare([b.score for _, b in pairs], [t.score for t, _ in pairs], groups)
    return {
        "kind": kind,
        "name": name,
        "n": len(pairs),
        "tuned": result.tuned,
        "baseline": result.baseline,
        "difference": result.difference,
        "low": result.low,
        "high": result.high,
        "p_value": result.p_value,
        "worse": result.units >= FEWEST and result.difference < 0,
    }


def _length_names(outcomes: Sequence[Outcome]) -> Callable[[Outcome], str]:
    lengths = sorted(len(o.expected) for o in outcomes)
    first, second = lengths[len(lengths) // 3], lengths[math.ceil(2 * len(lengths) / 3) - 1]

    def name(outcome: Outcome) -> str:
        length = len(outcome.expected)
        if length < first:
            return f"answers under {first} characters"
        return f"answers over {second} characters" if length > second else f"answers of {first} to {second} characters"

    return name
