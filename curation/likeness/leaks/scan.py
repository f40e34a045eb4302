"""One pass over the train rows. Memory grows with the test side: very common grams are only counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from curation.example import Example, all_texts, aside_texts
from curation.likeness.fingerprints import COMPILED_FROM, COMPILED_FROM_CHARS, use_compiled
from curation.likeness.hashing import BLOCK_CHARS, Hashes, characters_of, places_in, with_bytes, words_and_grams
from curation.likeness.join import near_across
from curation.likeness.leaks.index import LABEL_WORDS, NO_ANSWER, SUSPECTS, TestIndex, build_index, folded
from curation.likeness.sets import (
    I32,
    I64,
    U32,
    U64,
    Bools,
    Sets,
    concat,
    distinct,
    earlier,
    mix,
    offsets,
    ranges,
    set_keys,
    sums_between,
    top,
)
from curation.likeness.words import GRAM, SHORT, SHORT_THRESHOLD
from curation.rows.row import Said
from curation.rows.rowfile import RowFile

AT_ONCE = 1 << 19
"""Grams of train that are held before they are compared."""
_TO_FLAG = np.uint32(32 - 20)


class ShortQuestions:
    """The test's short questions, and those of train that may be near one, until many are compared at once.

    `found` are pairs of a train row and a test item. Of those with another answer as many are noted as are listed
    for one item. Questions with the same words are left out.
    """

    def __init__(self, index: TestIndex, compiled: bool) -> None:
        self.index, self.compiled = index, compiled
        self.found: list[tuple[I64, I64]] = []
        self._others: I64 = np.zeros(len(index.grams), np.int64)
        self._waiting: list[tuple[I64, U64, U64, Sets]] = []
        self._known = np.zeros(1 << 20, np.bool_)
        self._known[index.grams.hashes >> _TO_FLAG] = True

    def add(self, rows: I64, texts: Sequence[str], keys: U64, answers: U64) -> None:
        """Add train rows with a short question, in order, with the keys of its words and of the answer's."""
        if not len(self.index.grams.hashes):
            return
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        characters = characters_of([texts[place] for place in first.tolist()])
        likely = np.flatnonzero(self._may_be_near(characters)[which])
        sets = characters.take(which[likely]).sets(GRAM)
        self._waiting.append((rows[likely], keys[likely], answers[likely], sets))
        if sum(len(waiting[3].hashes) for waiting in self._waiting) >= AT_ONCE:
            self.compare()

    def _may_be_near(self, texts: Hashes) -> Bools:
        """True for each text of which few enough grams are in no test question. Of two sets with a Jaccard of .8 one
        has at most a quarter of what they share for itself.
        """
        owner, grams = texts.grams(GRAM)
        hashes = top(mix(grams))
        known = self._known[hashes >> _TO_FLAG]
        alone = Sets.of(owner[~known], hashes[~known], len(texts)).sizes
        return (4 * alone <= np.bincount(owner[known], minlength=len(texts))) | (texts.sizes < GRAM)

    def compare(self) -> None:
        """Find the pairs of what waits."""
        if not self._waiting:
            return
        rows, keys, answers = (np.concatenate(column) for column in list(zip(*self._waiting, strict=True))[:3])
        grams, index, items = concat([waiting[3] for waiting in self._waiting]), self.index, len(self.index.grams)
        self._waiting.clear()
        _, first, group = np.unique(set_keys(grams), return_index=True, return_inverse=True)
        near = near_across(index.grams, grams.take(first), SHORT_THRESHOLD, compiled=self.compiled)
        members, starts = np.argsort(group, kind="stable"), offsets(np.bincount(group))
        count = np.diff(starts)[near.other]
        place, item = members[ranges(starts[near.other], count)], np.repeat(near.one, count)
        order = np.lexsort((item, place))
        place, item = place[order], item[order]
        fresh = keys[place] != index.sequence[item]
        place, item = place[fresh], item[fresh]
        may_agree = (answers[place] == index.answers[item]) | index.odd[item]
        others = item[~may_agree]
        noted = may_agree.copy()
        noted[~may_agree] = self._others[others] + earlier(others) < SUSPECTS
        self._others += np.bincount(others, minlength=items)
        self.found.append((rows[place[noted]], item[noted]))


@dataclass(slots=True)
class TextBlock:
    """Texts of consecutive rows; `first` is the number of the first row, `size` the number of characters.

    By row: where its texts begin (in the end where those of the last one end), and the places of its question and its
    answer (-1: none).
    """

    first: int
    texts: list[str] = field(default_factory=list)
    begins: list[int] = field(default_factory=lambda: [0])
    question: list[int] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)
    size: int = 0

    def add(self, row: Example) -> None:
        """Add the texts of a row that may have any: its messages, and what is beside them."""
        begin, last = len(self.texts), len(row.messages) - 1
        said = all_texts(row) if row.messages else []
        asked = said[: last + (not row.is_answered)]
        if row.question not in asked:
            said.append(row.question)
        self.question.append(begin + (asked.index(row.question) if row.question in asked else len(said) - 1))
        self.answer.append(begin + last if row.is_answered else -1)
        self.texts += [*said, *(aside.text for aside in aside_texts(row))]
        self.size += sum(map(len, self.texts[begin:]))


def blocks_of(train: Iterable[Example]) -> Iterator[TextBlock]:
    """Yield all rows in blocks of about a million characters."""
    rows: Iterable[Said] = train.said() if isinstance(train, RowFile) else train
    block = TextBlock(0)
    for row in rows:
        texts = block.texts
        if isinstance(row, Example):
            block.add(row)
        else:
            system, question, answer = row
            if system:
                texts.append(system)
            block.question.append(len(texts))
            block.answer.append(-1 if answer is None else len(texts) + 1)
            texts += (question,) if answer is None else (question, answer)
            block.size += len(system) + len(question) + len(answer or "")
        block.begins.append(len(texts))
        if block.size >= BLOCK_CHARS:
            yield block
            block = TextBlock(block.first + len(block.question))
    yield block


NOTED = 128
"""Rows that are noted for one gram."""
ROWS_EACH, PARTS_EACH = 8, 2
"""Of texts with the same words, where many are on both sides: the train rows that are noted for each part, and the
parts for each train row. All pairs would be as many as the one side times the other.
"""
SAMPLE = 2_000
"""Different questions on which the template is counted, at least, where there are as many."""


class Scan:
    """Matches of the test items in `index`, from one pass over the train rows. Pairs of arrays are (train row, gram)
    and (train row, part).

    `copies` has for each row a key that copies of it share: of its question and answer, or of all its texts where the
    question has fewer than 8 words. `count` has for each gram the number of rows that hold it; `asked` for each part
    that is an answer the keys of up to two different questions that train gives it to; `met`, by place in the index's
    `by_key`, how many texts had the words of the parts that begin there.
    `sample` are different questions of rows with an answer, by their keys: those with the lowest.
    """

    def __init__(self, index: TestIndex, compiled: bool) -> None:
        self.index, self.compiled, self.rows = index, compiled, 0
        self.count: I64 = np.zeros(len(index.table.hashes), np.int64)
        self.hits: list[tuple[I32, I32]] = []
        self.same_words: list[tuple[I64, I64]] = []
        self.short = ShortQuestions(index, compiled)
        self.copies: list[U32] = []
        self.asked: dict[int, set[int]] = {}
        self.met: I64 = np.zeros(len(index.sequence), np.int64)
        self.sample: dict[int, str] = {}
        self._below = (1 << 64) - 1

    def take(self, block: TextBlock) -> None:
        """Look at the rows of one more block."""
        texts = list(map(folded, block.texts))
        words, place, number = words_and_grams(texts, self.index.table, compiled=self.compiled)
        keys = with_bytes(words.sequence_keys(), texts)
        rows, begins = np.arange(block.first, block.first + len(block.question)), np.array(block.begins)
        owner = np.repeat(rows, np.diff(begins))
        self.rows += len(rows)
        self._note_grams(owner[place], number)
        self._note_same_words(keys, owner)
        question, answer = np.array(block.question, np.int64), np.array(block.answer, np.int64)
        answers = np.where(answer >= 0, keys[answer], np.uint64(NO_ANSWER)) if len(answer) else keys
        copies = sums_between(mix(keys), begins)
        asks = words.sizes[question] >= LABEL_WORDS
        copies[asks] = mix(keys[question[asks]]) + answers[asks]
        self.copies.append(top(mix(copies)))
        self._note_answers(keys[question], answers)
        self._note_questions(texts, question[answer >= 0], keys)
        short = np.flatnonzero((words.sizes[question] > 0) & (words.sizes[question] < SHORT))
        asked = question[short]
        self.short.add(rows[short], [texts[place] for place in asked.tolist()], keys[asked], answers[short])

    def take_hits(self) -> tuple[I64, I64]:
        """Return all rows and their grams, and empty the buffer. A gram may have NOTED rows, held as 32 bits."""
        rows, numbers = (np.concatenate(column, dtype=np.int64) for column in zip(*self.hits, strict=True))
        self.hits.clear()
        return rows, numbers

    def _note_grams(self, rows: I64, numbers: I64) -> None:
        """Note which rows hold which grams of the table."""
        pairs = distinct((rows << 32) | numbers)
        row, number = pairs >> 32, pairs & 0xFFFFFFFF
        before, some = self.count, self.count[number] < NOTED
        self.count = before + np.bincount(number, minlength=len(before))
        row, number = row[some], number[some]
        noted = before[number] + earlier(number) < NOTED
        self.hits.append((row[noted].astype(np.int32), number[noted].astype(np.int32)))

    def _note_same_words(self, keys: U64, owner: I64) -> None:
        """Note texts with the same words as a part: each part's first rows, and each row's first parts."""
        table, order = self.index.by_key
        places, left = places_in(table, keys)
        count = np.searchsorted(table, keys[places], "right") - left
        before = self.met[left] + earlier(left)
        np.add.at(self.met, left, 1)
        count = np.where(before < ROWS_EACH, count, np.minimum(count, PARTS_EACH))
        self.same_words.append((np.repeat(owner[places], count), order[ranges(left, count)]))

    def _note_answers(self, questions: U64, answers: U64) -> None:
        """Note for each answer part which questions train rows with the same answer ask."""
        table, order = self.index.by_key
        found, _ = places_in(table[self.index.is_answer[order]], answers)
        for key, question in zip(answers[found].tolist(), questions[found].tolist(), strict=True):
            asked = self.asked.setdefault(key, set())
            if len(asked) < 2:
                asked.add(question)

    def _note_questions(self, texts: Sequence[str], places: I64, keys: U64) -> None:
        """Sample the questions."""
        for place in places[keys[places] < self._below].tolist():
            self.sample[int(keys[place])] = texts[place]
        if len(self.sample) > 2 * SAMPLE:
            lowest = sorted(self.sample)[:SAMPLE]
            self.sample, self._below = {key: self.sample[key] for key in lowest}, lowest[-1]


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
    scan.short.compare()
    return scan
