"""Slices of the verdict, by class, length, source, reviewer and topic, and secondary metrics. None of them decides."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from curation.split.manifest import load_split, read_manifest
from evaluation.measurement_report import ItemOutcome
from evaluation.metrics.text import normalised_match, refuses, token_f1
from evaluation.verdict.compare import Comparison, compare

MOST = 60
"""Most parts of one kind: a key with more names is no grouping."""
FEWEST = 10
"""Fewest items (or groups, by effective number) of a slice that is called worse: one of 10 moves it by 10 points."""


class SecondaryResult(BaseModel):
    """A metric besides the primary one, paired over the items: it informs and never decides.

    `p_holm` is the p-value of no difference, corrected for all of them (Holm); None in verdicts of an older Rung.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    n: int
    tuned: float
    baseline: float
    difference: float
    low: float
    high: float
    p_value: float | None = None
    p_holm: float | None = None


class Slice(SecondaryResult):
    """The primary metric on the items of one part; `kind` is what the items were divided by.

    `worse`: the difference is below 0, on at least FEWEST items or groups.
    """

    kind: str
    worse: bool = False


def _figures(result: Comparison) -> dict[str, float]:
    """Return the fields that a result has from its comparison."""
    names = ("tuned", "baseline", "difference", "low", "high", "p_value")
    return {name: getattr(result, name) for name in names}


Facets = Mapping[str, Mapping[int, str]]
"""Kind of part (source, reviewer, topic) -> the name of each item's part."""


def facets_of(folder: Path, group_by: str = "") -> Facets:
    """Return, for the test rows of a frozen dataset, the file each came from, its reviewer and its topic.

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
    tuned: Sequence[ItemOutcome],
    baseline: Sequence[ItemOutcome],
    *,
    by_class: bool,
    facets: Facets | None = None,
    clusters: Sequence[str] | None = None,
) -> list[Slice]:
    """Return the parts by length of the expected answer (cut at the terciles), class and `facets`; the worst first.

    A division with one part only is left out. `clusters` names each item's cluster, for the interval.
    """
    named = dict(zip((o.item for o in tuned), clusters, strict=True)) if clusters is not None else None
    pairs = list(zip(tuned, baseline, strict=True))
    cuts: list[tuple[str, Callable[[ItemOutcome], str]]] = [("length", _length_names(tuned))]
    if by_class:
        cuts.append(("class", lambda outcome: outcome.expected.strip()))
    cuts += [(kind, _part_of(names)) for kind, names in (facets or {}).items() if len(set(names.values())) <= MOST]
    parts = [(kind, name, part) for kind, cut in cuts for name, part in _parted(pairs, cut).items()]
    results = [_compared(part, named) for *_, part in parts]
    found = [
        Slice(
            kind=kind,
            name=name,
            n=len(part),
            **_figures(result),
            worse=result.units >= FEWEST and result.difference < 0,
            p_holm=adjusted,
        )
        for (kind, name, part), result, adjusted in zip(parts, results, holm([r.p_value for r in results]), strict=True)
    ]
    return sorted(found, key=lambda part: (part.difference, part.name))


def _part_of(names: Mapping[int, str]) -> Callable[[ItemOutcome], str]:
    return lambda outcome: names.get(outcome.row, "unknown")


def _parted(
    pairs: Sequence[tuple[ItemOutcome, ItemOutcome]], name: Callable[[ItemOutcome], str]
) -> dict[str, list[tuple[ItemOutcome, ItemOutcome]]]:
    """Return the pairs of each part by its name; empty if there is one part only."""
    parts: dict[str, list[tuple[ItemOutcome, ItemOutcome]]] = {}
    for pair in pairs:
        parts.setdefault(name(pair[0]), []).append(pair)
    return parts if len(parts) > 1 else {}


def _compared(pairs: Sequence[tuple[ItemOutcome, ItemOutcome]], clusters: Mapping[int, str] | None) -> Comparison:
    groups = None if clusters is None else [clusters[t.item] for t, _ in pairs]
    return compare([b.score for _, b in pairs], [t.score for t, _ in pairs], groups)


def _length_names(outcomes: Sequence[ItemOutcome]) -> Callable[[ItemOutcome], str]:
    lengths = sorted(len(o.expected) for o in outcomes)
    first, second = lengths[len(lengths) // 3], lengths[math.ceil(2 * len(lengths) / 3) - 1]

    def name(outcome: ItemOutcome) -> str:
        length = len(outcome.expected)
        if length < first:
            return f"answers under {first} characters"
        return f"answers over {second} characters" if length > second else f"answers of {first} to {second} characters"

    return name


SECONDARY: dict[str, Callable[[ItemOutcome], float]] = {
    "normalised match": lambda o: normalised_match(o.output, o.expected),
    "token F1": lambda o: token_f1(o.output, o.expected),
    "refusals": lambda o: float(refuses(o.output, o.stopped)),
    "cut at the limit": lambda o: float(o.stopped == "length"),
}
"""Secondary metrics: name -> score of one item."""


def holm(values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: rejecting all with p <= a makes a false rejection with probability at most a."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, most = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = most
    return adjusted


def secondary_tests(
    trainings: Sequence[Sequence[ItemOutcome]],
    baseline: Sequence[ItemOutcome],
    metric: str,
    clusters: Sequence[str] | None = None,
) -> list[SecondaryResult]:
    """Return each secondary metric except `metric`, paired over the items or their `clusters`.

    With several `trainings` an item's value is their mean.
    """
    results: dict[str, Comparison] = {}
    for name, score in SECONDARY.items():
        if name.replace(" ", "_").lower() != metric:
            tuned = [sum(map(score, each)) / len(each) for each in zip(*trainings, strict=True)]
            results[name] = compare([score(o) for o in baseline], tuned, clusters)
    return [
        SecondaryResult(name=name, n=len(baseline), **_figures(result), p_holm=adjusted)
        for (name, result), adjusted in zip(results.items(), holm([r.p_value for r in results.values()]), strict=True)
    ]
