"""Fingerprints of rows: all that dedup and split need to know of a row, in a few numbers instead of its text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.shingling import (
    BLOCK_CHARS,
    I32,
    I64,
    U32,
    U64,
    Hashed,
    Sets,
    hash_texts,
    join_hashed,
    mix,
    offsets,
)
from curation.similarity.template import covered, drawn, is_common
from curation.similarity.words import SHINGLE, words
from workspace.extras import installed

COMPILED_FROM = 20_000
"""Rows from which compiling pays, and compiled code that is kept from an earlier run is loaded."""


class Source(Protocol):
    """Rows that can be looked at again, by their index in input order."""

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """The rows at `indices`."""
        ...


class InMemory:
    """Rows that are held."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """The rows at `indices`."""
        return [self.examples[index] for index in indices]


@dataclass(frozen=True, slots=True)
class Prints:
    """One entry a row. `answer` is 0 where there is none; `context` covers system message and tools.

    Equal keys mean equal texts but for a chance of about rows^2 / 2^65.
    """

    shingles: Sets
    grams: Sets
    exact: U64
    words: I32
    answer: U64
    context: U64
    system: U64
    template: str = ""

    def __len__(self) -> int:
        return len(self.exact)


def use_compiled(rows: int, numba: bool | None = None) -> bool:
    """Whether numba's code is used: from 20,000 rows on, where numba is installed; `numba` decides otherwise."""
    return (rows >= COMPILED_FROM and installed("numba")) if numba is None else numba


class Collector:
    """Takes rows one at a time, keeps their fingerprints."""

    def __init__(self, numba: bool | None = None) -> None:
        self.numba = numba
        self.count = 0
        self._texts: list[str] = []
        self._chars = 0
        self._parts: list[Hashed] = []
        self._answers: list[int] = []
        self._contexts: list[int] = []
        self._systems: list[int] = []

    def add(self, example: Example) -> None:
        """One more row."""
        question, answer, system = example.question, example.answer, example.system
        tools = example.row.get("tools")
        self._texts.append(question)
        self._answers.append(0 if answer is None else _key(answer))
        self._systems.append(_key(system))
        self._contexts.append(_key(system) if not tools else _key(system + json.dumps(tools, sort_keys=True)))
        self.count += 1
        self._chars += len(question)
        if self._chars >= BLOCK_CHARS and (self.numba is not None or self.count >= COMPILED_FROM):
            self._flush()

    def finish(self, source: Source) -> Prints:
        """All rows, the template taken off."""
        self._flush()
        hashed = join_hashed(self._parts)
        columns = [np.array(c, np.uint64) for c in (self._answers, self._contexts, self._systems)]
        prints = Prints(hashed.shingles, hashed.grams, hashed.exact, hashed.words, *columns)
        return without_template(prints, source)

    def _flush(self) -> None:
        self._parts.append(hash_texts(self._texts, compiled=use_compiled(self.count, self.numba)))
        self._texts, self._chars = [], 0


def fingerprints(examples: Sequence[Example], numba: bool | None = None) -> Prints:
    """The fingerprints of rows that are held."""
    collector = Collector(use_compiled(len(examples), numba))
    for example in examples:
        collector.add(example)
    return collector.finish(InMemory(examples))


def without_template(prints: Prints, source: Source) -> Prints:
    """The rows with an answer lose the question shingles that stand in more than 10% of them (and in 20)."""
    answered = np.flatnonzero(prints.answer)
    common, first = common_hashes(prints.shingles, answered)
    if not len(common):
        return prints
    keep = ~np.isin(prints.shingles.hashes, common)
    keep |= ~np.isin(prints.shingles.owners(), answered)
    left = np.bincount(prints.shingles.owners()[keep], minlength=len(prints))
    keep |= left[prints.shingles.owners()] == 0
    sizes = np.bincount(prints.shingles.owners()[keep], minlength=len(prints))
    stripped = Sets(prints.shingles.hashes[keep], offsets(sizes))
    return replace(prints, shingles=stripped, template=_named(source.fetch([first])[0].question, common))


def common_hashes(shingles: Sets, answered: I64) -> tuple[U32, int]:
    """The template's hashes, ascending, and the row that holds most of them (-1 where there is none)."""
    indices = answered[np.array(drawn(len(answered)), np.int64)] if len(answered) else answered
    sample = shingles.take(indices)
    found, count = np.unique(sample.hashes, return_counts=True)
    common = found[[is_common(c, len(indices)) for c in count.tolist()]] if len(count) else found
    if not len(common):
        return common, -1
    held = np.bincount(sample.owners()[np.isin(sample.hashes, common)], minlength=len(sample))
    return common, int(indices[held.argmax()])


def _named(question: str, common: U32) -> str:
    """The template in words: hash each shingle of the question by itself and see which are common."""
    tokens = words(question)
    parts = sorted({" ".join(tokens[i : i + SHINGLE]) for i in range(max(1, len(tokens) - SHINGLE + 1))})
    hashes = hash_texts(parts, grams=False).shingles.hashes
    return covered(question, frozenset(p for p, c in zip(parts, np.isin(hashes, common), strict=True) if c))


def set_keys(sets: Sets) -> U64:
    """A 64-bit key of each set: equal sets have equal keys; empty sets have 0."""
    sums = np.zeros(len(sets) + 1, np.uint64)
    running = np.concatenate((np.zeros(1, np.uint64), np.cumsum(mix(sets.hashes.astype(np.uint64) + np.uint64(1)))))
    sums = running[sets.starts[1:]] - running[sets.starts[:-1]]
    return mix(sums + sets.sizes.astype(np.uint64))


def fold(*keys: npt.NDArray[np.uint64]) -> U64:
    """One key of several columns."""
    out = np.zeros(len(keys[0]), np.uint64)
    for key in keys:
        out = mix(out * np.uint64(0x9E3779B97F4A7C15) + key)
    return out


def _key(text: str) -> int:
    """A 64-bit key of a text that holds within this process, never 0."""
    return hash(text) & 0xFFFFFFFFFFFFFFFF or 1


def as_examples(rows: Iterable[Example]) -> Sequence[Example]:
    """A sequence that can be indexed."""
    return rows if isinstance(rows, Sequence) else list(rows)
