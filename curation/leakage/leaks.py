"""Leaks as they are held: in columns, some 40 bytes each, made again when they are asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np

from curation.leakage.report import STRENGTH, Evidence, Kind, Leak
from curation.pieces import Made
from curation.sets import I64

KINDS: tuple[Kind, ...] = ("exact", "near", "contained", "answer")
ANSWERS: tuple[Literal["same", "different"], ...] = ("same", "different")
PARTS: tuple[Literal["question", "answer"], ...] = ("question", "answer")
Said = Callable[[int, str, int, int], str]
"""The words of a test item's part, from one place to another."""
CODES = "iiBBdBiIIIH"
"""Types of the columns: test, train, kind, answer, score, part, message, role, why, begin and end of the run."""


class LeakList(Made[Leak]):
    """As a tuple of leaks. What was found in both rows is kept as its place in the test item."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._columns = [array(code) for code in CODES]
        self._names: dict[str, int] = {}
        self._strings: list[str] = []

    def add(self, leaks: Iterable[Leak]) -> None:
        """More leaks, behind the others."""
        for leak in leaks:
            found = leak.evidence
            begin, end = found.run
            values: tuple[Any, ...] = (
                leak.test, leak.train, KINDS.index(leak.kind), ANSWERS.index(leak.answer), leak.score,
                PARTS.index(found.part), found.message, self._number(found.role), self._number(found.why),
                begin, end - begin,
            )  # fmt: skip
            for column, value in zip(self._columns, values, strict=True):
                column.append(value)

    def in_order(self, most: int | None = None) -> LeakList:
        """By test item, the strongest first; of one train row only the strongest. At `most` so many of each item."""
        test, train, kind, score = (self._column(place) for place in (0, 1, 2, 4))
        weak = -np.array([STRENGTH[name] for name in KINDS])[kind]
        order = np.lexsort((-score, weak, train, test))
        order = order[_is_first(test[order], train[order])]
        order = order[np.lexsort((train[order], -score[order], weak[order], test[order]))]
        if most is not None:
            starts = np.flatnonzero(_is_first(test[order]))
            sizes = np.diff(np.append(starts, len(order)))
            order = order[np.arange(len(order)) - np.repeat(starts, sizes) < most]
        out = LeakList(self._said)
        out._names, out._strings = self._names, self._strings
        for place, code in enumerate(CODES):
            out._columns[place] = array(code, self._column(place)[order].tobytes())
        return out

    def firsts(self) -> list[int]:
        """Where the leaks of each test item begin, of leaks in order."""
        return [int(place) for place in np.flatnonzero(_is_first(self._column(0)))]

    def train_rows(self) -> list[int]:
        """The train rows, each once, in input order."""
        return [int(row) for row in np.unique(self._column(1))]

    def __len__(self) -> int:
        return len(self._columns[0])

    def _at(self, index: int) -> Leak:
        test, train, kind, answer, score, part, message, role, why, begin, size = (c[index] for c in self._columns)
        run = (begin, begin + size)
        shared = self._said(test, PARTS[part], *run)
        found = Evidence(PARTS[part], message, self._strings[role], shared, self._strings[why], run)
        return Leak(test, train, KINDS[kind], ANSWERS[answer], score, found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _number(self, name: str) -> int:
        """The number of a string, of which there are few."""
        number = self._names.setdefault(name, len(self._strings))
        if number == len(self._strings):
            self._strings.append(name)
        return number

    def _column(self, place: int) -> Any:
        return np.frombuffer(self._columns[place], np.dtype(CODES[place])) if len(self) else np.zeros(0, np.int64)


def _is_first(*columns: I64) -> Any:
    """For each place whether it differs from the one before."""
    first = np.zeros(len(columns[0]), np.bool_)
    first[:1] = True
    for column in columns:
        first[1:] |= column[1:] != column[:-1]
    return first
