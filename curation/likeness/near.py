"""Near rows, whatever their answers: a split may not separate them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.likeness.fingerprints import InMemory, fingerprints, use_compiled
from curation.likeness.groups import Grouped
from curation.likeness.join import NearSets, components
from curation.likeness.sets import I64
from curation.split.manifest import SplitName

Kind = Literal["exact", "near", "short_near", "key", "between"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Row `index` and the pinned row `against` it. `key`: same group key; `between`: pinned rows of two splits."""

    index: int
    against: int
    kind: Kind
    similarity: float


@dataclass(frozen=True, slots=True)
class Near:
    """Near, exact and short near pairs of classes of rows, and the rows' group keys."""

    grouped: Grouped
    pairs: NearSets
    short: NearSets
    keys: Sequence[str | None]

    def groups(self, rows: Sequence[int], pinned: Mapping[int, SplitName]) -> dict[int, int]:
        """Return for each of `rows` the first row of its group, if only these rows existed.

        Two pinned rows do not join each other's groups: they were found not to conflict, or share a key only.
        """
        chosen = np.zeros(len(self.keys), np.bool_)
        chosen[list(rows)] = True
        one, other = map(np.concatenate, zip(self._chains(chosen), self._key_chains(rows, pinned), strict=True))
        fixed = np.zeros(len(self.keys), np.int64)
        for index, split in pinned.items():
            fixed[index] = 1 + ("train", "validation", "test").index(split)
        apart = (fixed[one] > 0) & (fixed[other] > 0) & (fixed[one] != fixed[other])
        label = components(len(self.keys), one[~apart], other[~apart])
        return {index: int(label[index]) for index in rows}

    def _chains(self, chosen: npt.NDArray[np.bool_]) -> tuple[I64, I64]:
        """Return pairs of chosen rows that are near: within a class a chain, between classes each with each."""
        classes = self.grouped.classes
        rows = classes.rows[chosen[classes.rows]]
        alike = classes.of[rows[1:]] == classes.of[rows[:-1]]
        ones, others = [rows[:-1][alike]], [rows[1:][alike]]
        for pairs in (self.pairs, self.short):
            found = classes.expand(pairs, chosen)
            ones.append(found.one)
            others.append(found.other)
        return np.concatenate(ones), np.concatenate(others)

    def _key_chains(self, rows: Sequence[int], pinned: Mapping[int, SplitName]) -> tuple[I64, I64]:
        """Return each row with the first unpinned row that has its key; pinned rows alone need no joining."""
        anchor: dict[str, int] = {}
        for index in rows:
            if (key := self.keys[index]) is not None and index not in pinned:
                anchor.setdefault(key, index)
        pairs = [(anchor[key], i) for i in rows if (key := self.keys[i]) in anchor]
        found = np.array(pairs, np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def against(
        self, fixed: Sequence[int], others: Sequence[int], keyed: Sequence[int]
    ) -> tuple[list[Conflict], list[Conflict]]:
        """Return the `others` that cannot be in another split than `fixed` rows, and the near pairs that can.

        A row conflicts where it is near and has the same answer, asks the same question, or (only `keyed` rows) has
        the same key.
        """
        if not fixed or not others:
            return [], []
        held = {self.keys[i]: i for i in reversed(fixed) if self.keys[i] is not None}
        conflicts = {i: Conflict(i, held[self.keys[i]], "key", 1.0) for i in keyed if self.keys[i] in held}
        apart = []
        for found in self._between(fixed, others):
            conflict, same = found
            if (same or conflict.kind == "exact") and conflict.index not in conflicts:
                conflicts[conflict.index] = conflict
            elif not same:
                apart.append(conflict)
        return list(conflicts.values()), [c for c in apart if c.index not in conflicts]

    def _between(self, fixed: Sequence[int], others: Sequence[int]) -> list[tuple[Conflict, bool]]:
        """Near pairs of an other and a fixed row, with whether their answers are the same; the nearest first."""
        classes, exact = self.grouped.classes, self.grouped.prints.exact
        side = np.zeros(len(exact), np.int64)
        side[list(fixed)], side[list(others)] = 1, 2
        own = np.arange(len(classes))
        alike = NearSets(own, own, np.ones(len(own)))
        found: list[tuple[Conflict, bool]] = []
        for kind, pairs in (("exact", alike), ("near", self.pairs), ("short_near", self.short)):
            rows = classes.expand(pairs, side > 0)
            cross = side[rows.one] + side[rows.other] == 3
            one, other = rows.one[cross], rows.other[cross]
            index, against = np.where(side[one] == 2, one, other), np.where(side[one] == 2, other, one)
            same = self.grouped.same_answers(index, against)
            equal = exact[index] == exact[against]
            columns = zip(index, against, rows.score[cross], same, equal, strict=True)
            found += [
                (Conflict(int(i), int(j), "exact" if e else kind, float(s)), bool(a))  # type: ignore[arg-type]
                for i, j, s, a, e in columns
            ]
        return sorted(found, key=lambda entry: (-entry[0].similarity, entry[0].index, entry[0].against))


def find_near(examples: Sequence[Example], threshold: float, keys: Sequence[str | None]) -> Near:
    """Return all near, exact and short near pairs of rows, by the exact join, so that none is missed."""
    prints = fingerprints(examples)
    grouped = Grouped(prints, InMemory(examples), threshold, "exact", use_compiled(len(prints)))
    return Near(grouped, grouped.pairs(every=True)[0], grouped.short_pairs(), keys)
