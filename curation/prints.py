"""Fingerprints of rows: all that dedup and split need to know of a row, in a few numbers instead of its text."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from curation.codes import BLOCK_CHARS
from curation.columns import Columns
from curation.example import Example
from curation.lineform import Scanned
from curation.sets import I32, I64, U32, U64, Growing, Sets, mix, offsets, set_keys
from curation.shingling import Hashed, hash_scanned, hash_texts
from curation.similarity.template import covered, drawn, is_common
from curation.similarity.words import SHINGLE, words
from workspace.extras import installed

COMPILED_FROM = 20_000
"""Rows from which compiling pays, and compiled code that is kept from an earlier run is loaded."""
COMPILED_FROM_CHARS = 1 << 24
ROWS_AT_ONCE = 50_000


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
    """One entry a row. `key` is that of the shingles; `answer` is 0 where there is none; `context` covers system
    message and tools.

    Equal keys mean equal texts but for a chance of about rows^2 / 2^65.
    """

    shingles: Sets
    grams: Sets
    key: U64
    exact: U64
    words: I32
    answer: U64
    context: U64
    system: U64
    template: str = ""

    def __len__(self) -> int:
        return len(self.exact)


def use_compiled(rows: int, numba: bool | None = None, chars: int = 0) -> bool:
    """Whether numba's code is used: from 20,000 rows or 16 million characters on, where numba is installed; `numba`
    decides otherwise.
    """
    many = rows >= COMPILED_FROM or chars >= COMPILED_FROM_CHARS
    return (many and installed("numba")) if numba is None else numba


class Collector:
    """Takes rows, keeps their fingerprints. Until numba is worth its start no block is hashed. `memory`: how many of
    their hashes are held (`Growing`).
    """

    def __init__(self, numba: bool | None = None, memory: int | None = None) -> None:
        self.numba, self._memory = numba, memory
        self.count = 0
        self._texts: list[str] = []
        self._chars = 0
        self._shingles, self._grams = Growing(memory), Growing(memory)
        self._parts: list[tuple[U64, U64, I32]] = []
        self._answers, self._contexts, self._systems = array("Q"), array("Q"), array("Q")

    def add(self, example: Example) -> None:
        """One more row."""
        self._take(example.question, example.answer, example.system, example.row.get("tools"))
        self._may_flush()

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """More rows, canonical ones: the common shapes are read without an Example."""
        for row in rows:
            messages = row.get("messages")
            if messages is None and "text" in row and "tools" not in row:
                self._take_text(row["text"])
            elif messages is None or len(messages) > 3 or "tools" in row or not self._take_chat(messages):
                example = Example(row)
                self._take(example.question, example.answer, example.system, row.get("tools"))
        self._may_flush()

    def compiled(self) -> bool:
        """Whether rows from here on are hashed by compiled code."""
        return use_compiled(self.count, self.numba)

    def add_part(self, part: Scanned | Columns | Iterable[Mapping[str, Any]]) -> None:
        """More rows, as they come from files; as bytes where `compiled`."""
        if isinstance(part, Scanned):
            self._add_scanned(part)
        elif isinstance(part, Columns):
            self._add_columns(part)
        else:
            self.add_rows(part)

    def _add_columns(self, columns: Columns) -> None:
        count = len(columns.question)
        self._texts += columns.question
        self._chars += sum(map(len, columns.question))
        self._answers.frombytes(_answer_keys(columns.answer, count).tobytes())
        systems = np.full(count, _EMPTY, np.uint64) if columns.system is None else _text_keys(columns.system)
        self._systems.frombytes(systems.tobytes())
        self._contexts.frombytes(systems.tobytes())
        self.count += count
        self._may_flush()

    def _add_scanned(self, part: Scanned) -> None:
        if self._texts:
            self._flush()
        answers = part.column(part.question + 1) if part.answered else None
        systems = np.full(len(part.lines), _EMPTY, np.uint64)
        if part.question:
            systems = _text_keys(part.column(part.question - 1))
        self.add_block(hash_scanned(part), _answer_keys(answers, len(part.lines)), systems, systems)

    def _take_text(self, text: str) -> None:
        self._texts.append(text)
        self._chars += len(text)
        self._answers.append(0)
        self._contexts.append(_EMPTY)
        self._systems.append(_EMPTY)
        self.count += 1

    def _take_chat(self, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Take a question and an answer, a system message before them or none; False where it is another shape."""
        first, last = messages[0], messages[-1]
        system = ""
        if len(messages) == 3:
            if first["role"] != "system":
                return False
            system, first = first["content"], messages[1]
        question, answer = first.get("content"), last.get("content")
        if first is last or last["role"] != "assistant":
            return False
        if isinstance(question, str) and isinstance(answer, str) and isinstance(system, str):
            self._take(question, answer, system, None)
            return True
        return False

    def _take(self, question: str, answer: str | None, system: str, tools: Any) -> None:
        self._texts.append(question)
        self._chars += len(question)
        self._answers.append(0 if answer is None else hash(answer) & _MASK or 1)
        key = hash(system) & _MASK
        self._systems.append(key)
        self._contexts.append(key if not tools else hash((system, json.dumps(tools, sort_keys=True))) & _MASK)
        self.count += 1

    def _may_flush(self) -> None:
        if self._chars >= BLOCK_CHARS and (self.numba is not None or self.count >= COMPILED_FROM):
            self._flush()

    def _flush(self) -> None:
        self._keep(hash_texts(self._texts, compiled=self.compiled()))
        self._texts, self._chars = [], 0

    def _keep(self, hashed: Hashed) -> None:
        self._shingles.add(hashed.shingles)
        self._grams.add(hashed.grams)
        self._parts.append((hashed.key, hashed.exact, hashed.words))

    def add_block(self, hashed: Hashed, answers: U64, contexts: U64, systems: U64) -> None:
        """Rows that were hashed elsewhere; if in another process all of them, as its keys are not those of `add`."""
        self._keep(hashed)
        for column, keys in zip(self._columns(), (answers, contexts, systems), strict=True):
            column.frombytes(keys.tobytes())
        self.count += len(answers)

    def finish(self, source: Source) -> Prints:
        """All rows, the template taken off."""
        self._flush()
        key, exact, count = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        self._parts.clear()
        columns = [np.frombuffer(c, np.uint64) if c else np.zeros(0, np.uint64) for c in self._columns()]
        shingles, grams = self._shingles.finish(), self._grams.finish()
        prints = Prints(shingles, grams, key, exact, count, columns[0], columns[1], columns[2])
        return without_template(prints, source, self._memory)

    def _columns(self) -> tuple[array[int], array[int], array[int]]:
        return self._answers, self._contexts, self._systems


_MASK = 0xFFFFFFFFFFFFFFFF


def _answer_keys(answers: Sequence[str] | None, count: int) -> U64:
    """A key for each answer; 0 for none."""
    if answers is None:
        return np.zeros(count, np.uint64)
    keys = _text_keys(answers)
    return np.where(keys == 0, np.uint64(1), keys)


def _text_keys(texts: Sequence[str]) -> U64:
    """As `hash(text) & _MASK` of each."""
    return np.fromiter(map(hash, texts), np.int64, len(texts)).view(np.uint64)


_EMPTY = hash("") & _MASK


def fingerprints(examples: Sequence[Example], numba: bool | None = None) -> Prints:
    """The fingerprints of rows that are held."""
    collector = Collector(use_compiled(len(examples), numba))
    for example in examples:
        collector.add(example)
    return collector.finish(InMemory(examples))


def without_template(prints: Prints, source: Source, memory: int | None = None) -> Prints:
    """The rows with an answer lose the question shingles that stand in more than 10% of them (and in 20)."""
    answered = prints.answer != 0
    common, most = common_hashes(prints.shingles, np.flatnonzero(answered))
    if not len(common):
        return prints
    rest, keys = Growing(memory), []
    for begin in range(0, len(prints), ROWS_AT_ONCE):
        rows = np.arange(begin, min(begin + ROWS_AT_ONCE, len(prints)))
        part = stripped(prints.shingles.take(rows), common, answered[rows])
        rest.add(part)
        keys.append(set_keys(part))
    name = _named(source.fetch([most])[0].question, common)
    return replace(prints, shingles=rest.finish(), key=np.concatenate(keys), template=name)


def stripped(sets: Sets, common: U32, answered: npt.NDArray[np.bool_]) -> Sets:
    """The sets of answered rows without the common hashes, unless nothing would remain."""
    if not len(common):
        return sets
    owners = sets.owners()
    keep = ~np.isin(sets.hashes, common) | ~answered[owners]
    keep |= np.bincount(owners[keep], minlength=len(sets))[owners] == 0
    return Sets(sets.hashes[keep], offsets(np.bincount(owners[keep], minlength=len(sets))))


def common_hashes(shingles: Sets, answered: I64) -> tuple[U32, int]:
    """The template's hashes, ascending, and the row that holds most of them (-1 where there is none)."""
    indices = answered[np.array(drawn(len(answered)), np.int64)] if len(answered) else answered
    sample = shingles.take(indices)
    found, count = np.unique(sample.hashes, return_counts=True)
    counts, which = np.unique(count, return_inverse=True)
    common = found[np.array([is_common(c, len(indices)) for c in counts.tolist()], np.bool_)[which]]
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


def fold(*keys: npt.NDArray[np.uint64]) -> U64:
    """One key of several columns."""
    out = np.zeros(len(keys[0]), np.uint64)
    for key in keys:
        out = mix(out * np.uint64(0x9E3779B97F4A7C15) + key)
    return out


def as_examples(rows: Iterable[Example]) -> Sequence[Example]:
    """A sequence that can be indexed."""
    return rows if isinstance(rows, Sequence) else list(rows)
