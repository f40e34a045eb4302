"""Duplicates: rows whose question is near or exact, with the same answer, system message and tools. One stays.

Rows are first put into classes (same question shingles, same normal form, same answer, same context), pairs are
found and judged between classes, and only in the end come back to rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from curation.example import Example
from curation.likeness.fingerprints import Fetch, Fingerprints, fingerprints, held, use_compiled
from curation.likeness.groups import Classes, Grouped
from curation.likeness.join import Method, NearSets, components, jaccard_of
from curation.likeness.sets import I64, Bools

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


PairKind = Literal["contradiction", "minimal_pair", "short_near"]


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two rows that stay although their questions are near: `index < other`."""

    index: int
    other: int
    similarity: float
    kind: PairKind


@dataclass(frozen=True)
class DedupResult:
    """Result of a deduplication; the lists are made on request.

    By row: `keep` where it stays, and in `cluster_of` the first row of its cluster. By row that went, in input order:
    its index in `gone`, that of the row that stays for it in `stays`, and `gone_exact` where it is an exact duplicate.
    `edges` are pairs of classes of one cluster.
    """

    prints: Fingerprints
    threshold: float
    classes: Classes
    edges: NearSets
    cluster_of: I64
    keep: Bools
    gone: I64
    stays: I64
    gone_exact: Bools
    by_kind: dict[PairKind, NearSets]

    @property
    def read(self) -> int:
        """Number of rows."""
        return len(self.prints)

    @property
    def template(self) -> str:
        """The shared instruction that was left out of the comparison, in words."""
        return self.prints.template

    @property
    def exact(self) -> int:
        """Number of rows that went as exact duplicates."""
        return int(self.gone_exact.sum())

    @property
    def near(self) -> int:
        """Number of rows that went as near duplicates."""
        return len(self.gone) - self.exact

    @property
    def clusters(self) -> int:
        """Number of clusters of more than one row."""
        return sum(self.cluster_sizes.values())

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

    @cached_property
    def removed(self) -> list[Removed]:
        """The rows that went, in input order."""
        return self.removed_at(slice(None))

    def removed_at(self, some: slice | I64) -> list[Removed]:
        """Return the entries of `removed` at these places."""
        sets, gone, stays, exact = self.prints.shingles, self.gone[some], self.stays[some], self.gone_exact[some]
        score = np.where(exact, 1.0, jaccard_of(sets, sets, gone, stays))
        far = np.flatnonzero(score < self.threshold - 1e-9)
        via = dict(zip(far.tolist(), self._neighbours(gone[far], stays[far]), strict=True))
        columns = zip(gone.tolist(), stays.tolist(), score.tolist(), exact.tolist(), strict=True)
        return [
            Removed(row, kept, s, "exact" if is_exact else "near", via.get(k))
            for k, (row, kept, s, is_exact) in enumerate(columns)
        ]

    @cached_property
    def pairs(self) -> list[NearPair]:
        """Pairs of rows that stay: contradictions, minimal pairs and short near ones, by their first row."""
        out: list[NearPair] = []
        for kind, pairs in self.by_kind.items():
            columns = zip(pairs.one.tolist(), pairs.other.tolist(), pairs.score.tolist(), strict=True)
            out += [NearPair(a, b, s, kind) for a, b, s in columns]
        return sorted(out, key=lambda pair: (pair.index, pair.other))

    def pairs_of(self, kind: PairKind) -> NearSets:
        """Return the pairs of one kind, in the same order, as columns."""
        pairs = self.by_kind[kind]
        return pairs.take(np.lexsort((pairs.other, pairs.one)))

    def count(self, kind: PairKind) -> int:
        """Return the number of pairs of that kind."""
        return len(self.by_kind[kind])

    def _neighbours(self, gone: I64, stays: I64) -> list[int]:
        """Return for each of these removed rows the neighbour on its way to the row that stays for it."""
        if not len(gone):
            return []
        steps: dict[int, list[int]] = {}
        for a, b in zip(self.edges.one.tolist(), self.edges.other.tolist(), strict=True):
            steps.setdefault(a, []).append(b)
            steps.setdefault(b, []).append(a)
        before = {kept: kept for kept in self.classes.of[stays].tolist()}
        queue = deque(before)
        while queue:  # breadth first, from the classes of all rows that stay: each is in a cluster of its own
            node = queue.popleft()
            for neighbour in steps.get(node, ()):
                if neighbour not in before:
                    before[neighbour] = node
                    queue.append(neighbour)
        return [int(self.classes.first[before[int(c)]]) for c in self.classes.of[gone]]

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
    examples = rows if isinstance(rows, Sequence) else list(rows)
    return dedup_prints(fingerprints(examples, numba), held(examples), threshold, method, reviewed, numba)


def dedup_prints(
    prints: Fingerprints,
    fetch: Fetch,
    threshold: float = 0.8,
    method: Method | None = None,
    reviewed: Sequence[bool] | Bools | None = None,
    numba: bool | None = None,
) -> DedupResult:
    """Find duplicates as `dedup`, in rows known by fingerprints; `fetch` gives rows whose answers must be compared."""
    method = method or ("exact" if len(prints) < EXACT_BELOW else "minhash")
    grouped = Grouped(prints, fetch, threshold, method, use_compiled(len(prints), numba))
    classes, (pairs, is_exact) = grouped.classes, grouped.pairs()
    one, other = classes.first[pairs.one], classes.first[pairs.other]
    same = grouped.same_answers(one, other)
    edges = pairs.take(same & (prints.context[one] == prints.context[other]))
    cluster_of = classes.first[components(len(classes), edges.one, edges.other)][classes.of]
    keep, gone, stays = _choose(grouped, cluster_of, reviewed)
    clash = is_exact & (prints.system[one] == prints.system[other])
    by_kind: dict[PairKind, NearSets] = {
        "contradiction": classes.expand(pairs.take(~same & clash), keep),
        "minimal_pair": classes.expand(pairs.take(~same & ~clash), keep),
        "short_near": classes.expand(grouped.short_pairs(), keep),
    }
    exact = prints.exact[gone] == prints.exact[stays]
    return DedupResult(prints, threshold, classes, edges, cluster_of, keep, gone, stays, exact, by_kind)


def _choose(grouped: Grouped, cluster_of: I64, reviewed: Sequence[bool] | Bools | None) -> tuple[Bools, I64, I64]:
    """Return which rows stay and go, and the row that stays for each that goes: one of a cluster for each answer."""
    classes, rows = grouped.classes, np.arange(len(cluster_of))
    stays = np.full(len(rows), len(rows), np.int64)
    if reviewed is not None:
        approved = np.flatnonzero(np.asarray(reviewed, np.bool_))
        np.minimum.at(stays, cluster_of[approved], approved)
    stays = np.where(stays == len(rows), rows, stays)[cluster_of]
    other = np.flatnonzero(stays != rows)
    like_first = classes.first[classes.of[other]]
    gone = other[grouped.same_answers(like_first, stays[other])]
    keep = np.ones(len(rows), np.bool_)
    keep[gone] = False
    return keep, gone, stays[gone]
