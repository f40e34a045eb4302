"""Fingerprints of rows: all that dedup and split need to know of a row, in a few numbers instead of its text."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.likeness.hashing import BLOCK_CHARS, HashedTexts, hash_texts
from curation.likeness.sets import I64, U32, U64, Growing, Sets, concat, mix, offsets, set_keys
from curation.likeness.words import covered, drawn, is_common, shingles
from curation.rows.row import Said
from workspace.extras import installed

COMPILED_FROM = 20_000
"""Rows from which compiling pays, and compiled code that is kept from an earlier run is loaded."""
COMPILED_FROM_CHARS = 1 << 24
ROWS_AT_ONCE = 50_000


Fetch = Callable[[Sequence[int]], Sequence[Example]]
"""Gives rows once more, by their index in input order."""


def held(rows: Sequence[Example]) -> Fetch:
    """Return what gives rows that are held."""
    return lambda places: [rows[place] for place in places]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """One entry a row. `key` is that of the shingles; `answer` is 0 if there is none; `context` covers system
    message and tools.

    Equal keys mean equal texts but for a chance of about rows^2 / 2^65.
    """

    shingles: Sets
    grams: Sets
    key: U64
    exact: U64
    answer: U64
    context: U64
    system: U64
    template: str = ""

    def __len__(self) -> int:
        return len(self.exact)

    def _columns(self) -> tuple[Any, ...]:
        return self.shingles, self.grams, self.key, self.exact, self.answer, self.context, self.system

    def take(self, rows: npt.NDArray[Any]) -> Fingerprints:
        """Return the fingerprints of some rows, in that order."""
        return Fingerprints(*(column.take(rows) for column in self._columns()))

    def followed_by(self, more: Fingerprints) -> Fingerprints:
        """Return these and then others, which the same engine made."""
        shingles, grams, *columns = zip(self._columns(), more._columns(), strict=True)
        return Fingerprints(concat(shingles), concat(grams), *map(np.concatenate, columns))  # type: ignore[arg-type]


def use_compiled(rows: int, numba: bool | None = None, chars: int = 0) -> bool:
    """True if numba is used: installed, and 20,000 rows or 16 million characters. `numba` overrides this."""
    many = rows >= COMPILED_FROM or chars >= COMPILED_FROM_CHARS
    return (many and installed("numba")) if numba is None else numba


class Collector:
    """Takes rows, keeps their fingerprints. Until numba is worth its start no block is hashed. `key` makes the keys of
    answers and contexts: Python's hash is the quickest, and not the same in another process.
    """

    def __init__(self, numba: bool | None = None, key: Callable[[str], int] = hash) -> None:
        self.numba, self._key = numba, key
        self.count = 0
        self._texts: list[str] = []
        self._chars = 0
        self._shingles, self._grams = Growing(), Growing()
        self._parts: list[tuple[U64, U64]] = []
        self._columns = array("Q"), array("Q"), array("Q")
        """Keys of answers, of contexts and of system messages."""

    def add_rows(self, rows: Iterable[Said]) -> None:
        """Add rows as they are read from files."""
        for said in rows:
            if type(said) is tuple:
                self._take(said[1], said[2], said[0], None)
            else:
                self._take(said.question, said.answer, said.setting, said.row.get("tools"))  # type: ignore[union-attr]
            if self._chars >= BLOCK_CHARS and (self.numba is not None or self.count >= COMPILED_FROM):
                self._flush()

    def _take(self, question: str, answer: str | None, system: str, tools: Any) -> None:
        self._texts.append(question)
        self._chars += len(question)
        answers, contexts, systems = self._columns
        answers.append(0 if answer is None else self._key(answer) & _MASK or 1)
        key = self._key(system) & _MASK
        systems.append(key)
        contexts.append(key if not tools else self._key(system + json.dumps(tools, sort_keys=True)) & _MASK)
        self.count += 1

    def _flush(self) -> None:
        self._keep(hash_texts(self._texts, compiled=use_compiled(self.count, self.numba)))
        self._texts, self._chars = [], 0

    def _keep(self, hashed: HashedTexts | Fingerprints) -> None:
        self._shingles.add(hashed.shingles)
        self._grams.add(hashed.grams)
        self._parts.append((hashed.key, hashed.exact))

    def add_prints(self, prints: Fingerprints) -> None:
        """Add rows hashed elsewhere; if in another process all of them, as its keys are not those of `add_rows`."""
        self._keep(prints)
        for column, keys in zip(self._columns, (prints.answer, prints.context, prints.system), strict=True):
            column.frombytes(keys.tobytes())
        self.count += len(prints)

    def finish(self, fetch: Fetch) -> Fingerprints:
        """Return all rows without the template."""
        return without_template(self.collected(), fetch)

    def collected(self) -> Fingerprints:
        """Return all rows as they are."""
        self._flush()
        key, exact = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        self._parts.clear()
        answer, context, system = (np.frombuffer(c, np.uint64) if c else np.zeros(0, np.uint64) for c in self._columns)
        return Fingerprints(self._shingles.finish(), self._grams.finish(), key, exact, answer, context, system)


_MASK = 0xFFFFFFFFFFFFFFFF


class _Shared:
    """Rows and the fingerprints of as many of them as were asked about."""

    def __init__(self, rows: list[Example]) -> None:
        self.rows = rows
        self.numba: bool | None = None
        self.prints: Fingerprints | None = None

    def of(self, places: I64) -> Fingerprints:
        """Return the fingerprints of the rows at these places. New rows are hashed by the engine of the others."""
        if self.numba is None:
            self.numba = use_compiled(len(self.rows))
        if self.prints is None or len(self.prints) < len(self.rows):
            collector = Collector(self.numba)
            collector.add_rows(self.rows[len(self.prints or ()) :])
            fresh = collector.collected()
            self.prints = fresh if self.prints is None else self.prints.followed_by(fresh)
        return self.prints.take(places)


class Fingerprinted(Sequence[Example]):
    """Rows that are held, with fingerprints that are computed once, when they are first asked for.

    `take` and `followed_by` give other selections that share them, so that dedup, split and the checks of drafts hash
    no row twice. The template is taken off for each selection by itself: what comes out is what the plain rows give.
    """

    def __init__(self, rows: Iterable[Example] = ()) -> None:
        self._shared = _Shared(list(rows))
        self._places: I64 = np.arange(len(self._shared.rows))

    def take(self, places: Iterable[int]) -> Fingerprinted:
        """Return the rows at these places of this selection."""
        return self._selected(self._places[np.fromiter(places, np.int64)])

    def followed_by(self, rows: Iterable[Example]) -> Fingerprinted:
        """Return this selection and then more rows."""
        every, first = self._shared.rows, len(self._shared.rows)
        every.extend(rows)
        return self._selected(np.concatenate((self._places, np.arange(first, len(every)))))

    def _selected(self, places: I64) -> Fingerprinted:
        other = Fingerprinted()
        other._shared, other._places = self._shared, places
        return other

    def prints(self) -> Fingerprints:
        """Return the fingerprints of this selection, its template taken off."""
        return without_template(self._shared.of(self._places), held(self))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self._shared.rows[place] for place in self._places[index].tolist()]
        return self._shared.rows[int(self._places[index])]


def fingerprints(examples: Sequence[Example], numba: bool | None = None) -> Fingerprints:
    """Return the fingerprints of rows that are held; of `Fingerprinted` rows those that are known already."""
    if isinstance(examples, Fingerprinted):
        return examples.prints()
    collector = Collector(use_compiled(len(examples), numba))
    collector.add_rows(examples)
    return collector.finish(held(examples))


def without_template(prints: Fingerprints, fetch: Fetch) -> Fingerprints:
    """Take from rows with an answer the question shingles that are in more than 10% of them (and in 20)."""
    answered = prints.answer != 0
    common, most = common_hashes(prints.shingles, np.flatnonzero(answered))
    if not len(common):
        return prints
    rest, keys, left_out = Growing(), [], 0
    for begin in range(0, len(prints), ROWS_AT_ONCE):
        rows = np.arange(begin, min(begin + ROWS_AT_ONCE, len(prints)))
        whole = prints.shingles.take(rows)
        part = stripped(whole, common, answered[rows])
        left_out += len(whole.hashes) - len(part.hashes)
        rest.add(part)
        keys.append(set_keys(part))
    name = _named(fetch([most])[0].question, common) if left_out else ""
    return replace(prints, shingles=rest.finish(), key=np.concatenate(keys), template=name)


def stripped(sets: Sets, common: U32, answered: npt.NDArray[np.bool_]) -> Sets:
    """Return the sets of answered rows without the common hashes, unless nothing would remain."""
    owners = sets.owners()
    keep = ~np.isin(sets.hashes, common) | ~answered[owners]
    keep |= np.bincount(owners[keep], minlength=len(sets))[owners] == 0
    return Sets(sets.hashes[keep], offsets(np.bincount(owners[keep], minlength=len(sets))))


def common_hashes(shingles: Sets, answered: I64) -> tuple[U32, int]:
    """Return the template's hashes, ascending, and the row that holds most of them (-1 if there is none)."""
    indices = answered[np.array(drawn(len(answered)), np.int64)]
    sample = shingles.take(indices)
    found, count = np.unique(sample.hashes, return_counts=True)
    common = found[is_common(count, len(indices))]
    if not len(common):
        return common, -1
    held = np.bincount(sample.owners()[np.isin(sample.hashes, common)], minlength=len(sample))
    return common, int(indices[held.argmax()])


def _named(question: str, common: U32) -> str:
    """Return the template in words: hash each shingle of the question by itself and see which are common."""
    parts = sorted(shingles(question))
    hashes = hash_texts([" ".join(part) for part in parts], grams=False).shingles.hashes
    return covered(question, frozenset(p for p, c in zip(parts, np.isin(hashes, common), strict=True) if c))


def fold(*keys: npt.NDArray[np.uint64]) -> U64:
    """Return one key of several columns."""
    out = np.zeros(len(keys[0]), np.uint64)
    for key in keys:
        out = mix(out * np.uint64(0x9E3779B97F4A7C15) + key)
    return out
