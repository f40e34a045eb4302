"""One pass over the train rows. What is kept grows with the test side: a gram that stands in very many rows is
counted on, but no longer noted row by row.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.codes import BLOCK_CHARS, Encoded, encoded
from curation.example import Example, text_of
from curation.join import SLACK, distinct, jaccard_of
from curation.leakage.grams import GRAM, Words, with_bytes, words_of
from curation.leakage.index import NO_ANSWER, TestIndex
from curation.prints import use_compiled
from curation.rowfiles import RowFiles
from curation.sets import I64, U64, Sets, offsets
from curation.shingling import hash_texts
from curation.similarity import SHORT_THRESHOLD
from curation.similarity.template import SAMPLE, SEED
from curation.similarity.words import SHORT

WAITING = 32
"""Blocks that are held before the way to scan is chosen."""
NOTED = 128
"""Rows that are noted for one gram."""


class ShortNear(NamedTuple):
    """Pairs of a train row and a test item with near short questions; `open` where the answers may be the same."""

    row: I64
    item: I64
    score: npt.NDArray[np.float64]
    open: npt.NDArray[np.bool_]


@dataclass
class Scan:
    """What the pass found. Pairs of arrays are (train row, gram), (train row, part) and (train row, test item).

    `nature` has for rows with a hit their least gram, which copies of a row share; `count` for each gram the number
    of rows that hold it; `asked` for each part that is an answer the keys of up to two different questions that train
    gives it to. `sample` are up to 10,000 questions of rows with an answer, drawn by a fixed seed, on which the
    template is counted.
    """

    rows: int = 0
    count: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    hits: list[tuple[I64, I64]] = field(default_factory=list)
    same_words: list[tuple[I64, I64]] = field(default_factory=list)
    short_near: list[ShortNear] = field(default_factory=list)
    nature: list[tuple[I64, U64]] = field(default_factory=list)
    asked: dict[int, set[int]] = field(default_factory=dict)
    sample: list[str] = field(default_factory=list)
    probe: Any = None


class _Block:
    """Texts of consecutive rows. `owner` is the row of each text; `question` and `answer` are, for each row, the
    places of the two among the texts (-1: no answer).
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.texts: list[str] = []
        self.owner: list[int] = []
        self.question: list[int] = []
        self.answer: list[int] = []
        self.size = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row's messages and, where it is not one of them, its whole question."""
        number, place = self.first + len(self.question), len(self.texts)
        messages = row.get("messages")
        if messages is not None and len(messages) == 2 and messages[1]["role"] == "assistant":
            question, answer = messages[0].get("content"), messages[1].get("content")
            if type(question) is type(answer) is str:
                self.texts += (question, answer)
                self.owner += (number, number)
                self.question.append(place)
                self.answer.append(place + 1)
                self.size += len(question) + len(answer)
                return
        self._add_any(Example(row), number, place)

    def _add_any(self, example: Example, number: int, begin: int) -> None:
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
        self.owner += [number] * len(texts)
        self.size += sum(map(len, texts))


def scan_train(train: Iterable[Example], index: TestIndex, numba: bool | None = None) -> Scan:
    """Pass over the train rows once; `numba` as in `curation.prints.use_compiled`."""
    scan = Scan(count=np.zeros(len(index.table), np.int64))
    waiting: list[_Block] = []
    for block in _blocks(train, scan, random.Random(SEED)):
        waiting.append(block)
        if use_compiled(scan.rows, numba) or len(waiting) == WAITING:
            _take_all(scan, index, waiting, numba)
    _take_all(scan, index, waiting, numba)
    return scan


def _take_all(scan: Scan, index: TestIndex, waiting: list[_Block], numba: bool | None) -> None:
    """Take blocks that waited to see whether compiled code is worth its start."""
    compiled = use_compiled(scan.rows, numba)
    for block in waiting:
        _take(scan, index, block, compiled)
    waiting.clear()


def _batches(train: Iterable[Example]) -> Iterator[Iterable[Mapping[str, Any]]]:
    if isinstance(train, RowFiles):
        yield from train.batches()
    else:
        yield (example.row for example in train)


def _blocks(train: Iterable[Example], scan: Scan, draw: random.Random) -> Iterator[_Block]:
    """Cut the rows into blocks of about a million characters; draw the template's sample on the way."""
    block, answered = _Block(0), 0
    for rows in _batches(train):
        for row in rows:
            block.add(row)
            scan.rows += 1
            if block.answer[-1] >= 0:
                answered += 1
                if len(scan.sample) < SAMPLE:
                    scan.sample.append(block.texts[block.question[-1]])
                elif (place := int(draw.random() * answered)) < SAMPLE:
                    scan.sample[place] = block.texts[block.question[-1]]
            if block.size >= BLOCK_CHARS:
                yield block
                block = _Block(scan.rows)
    yield block


def _take(scan: Scan, index: TestIndex, block: _Block, compiled: bool) -> None:
    owner = np.array(block.owner, np.int64)
    if compiled:
        code = encoded(block.texts)
        keys, counts = _probe_grams(scan, index, code, owner)
    else:
        words = words_of(block.texts)
        keys, counts = words.sequence_keys(), words.counts
        _note_grams(scan, index, words, owner)
    with_bytes(keys, block.texts)
    _note_same_words(scan, index, keys, owner)
    _note_answers(scan, index, block, keys)
    _note_short(scan, index, block, counts, keys, compiled)


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
    places, left = _lookup(table, keys)
    count = np.searchsorted(table, keys[places], "right") - left
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


def _note_grams(scan: Scan, index: TestIndex, words: Words, owner: I64) -> None:
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


def _probe_grams(scan: Scan, index: TestIndex, code: Encoded, owner: I64) -> tuple[U64, I64]:
    """As `_note_grams`, compiled; the keys of the texts' words, and their numbers of words."""
    if scan.probe is None:
        from curation.kernels import Probe

        scan.probe = Probe(index.table, index.sizes)
    rows, numbers, least, keys, counts = scan.probe.scan(code, owner, scan.count, NOTED)
    scan.hits.append((rows, numbers))
    if len(owner):
        starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
        _set_nature(scan, owner[starts], np.minimum.reduceat(least, starts), distinct(rows))
    return keys, counts


def _note_nature(scan: Scan, owner: I64, hashes: U64, rows: I64) -> None:
    """The least gram of each of `rows`: copies of a row, and most lightly edited copies, have the same."""
    starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    _set_nature(scan, owner[starts], np.minimum.reduceat(hashes, starts), rows)


def _set_nature(scan: Scan, owners: I64, least: U64, rows: I64) -> None:
    here = np.searchsorted(owners, rows)
    scan.nature.append((rows, least[here]))


def _note_short(scan: Scan, index: TestIndex, block: _Block, counts: I64, keys: U64, compiled: bool) -> None:
    """Short train questions that are near a short test question by characters."""
    places = np.array(block.question, np.int64)
    short = np.flatnonzero((counts[places] > 0) & (counts[places] < SHORT))
    if not len(index.rare[0]) or not len(short):
        return
    grams = hash_texts([block.texts[int(p)] for p in places[short]], compiled=compiled).grams
    rows, items, score = _near_grams(index, grams, compiled)
    rows = short[rows]
    answers = np.array(block.answer, np.int64)[rows]
    settled = np.where(answers >= 0, keys[answers], NO_ANSWER) == index.answers[items]
    scan.short_near.append(ShortNear(block.first + rows, items, score, settled | index.odd[items]))


def _near_grams(index: TestIndex, grams: Sets, compiled: bool) -> tuple[I64, I64, npt.NDArray[np.float64]]:
    """Near pairs of a text and a test item, with their similarity."""
    if compiled:
        from curation.kernels import short_near_of

        return short_near_of(grams, index.grams, index.rare, index.flags, SHORT_THRESHOLD)
    rows, items = _candidates(index, grams)
    score = jaccard_of(grams, index.grams, rows, items)
    near = score >= SHORT_THRESHOLD - SLACK
    return rows[near], items[near], score[near]


def _candidates(index: TestIndex, grams: Sets) -> tuple[I64, I64]:
    """Pairs of a train question and a test item that share one of the item's rare grams, and are of like size."""
    table, items = index.rare
    places = np.flatnonzero(index.flags[grams.hashes & 0xFFFFF])
    keys = grams.hashes[places].astype(np.uint64)
    left = np.searchsorted(table, keys)
    hit = np.flatnonzero(table[np.minimum(left, len(table) - 1)] == keys)
    left, owner = left[hit], np.searchsorted(grams.starts, places[hit], "right") - 1
    count = np.searchsorted(table, keys[hit], "right") - left
    inner = np.arange(count.sum()) - np.repeat(offsets(count)[:-1], count)
    rows, found = np.repeat(owner, count), items[np.repeat(left, count) + inner]
    one, other = grams.sizes[rows], index.grams.sizes[found]
    alike = np.minimum(one, other) >= SHORT_THRESHOLD * np.maximum(one, other) - SLACK
    pairs = distinct((rows[alike] << 32) | found[alike])
    return pairs >> 32, pairs & 0xFFFFFFFF
