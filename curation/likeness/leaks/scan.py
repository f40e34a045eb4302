"""One pass over the train rows. Memory grows with the test side: very common grams are only counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.example import Example, all_texts, aside_texts
from curation.likeness import SHORT_THRESHOLD
from curation.likeness.fingerprints import COMPILED_FROM, COMPILED_FROM_CHARS, use_compiled
from curation.likeness.hashing import BASE, BLOCK_CHARS, Hashes, grams_of, with_bytes, words_of
from curation.likeness.join import distinct, jaccard_of
from curation.likeness.leaks.folded import folded
from curation.likeness.leaks.index import (
    GRAM_WORDS,
    NO_ANSWER,
    TestIndex,
    build_index,
    least_shared,
    places_in,
    rarest,
)
from curation.likeness.sets import I32, I64, SLACK, U32, U64, Sets, bit_counts, earlier, offsets, top
from curation.likeness.words import SAMPLE, SEED, SHORT
from curation.rows.row import Said
from curation.rows.rowfile import RowFile


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Texts of consecutive rows. `owner` is the row of each text, and `aside` whether it is beside what the messages
    say; `question` and `answer` are, for each row, the places of the two among the texts (-1: no answer); `size` is the
    number of characters.
    """

    texts: list[str]
    owner: I64
    aside: npt.NDArray[np.bool_]
    question: I64
    answer: I64
    size: int


def blocks_of(train: Iterable[Example]) -> Iterator[TextBlock]:
    """Yield all rows in blocks of about a million characters."""
    rows: Iterable[Said] = train.said() if isinstance(train, RowFile) else train
    first = size = 0
    texts: list[str] = []
    ends, questions, answers, asides = [0], list[int](), list[int](), list[int]()

    def block() -> TextBlock:
        owner = np.repeat(np.arange(first, first + len(questions)), np.diff(ends))
        found = texts if "".join(texts).isascii() else [text if text.isascii() else folded(text) for text in texts]
        aside = np.zeros(len(texts), np.bool_)
        aside[asides] = True
        return TextBlock(found, owner, aside, np.array(questions, np.int64), np.array(answers, np.int64), size)

    for row in rows:
        begin = len(texts)
        if isinstance(row, Example):
            place, answered = _add(texts, row)
            said = len(texts)
            texts += [each.text for each in aside_texts(row)]
            asides += range(said, len(texts))
        else:
            system, question, answer = row
            texts += [system, question] if system else [question]
            place, answered = len(texts) - 1, -1
            if answer is not None:
                answered = len(texts)
                texts.append(answer)
        size += sum(map(len, texts[begin:]))
        questions.append(place)
        answers.append(answered)
        ends.append(len(texts))
        if size >= BLOCK_CHARS:
            yield block()
            first, size, texts, ends, questions, answers = first + len(questions), 0, [], [0], [], []
            asides = []
    yield block()


def _add(texts: list[str], example: Example) -> tuple[int, int]:
    """Add a row's texts; the places of its question and of its answer."""
    begin, last = len(texts), len(example.messages) - 1
    texts.extend(all_texts(example) if example.messages else [])
    own = texts[begin : begin + last + (not example.is_answered)]
    if example.question not in own:
        texts.append(example.question)
    place = begin + own.index(example.question) if example.question in own else len(texts) - 1
    return place, begin + last if example.is_answered else -1


class Sample:
    """Up to 10,000 questions of rows with an answer, drawn by a fixed seed, however the rows come in."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._draw = np.random.default_rng(SEED)
        self._seen = 0

    def add(self, block: TextBlock) -> None:
        """Add a question; each one so far is drawn with equal probability."""
        places = block.question[block.answer >= 0]
        fresh = max(0, min(len(places), SAMPLE - self._seen))
        self.texts += [block.texts[at] for at in places[:fresh].tolist()]
        drawn = self._draw.random(len(places) - fresh) * np.arange(self._seen + fresh, self._seen + len(places))
        for lucky in np.flatnonzero(drawn < SAMPLE).tolist():
            self.texts[int(drawn[lucky])] = block.texts[int(places[fresh + lucky])]
        self._seen += len(places)


OTHERS = 16
"""Short near train questions with another answer that are noted for one test item."""
NOTED = 128
"""Rows that are noted for one gram."""
ROWS_EACH, PARTS_EACH = 8, 2
"""Of texts with the same words, where many are on both sides: the train rows that are noted for each part, and the
parts for each train row. All pairs would be as many as the one side times the other.
"""
ORDERS = 6
"""Orders of all grams by which a row's nature is its least gram. By one alone a phrase that happens to come first makes
copies of all rows that share it.
"""
NO_GRAM = np.uint32(0xFFFFFFFF)
"""Nature of a text that has no gram."""


class ShortNear(NamedTuple):
    """Pairs of a train row and a test item with near short questions; `open` where the answers may be the same."""

    row: I64
    item: I64
    open: npt.NDArray[np.bool_]


class Scan:
    """Matches of the test items in `index`, from one pass over the train rows. Pairs of arrays are (train row, gram)
    and (train row, part).

    `nature` has for rows with a hit their `natures_of`, which copies of a row share; `count` for each gram the number
    of rows that hold it; `asked` for each part that is an answer the keys of up to two different questions that train
    gives it to; `met`, by place in the index's `by_key`, how many texts had the words of the parts that begin there;
    `others` for each item how many short near questions with another answer were met (some are not
    noted). On `sample` the template is counted.
    """

    def __init__(self, index: TestIndex, compiled: bool) -> None:
        self.index, self.compiled, self.rows = index, compiled, 0
        self.count: I64 = np.zeros(len(index.table), np.int64)
        self.hits: list[tuple[I32, I32]] = []
        self.same_words: list[tuple[I64, I64]] = []
        self.short_near: list[ShortNear] = []
        self.nature: list[U32] = []
        self.asked: dict[int, set[int]] = {}
        self.others: I64 = np.zeros(len(index.answers), np.int64)
        self.met: I64 = np.zeros(len(index.sequence), np.int64)
        self.sample = Sample()

    def take(self, block: TextBlock) -> None:
        """Look at the rows of one more block."""
        self.rows += len(block.question)
        self.sample.add(block)
        words = words_of(block.texts, compiled=self.compiled)
        keys = with_bytes(words.sequence_keys(), block.texts)
        self._note_grams(words, block)
        self._note_same_words(keys, block.owner)
        self._note_answers(block, keys)
        self._note_short(block, words.counts, keys)

    def take_hits(self) -> tuple[I64, I64]:
        """All rows and the grams they hold, given away. There may be NOTED for each gram: they are held as 32 bits."""
        none: list[I32] = [np.zeros(0, np.int32)]
        rows = np.concatenate([r for r, _ in self.hits] or none, dtype=np.int64)
        numbers = np.concatenate([g for _, g in self.hits] or none, dtype=np.int64)
        self.hits.clear()
        return rows, numbers

    def _note_same_words(self, keys: U64, owner: I64) -> None:
        """Texts with the same words as a part: each part's first rows, and each row's first parts."""
        table, order = self.index.by_key
        places, left = places_in(table, keys)
        count = np.searchsorted(table, keys[places], "right") - left
        before = self.met[left] + earlier(left)
        np.add.at(self.met, left, 1)
        count = np.where(before < ROWS_EACH, count, np.minimum(count, PARTS_EACH))
        inner = np.arange(count.sum()) - np.repeat(offsets(count)[:-1], count)
        self.same_words.append((np.repeat(owner[places], count), order[np.repeat(left, count) + inner]))

    def _note_answers(self, block: TextBlock, keys: U64) -> None:
        """Record for each answer part the questions of the train rows with the same answer."""
        rows = np.flatnonzero(block.answer >= 0)
        answers = keys[block.answer[rows]]
        questions = keys[block.question[rows]]
        table, order = self.index.by_key
        found, _ = places_in(table[self.index.is_answer[order]], answers)
        for key, question in zip(answers[found].tolist(), questions[found].tolist(), strict=True):
            asked = self.asked.setdefault(key, set())
            if len(asked) < 2:
                asked.add(question)

    def _note_grams(self, words: Hashes, block: TextBlock) -> None:
        """Record the rows that hold each gram of the table, and the nature of each such row, equal for its copies.

        The nature is that of what the messages say: rows that name the same tools are no copies.
        """
        owner = block.owner
        rows, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        text, threes = words.grams(GRAM_WORDS)
        for size in self.index.sizes:
            owners, hashes = (text, threes) if size == GRAM_WORDS else words.grams(size)
            found, number = self.index.lookup(hashes)
            rows.append(owner[owners[found]])
            numbers.append(number)
        grams = max(1, len(self.count))
        pairs = distinct(np.concatenate(rows) * grams + np.concatenate(numbers))
        row, number = pairs // grams, pairs % grams
        before, some = self.count, self.count[number] < NOTED
        self.count = before + np.bincount(number, minlength=len(before))
        row, number = row[some], number[some]
        noted = before[number] + earlier(number) < NOTED
        self.hits.append((row[noted].astype(np.int32), number[noted].astype(np.int32)))
        said = ~block.aside[text]
        self.nature.append(natures_of(owner[text[said]], threes[said], distinct(row[noted])))

    def _note_short(self, block: TextBlock, counts: I64, keys: U64) -> None:
        """Short train questions near a short test question by characters, not words; few with another answer."""
        index = self.index
        short = np.flatnonzero((counts[block.question] > 0) & (counts[block.question] < SHORT))
        if not len(index.short.values) or not len(short):
            return
        places = block.question[short]
        answers = np.where(block.answer[short] >= 0, keys[block.answer[short]], NO_ANSWER)
        grams = grams_of([block.texts[place] for place in places.tolist()])
        rows, items = _candidates(index, grams)
        near = jaccard_of(grams, index.grams, rows, items) >= SHORT_THRESHOLD - SLACK
        near &= keys[places][rows] != index.sequence[items]
        rows, items = rows[near], items[near]
        open_ = (answers[rows] == index.answers[items]) | index.odd[items]
        keep = open_.copy()
        for place in np.flatnonzero(~keep).tolist():
            keep[place] = self.others[items[place]] < OTHERS
            self.others[items[place]] += 1
        self.short_near.append(ShortNear(int(block.owner[0]) + short[rows[keep]], items[keep], open_[keep]))


def scan_train(
    train: Iterable[Example], test: Sequence[Example], numba: bool | None = None, index: TestIndex | None = None
) -> Scan:
    """Pass over the train rows once; `numba` as in `curation.likeness.fingerprints.use_compiled`: the first rows wait
    to see whether compiled code is worth its start. `index`: that of the test items, where it is known already.
    """
    blocks, waiting, rows, size = blocks_of(train), list[TextBlock](), 0, 0
    for block in blocks:
        waiting.append(block)
        rows, size = rows + len(block.question), size + block.size
        if numba is not None or rows >= COMPILED_FROM or size >= COMPILED_FROM_CHARS:
            break
    compiled = use_compiled(rows, numba, size)
    scan = Scan(index or build_index(test, compiled=compiled), compiled)
    while waiting:
        scan.take(waiting.pop(0))
    for block in blocks:
        scan.take(block)
    return scan


def natures_of(owner: I64, hashes: U64, rows: I64) -> U32:
    """Return, in each of the orders (first axis), the least gram of each of `rows`, all ones where it has none: copies
    of a row, and most lightly edited copies, have the same. `owner` is the row of each gram, ascending.
    """
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    here = np.searchsorted(owner[starts], rows)
    known = np.append(owner[starts], -1)[here] == rows
    out = np.full((ORDERS, len(rows)), NO_GRAM)
    if known.any():
        for nature, ranks in zip(out, in_orders(hashes), strict=True):
            nature[known] = np.minimum.reduceat(ranks, starts)[here[known]]
    return out


def in_orders(grams: U64) -> Iterator[U32]:
    """Yield the ranks of the grams in each order: 32 bits of the hash or of a multiple, from below and from above."""
    for ranks in (grams.astype(np.uint32), top(grams), top(grams * BASE)):
        yield ranks
        yield ~ranks


def _candidates(index: TestIndex, grams: Sets) -> tuple[I64, I64]:
    """Pairs of a train question and a test item that share one of the rarest grams of both, and few enough of whose
    grams are surely not shared.

    Grams that the test side does not hold are the rarest of all.
    """
    short = index.short
    known = offsets(short.known[grams.hashes & 0xFFFFF])[grams.starts]
    room = np.diff(known) - least_shared(grams.sizes) + 1
    some = np.flatnonzero((room > 0)[grams.owners()])
    found, number = places_in(short.values, grams.hashes[some])
    owner, ranks = rarest(grams.owners()[some[found]], short.rank[number], room)
    left, right = np.searchsorted(short.ranks, ranks), np.searchsorted(short.ranks, ranks, "right")
    count = right - left
    inner = np.arange(count.sum()) - np.repeat(offsets(count)[:-1], count)
    rows, items = np.repeat(owner, count), short.items[np.repeat(left, count) + inner]
    pairs = distinct((rows << 32) | items)
    rows, items = pairs >> 32, pairs & 0xFFFFFFFF
    one, other = grams.sizes[rows], index.grams.sizes[items]
    need = np.ceil(SHORT_THRESHOLD / (1 + SHORT_THRESHOLD) * (one + other) - SLACK)
    mine, held = grams.bits()[rows], short.bits[items]
    alike = bit_counts(mine & ~held) <= one - need
    alike &= bit_counts(held & ~mine) <= other - need
    return rows[alike], items[alike]
