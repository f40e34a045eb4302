"""One pass over the train rows. What is kept grows with the test side: a gram that stands in very many rows is
counted on, but no longer noted row by row."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from curation.example import Example, text_of
from curation.join import SLACK, jaccard_of
from curation.leakage.grams import GRAM, Words, words_of
from curation.leakage.index import TestIndex
from curation.prints import use_compiled
from curation.shingling import BLOCK_CHARS, I64, U32, U64, hash_texts, offsets
from curation.similarity import SHORT_THRESHOLD
from curation.similarity.template import SAMPLE, SEED
from curation.similarity.words import SHORT

NOTED = 256
"""Rows that are noted for one gram."""


@dataclass
class Scan:
    """What the pass found. Pairs of arrays are (train row, gram), (train row, part) and (train row, test item).

    `count` has for each gram the number of rows that hold it. `asked` has for each part that is an answer the keys
    of up to two different questions that train gives it to. `sample` are up to 10,000 questions of rows with an
    answer, drawn by a fixed seed, on which the template is counted.
    """

    rows: int = 0
    count: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    hits: list[tuple[I64, I64]] = field(default_factory=list)
    same_words: list[tuple[I64, I64]] = field(default_factory=list)
    short_near: list[tuple[I64, I64]] = field(default_factory=list)
    nature: dict[int, int] = field(default_factory=dict)
    asked: dict[int, set[int]] = field(default_factory=dict)
    sample: list[str] = field(default_factory=list)


@dataclass
class _Block:
    """Texts of consecutive rows. `owner` is the row of each text; `question` and `answer` are, for each row, the
    places of the two among the texts (-1: no answer)."""

    first: int
    texts: list[str] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    question: list[int] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)

    def add(self, example: Example) -> int:
        """Take the row's messages and, where it is not one of them, its whole question; return the characters."""
        row, begin = self.first + len(self.question), len(self.texts)
        texts = [text_of(m.get("content")) for m in example.messages]
        last = len(texts) - 1
        question = example.question
        if question in texts[: last + (not example.is_answered)]:
            place = texts.index(question)
        else:
            place = len(texts)
            texts.append(question)
        self.question.append(begin + place)
        self.answer.append(begin + last if example.is_answered else -1)
        self.texts += texts
        self.owner += [row] * len(texts)
        return sum(map(len, texts))


def scan_train(train: Iterable[Example], index: TestIndex, numba: bool | None = None) -> Scan:
    """Pass over the train rows once; `numba` as in `curation.prints.use_compiled`."""
    scan = Scan(count=np.zeros(len(index.table), np.int64))
    draw = random.Random(SEED)
    for block in _blocks(train, scan, draw):
        _take(scan, index, block, use_compiled(scan.rows, numba))
    return scan


def _blocks(train: Iterable[Example], scan: Scan, draw: random.Random) -> Iterator[_Block]:
    """Cut the rows into blocks of about a million characters; draw the template's sample on the way."""
    block, size, answered = _Block(0), 0, 0
    for example in train:
        size += block.add(example)
        scan.rows += 1
        if example.is_answered:
            answered += 1
            if len(scan.sample) < SAMPLE:
                scan.sample.append(example.question)
            elif (place := draw.randrange(answered)) < SAMPLE:
                scan.sample[place] = example.question
        if size >= BLOCK_CHARS:
            yield block
            block, size = _Block(scan.rows), 0
    yield block


def _take(scan: Scan, index: TestIndex, block: _Block, compiled: bool) -> None:
    words = words_of(block.texts, compiled=compiled)
    owner = np.array(block.owner, np.int64)
    keys = words.sequence_keys()
    _note_same_words(scan, index, keys, owner)
    _note_answers(scan, index, block, keys)
    _note_grams(scan, index, words, owner, compiled)
    _note_short(scan, index, block, words.counts, compiled)


def _lookup(table: U64, keys: U64) -> tuple[I64, I64]:
    """Places in `keys` whose key stands in the ascending `table`, and where in the table it first stands."""
    at = np.searchsorted(table, keys)
    at[at == len(table)] = 0
    found = np.flatnonzero(table[at] == keys) if len(table) else np.zeros(0, np.int64)
    return found, at[found]


def _note_same_words(scan: Scan, index: TestIndex, keys: U64, owner: I64) -> None:
    """Texts with the same words as a part."""
    order = np.argsort(index.sequence, kind="stable")
    table = index.sequence[order]
    places = np.flatnonzero(keys)
    left, right = np.searchsorted(table, keys[places]), np.searchsorted(table, keys[places], "right")
    count = right - left
    if count.any():
        inner = np.arange(count.sum()) - np.repeat(offsets(count)[:-1], count)
        scan.same_words.append((np.repeat(owner[places], count), order[np.repeat(left, count) + inner]))


def _note_answers(scan: Scan, index: TestIndex, block: _Block, keys: U64) -> None:
    """For each answer part, which questions train rows with the same answer ask."""
    parts = np.flatnonzero(index.is_answer)
    rows = np.flatnonzero(np.array(block.answer, np.int64) >= 0)
    if not len(parts) or not len(rows):
        return
    answers = keys[np.array(block.answer, np.int64)[rows]]
    questions = keys[np.array(block.question, np.int64)[rows]]
    order = parts[np.argsort(index.sequence[parts], kind="stable")]
    found, at = _lookup(index.sequence[order], answers)
    for place, question in zip(at.tolist(), questions[found].tolist(), strict=True):
        asked = scan.asked.setdefault(int(index.sequence[order[place]]), set())
        if len(asked) < 2:
            asked.add(question)


def _note_grams(scan: Scan, index: TestIndex, words: Words, owner: I64, compiled: bool) -> None:
    """Which rows hold which grams of the table; and the nature of each such row, equal for copies of it."""
    rows, numbers = [], []
    for size in index.sizes:
        text, hashes = words.grams(size)
        found, at = _lookup(index.table, hashes)
        rows.append(owner[text[found]])
        numbers.append(at)
        if size == GRAM and len(found):
            _note_nature(scan, owner[text], hashes, np.unique(owner[text[found]]))
    if not rows:
        return
    pairs = np.unique(np.concatenate(rows) * len(index.table) + np.concatenate(numbers))
    row, number = pairs // len(index.table), pairs % len(index.table)
    noted = scan.count[number] < NOTED
    scan.count += np.bincount(number, minlength=len(index.table))
    scan.hits.append((row[noted], number[noted]))


def _note_nature(scan: Scan, owner: I64, hashes: U64, rows: I64) -> None:
    """The least gram of each of `rows`: copies of a row, and most lightly edited copies, have the same."""
    starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    least = np.minimum.reduceat(hashes, starts)
    here = np.searchsorted(owner[starts], rows)
    scan.nature.update(zip(rows.tolist(), least[here].tolist(), strict=True))


def _note_short(scan: Scan, index: TestIndex, block: _Block, counts: I64, compiled: bool) -> None:
    """Short train questions that are near a short test question by characters."""
    places = np.array(block.question, np.int64)
    short = np.flatnonzero((counts[places] > 0) & (counts[places] < SHORT))
    if not len(index.rare[0]) or not len(short):
        return
    grams = hash_texts([block.texts[int(p)] for p in places[short]], compiled=compiled).grams
    rows, items = _candidates(index, grams.hashes, grams.owners())
    score = jaccard_of(grams, index.grams, rows, items, compiled=compiled)
    near = score >= SHORT_THRESHOLD - SLACK
    scan.short_near.append((block.first + short[rows[near]], items[near]))


def _candidates(index: TestIndex, hashes: U32, owner: I64) -> tuple[I64, I64]:
    """Pairs of a train question and a test item that share one of the item's rare grams."""
    table, items = index.rare
    keys = hashes.astype(np.uint64)
    left, right = np.searchsorted(table, keys), np.searchsorted(table, keys, "right")
    count = right - left
    inner = np.arange(count.sum()) - np.repeat(offsets(count)[:-1], count)
    pairs = np.unique((np.repeat(owner, count) << 32) | items[np.repeat(left, count) + inner])
    return pairs >> 32, pairs & 0xFFFFFFFF
