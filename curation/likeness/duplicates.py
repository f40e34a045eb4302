"""Duplicates: rows whose question is near or exact, with the same answer, system message and tools. One stays.

Rows are first put into classes (same question shingles, same normal form, same answer, same context), pairs are
found and judged between classes, and only in the end come back to rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from curation.example import Example
from curation.likeness.fingerprints import Fingerprints, InMemory, RowSource, as_examples, fingerprints, use_compiled
from curation.likeness.groups import Bools, Classes, Grouped
from curation.likeness.join import Method, NearSets, components, jaccard_of
from curation.likeness.sets import I64

EXACT_BELOW = 20_000
"""Rows below which the exact join is quick enough to be the default: it misses no pair."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A removed row: indices in input order. `via` joins it to the kept row if their similarity is too low."""

    index: int
    kept: int
    similarity: float
    kind: Literal["exact", "near"]
    via: int | None = None


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two rows that stay although their questions are near: `index < other`."""

    index: int
    other: int
    similarity: float
    kind: Literal["contradiction", "minimal_pair", "short_near"]


class DedupResult:
    """Result of a deduplication. Counts are ready; the lists are made on request."""

    def __init__(self, prints: Fingerprints, threshold: float, found: _Found) -> None:
        self._prints = prints
        self._found = found
        self.threshold = threshold
        self.template = prints.template
        self.read = len(prints)
        self.keep: Bools = found.keep
        """For each row, True if it stays."""
        self.cluster_of: I64 = found.classes.first[found.cluster][found.classes.of]
        """For each row the first row of its cluster."""
        self.exact = int(found.exact.sum())
        self.near = len(found.exact) - self.exact
        self.clusters = sum(self.cluster_sizes.values())

    @cached_property
    def cluster_sizes(self) -> dict[int, int]:
        """Return the number of clusters by size (in rows); single rows are none."""
        sizes = np.bincount(self.cluster_of) if len(self.cluster_of) else self.cluster_of
        found, count = np.unique(sizes[sizes > 1], return_counts=True)
        return dict(zip(found.tolist(), count.tolist(), strict=True))

    @cached_property
    def kept(self) -> list[int]:
        """Indices of the rows that stay, in input order."""
        return [int(i) for i in np.flatnonzero(self.keep)]

    @property
    def gone(self) -> I64:
        """Indices of the rows that went, in input order."""
        return self._found.gone

    @cached_property
    def removed(self) -> list[Removed]:
        """The rows that went, in input order."""
        return self.first_removed(len(self.gone))

    @property
    def gone_exact(self) -> Bools:
        """Return for each of `gone` whether it was an exact duplicate."""
        return self._found.exact

    def first_removed(self, count: int) -> list[Removed]:
        """Return the first of `removed`."""
        return self.removed_at(slice(count))

    def removed_at(self, some: slice | I64) -> list[Removed]:
        """Return the entries of `removed` at these places."""
        found, sets = self._found, self._prints.shingles
        gone, stays, exact = found.gone[some], found.stays[some], found.exact[some]
        score = np.where(exact, 1.0, jaccard_of(sets, sets, gone, stays))
        far = np.flatnonzero(score < self.threshold - 1e-9)
        via = dict(zip(far.tolist(), found.neighbours(gone[far], stays[far]), strict=True))
        columns = zip(gone.tolist(), stays.tolist(), score.tolist(), exact.tolist(), strict=True)
        return [
            Removed(row, kept, s, "exact" if is_exact else "near", via.get(k))
            for k, (row, kept, s, is_exact) in enumerate(columns)
        ]

    @cached_property
    def pairs(self) -> list[NearPair]:
        """Pairs of rows that stay: contradictions, minimal pairs and short near ones, by their first row."""
        out: list[NearPair] = []
        for kind, pairs in self._found.pairs.items():
            columns = zip(pairs.one.tolist(), pairs.other.tolist(), pairs.score.tolist(), strict=True)
            out += [NearPair(a, b, s, kind) for a, b, s in columns]
        return sorted(out, key=lambda pair: (pair.index, pair.other))

    def pairs_of(self, kind: Literal["contradiction", "minimal_pair", "short_near"]) -> NearSets:
        """Return the pairs of one kind, in the same order, as columns."""
        pairs = self._found.pairs[kind]
        return pairs.take(np.lexsort((pairs.other, pairs.one)))

    def count(self, kind: Literal["contradiction", "minimal_pair", "short_near"]) -> int:
        """Return the number of pairs of that kind."""
        return len(self._found.pairs[kind])

    def report(self) -> dict[str, object]:
        """Return the counts as `rung data dedup --json` names them (without `seconds`)."""
        return {
            "read": self.read,
            "kept": int(self.keep.sum()),
            "exact": self.exact,
            "near": self.near,
            "clusters": self.clusters,
            "contradictions": self.count("contradiction"),
            "minimal_pairs": self.count("minimal_pair"),
            "short_near": self.count("short_near"),
            "template": self.template or None,
            "threshold": self.threshold,
        }


@dataclass(frozen=True)
class _Found:
    """The working state: `cluster` by class; `gone`, `stays` and `exact` by removed row; `edges` between classes."""

    classes: Classes
    edges: NearSets
    cluster: I64
    keep: Bools
    gone: I64
    stays: I64
    exact: Bools
    pairs: dict[Literal["contradiction", "minimal_pair", "short_near"], NearSets]

    def neighbours(self, gone: I64, stays: I64) -> list[int]:
        """Return for each removed row the neighbour on its way to the row that stays for it."""
        if not len(gone):
            return []
        steps: dict[int, list[int]] = {}
        for a, b in zip(self.edges.one.tolist(), self.edges.other.tolist(), strict=True):
            steps.setdefault(a, []).append(b)
            steps.setdefault(b, []).append(a)
        before: dict[int, int] = {}
        for kept in np.unique(self.classes.of[stays]).tolist():
            _walk(kept, steps, before)
        return [int(self.classes.first[before[int(c)]]) for c in self.classes.of[gone]]


def _walk(start: int, steps: dict[int, list[int]], before: dict[int, int]) -> None:
    """Breadth first from `start`, noting for each class the one before it."""
    before[start] = start
    layer = [start]
    while layer:
        following = []
        for node in layer:
            for neighbour in steps.get(node, ()):
                if neighbour not in before:
                    before[neighbour] = node
                    following.append(neighbour)
        layer = following


def dedup(
    rows: Iterable[Example],
    threshold: float = 0.8,
    *,
    method: Method | None = None,
    reviewed: Sequence[bool] | None = None,
    numba: bool | None = None,
) -> DedupResult:
    """Find the duplicates among rows that are held.

    `method` is by default the exact join below 20,000 rows and MinHash from there on. `reviewed` says for each row
    whether a person approved it: of a cluster the first such row stays, else the first.
    """
    examples = as_examples(rows)
    return dedup_prints(fingerprints(examples, numba), InMemory(examples), threshold, method, reviewed, numba)


def dedup_prints(
    prints: Fingerprints,
    source: RowSource,
    threshold: float = 0.8,
    method: Method | None = None,
    reviewed: Sequence[bool] | Bools | None = None,
    numba: bool | None = None,
) -> DedupResult:
    """Find duplicates as `dedup`, in rows known by fingerprints; `source` gives answers that must be compared."""
    method = method or ("exact" if len(prints) < EXACT_BELOW else "minhash")
    grouped = Grouped(prints, source, threshold, method, use_compiled(len(prints), numba))
    classes, (pairs, is_exact) = grouped.classes, grouped.pairs()
    one, other = classes.first[pairs.one], classes.first[pairs.other]
    same = grouped.same_answers(one, other)
    edges = pairs.take(same & (prints.context[one] == prints.context[other]))
    cluster = components(len(classes), edges.one, edges.other)
    keep, gone, stays = _choose(grouped, cluster, reviewed)
    clash = is_exact & (prints.system[one] == prints.system[other])
    pairs_of = {
        "contradiction": classes.expand(pairs.take(~same & clash), keep),
        "minimal_pair": classes.expand(pairs.take(~same & ~clash), keep),
        "short_near": classes.expand(grouped.short_pairs(), keep),
    }
    exact = prints.exact[gone] == prints.exact[stays]
    return DedupResult(prints, threshold, _Found(classes, edges, cluster, keep, gone, stays, exact, pairs_of))  # type: ignore[arg-type]


def _choose(grouped: Grouped, cluster: I64, reviewed: Sequence[bool] | Bools | None) -> tuple[Bools, I64, I64]:
    """Return the rows that stay, those that go, and for each that goes the row that stays for it.

    Of a cluster one row stays, and every row whose answer differs from that row's.
    """
    classes, rows = grouped.classes, np.arange(len(grouped.prints))
    of_row = cluster[classes.of]
    first = np.full(len(classes), len(rows), np.int64)
    if reviewed is not None:
        approved = np.flatnonzero(np.asarray(reviewed, np.bool_))
        np.minimum.at(first, of_row[approved], approved)
    unset = first == len(rows)
    open_rows = rows[unset[of_row]]
    np.minimum.at(first, of_row[open_rows], open_rows)
    kept = first[of_row]
    other = np.flatnonzero(kept != rows)
    like_first = classes.first[classes.of[other]]
    gone = other[grouped.same_answers(like_first, kept[other])]
    keep = np.ones(len(rows), np.bool_)
    keep[gone] = False
    return keep, gone, kept[gone]
