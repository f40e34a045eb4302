"""How much of a part of a test item stands in a train row. Both are runs of numbered 3-grams; texts stay texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, reduce
from itertools import islice
from operator import or_
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.example import Example, text_of
from curation.leakage.bits import bits_of, closed, longest_run, runs_of, spread
from curation.leakage.grams import GRAM, with_bytes, words_of
from curation.leakage.index import TestIndex
from curation.sets import I64, U64
from curation.similarity.words import SHINGLE, word_pattern

Bools = npt.NDArray[np.bool_]
GAP = 8
"""Words between two found ones that count for the stretch as well."""
ROWS_AT_ONCE = 512
LONG = 1 << 17
_ACROSS = SHINGLE - GRAM + 1
"""3-grams that make a 5-gram."""


class TrainRow:
    """A train row. By message: its role, the numbers (in the test's table) of its 3-grams, the key of its words and
    their number. `question` is the key of the whole question. Message -1 is that, where it is several messages.
    """

    def __init__(self, index: int, example: Example, numbers: list[I64], keys: U64, counts: I64) -> None:
        self.index, self.example = index, example
        self.numbers, self.keys, self.counts = numbers[:-1], keys[:-1].tolist(), counts[:-1].tolist()
        self.question = int(keys[-1])
        self.roles = [str(m.get("role")) for m in example.messages] or ["text"]
        self.last = len(numbers) - 2 if example.answer is not None else -1


def train_rows(rows: Sequence[int], examples: Sequence[Example], index: TestIndex, probe: Any) -> Iterator[TrainRow]:
    """These rows of train, their texts hashed some hundreds of rows at once. `probe`: the compiled one, or None."""
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        some = examples[begin : begin + ROWS_AT_ONCE]
        texts = [_texts(example) for example in some]
        line = [text for each in texts for text in each]
        words = words_of(line, compiled=probe is not None)
        keys, counts = with_bytes(words.sequence_keys(), line), words.counts
        owner, hashes = words.grams(GRAM)
        known = probe.numbers(hashes) if probe else _numbers(index, hashes)
        found = np.flatnonzero(known >= 0)
        at = np.searchsorted(owner[found], np.arange(len(line) + 1))
        numbers = known[found]
        place = 0
        for row, example, each in zip(rows[begin : begin + ROWS_AT_ONCE], some, texts, strict=True):
            end = place + len(each)
            mine = [numbers[at[k] : at[k + 1]] for k in range(place, end)]
            yield TrainRow(row, example, mine, keys[place:end], counts[place:end])
            place = end


def _numbers(index: TestIndex, hashes: U64) -> I64:
    """The number of each gram, -1 where the test side does not hold it."""
    if not len(index.table):
        return np.full(len(hashes), -1)
    known = np.minimum(np.searchsorted(index.table, hashes), len(index.table) - 1)
    return np.where(index.table[known] == hashes, known, -1)


def _texts(example: Example) -> list[str]:
    """The texts of the messages, and behind them the whole question."""
    texts = [text_of(m.get("content")) for m in example.messages]
    return [*(texts or [example.question]), example.question]


class Part:
    """A question or an answer of the test. `common` says of each gram of the table whether it is template."""

    def __init__(self, name: str, text: str, index: TestIndex, part: int, common: Bools) -> None:
        self.name, self.text = name, text
        self.size = int(index.words[part])
        self.key = int(index.sequence[part])
        self.numbers = index.part_grams(part) if self.size >= GRAM else np.zeros(0, np.int64)
        self.grams = len(self.numbers)
        self.own = bits_of(~common[self.numbers]) or (1 << self.grams) - 1
        """The 3-grams that count, as bits: all where everything is template."""

    @cached_property
    def own_words(self) -> int:
        """The words that stand in no template 3-gram, as bits: all where there is none."""
        every = (1 << self.size) - 1
        template = ((1 << self.grams) - 1) ^ self.own
        return every & ~spread(template, GRAM) or every

    @cached_property
    def _fives(self) -> int:
        """The 5-grams that are not all template, as bits."""
        mask = (1 << max(0, self.grams - _ACROSS + 1)) - 1
        return reduce(or_, (self.own >> step for step in range(_ACROSS))) & mask

    def whole(self, here: int) -> float:
        """Of its 5-grams (but those that are all template), those whose 3-grams are all among the bits `here`."""
        if self.grams < _ACROSS:
            return float(here.bit_count() == self.grams > 0)
        every = (1 << self.grams) - 1
        found = runs_of(here | (every ^ self.own), _ACROSS) & self._fives
        return found.bit_count() / max(1, self._fives.bit_count())

    @cached_property
    def _words(self) -> list[str]:
        lower = self.text.lower()
        return word_pattern(lower).findall(lower)

    def words(self, begin: int, end: int) -> str:
        """Its words from `begin` to `end`, joined by a space."""
        if len(self.text) < LONG:
            return " ".join(self._words[begin:end])
        lower = self.text.lower()
        found = word_pattern(lower).finditer(lower)
        return " ".join(match.group() for match in islice(found, begin, end))


class Found:
    """How much of a part stands in a row: `here`, its 3-grams as bits; `message` is the one that holds most."""

    def __init__(self, part: Part, here: int, message: int) -> None:
        self.part, self.here, self.message = part, here, message

    @property
    def share(self) -> float:
        """Of its own 3-grams, those found."""
        own = self.part.own.bit_count()
        return self.here.bit_count() / own if own else 0.0

    @cached_property
    def whole(self) -> float:
        """Of its 5-grams (but those that are all template), those found."""
        return self.part.whole(self.here)

    @cached_property
    def _covered(self) -> int:
        """Words that stand in a found 3-gram, as bits."""
        return spread(self.here, GRAM)

    @property
    def count(self) -> int:
        """How many words stand in a found 3-gram."""
        return self._covered.bit_count()

    @property
    def stretch(self) -> float:
        """Share of the part's own words from the first to the last found, without gaps of more than GAP words."""
        own = self.part.own_words
        return (closed(self._covered, GAP) & own).bit_count() / max(1, own.bit_count())

    @property
    def own_count(self) -> int:
        """How many of the part's own words stand in a found 3-gram."""
        return (self._covered & self.part.own_words).bit_count()

    @cached_property
    def run(self) -> tuple[int, int]:
        """Start and end, in words, of the longest run of found grams."""
        begin, grams = longest_run(self.here)
        return (begin, begin + grams + GRAM - 1) if grams else (0, 0)


class Looker:
    """Finds parts in rows, by marks on the grams of the test's table."""

    def __init__(self, index: TestIndex) -> None:
        self._marks = np.zeros(len(index.table), np.bool_)

    def look(self, part: Part, row: TrainRow) -> Found:
        """Find the part's 3-grams in the row's messages."""
        best, message, here = -1, 0, 0
        for place, numbers in enumerate(row.numbers):
            self._marks[numbers] = True
            found = bits_of(self._marks[part.numbers]) & part.own
            self._marks[numbers] = False
            if (count := found.bit_count()) > best:
                best, message = count, place
            here |= found
        return Found(part, here, message)
