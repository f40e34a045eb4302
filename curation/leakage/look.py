"""How much of a part of a test item stands in a train row. Both are runs of numbered 3-grams; texts stay texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from curation.example import Example, text_of
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


def train_rows(
    rows: Sequence[int], examples: Sequence[Example], index: TestIndex, compiled: bool
) -> Iterator[TrainRow]:
    """These rows of train, their texts hashed some hundreds of rows at once."""
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        some = examples[begin : begin + ROWS_AT_ONCE]
        texts = [_texts(example) for example in some]
        line = [text for each in texts for text in each]
        words = words_of(line, compiled=compiled)
        keys, counts = with_bytes(words.sequence_keys(), line), words.counts
        owner, hashes = words.grams(GRAM)
        known = np.minimum(np.searchsorted(index.table, hashes), max(0, len(index.table) - 1))
        found = np.flatnonzero(index.table[known] == hashes) if len(index.table) else owner[:0]
        at = np.searchsorted(owner[found], np.arange(len(line) + 1))
        numbers = known[found]
        place = 0
        for row, example, each in zip(rows[begin : begin + ROWS_AT_ONCE], some, texts, strict=True):
            end = place + len(each)
            mine = [numbers[at[k] : at[k + 1]] for k in range(place, end)]
            yield TrainRow(row, example, mine, keys[place:end], counts[place:end])
            place = end


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
        own = ~common[self.numbers]
        self.own: Bools = own if own.any() else np.ones(len(own), np.bool_)
        """For each 3-gram whether it counts: all where everything is template."""

    def words(self, begin: int, end: int) -> str:
        """Its words from `begin` to `end`, joined by a space."""
        lower = self.text.lower()
        if len(lower) < LONG:
            return " ".join(word_pattern(lower).findall(lower)[begin:end])
        found = word_pattern(lower).finditer(lower)
        return " ".join(match.group() for match in islice(found, begin, end))


class Found:
    """How much of a part stands in a row: `here` by 3-gram; `message` is the one that holds most."""

    def __init__(self, part: Part, here: Bools, message: int) -> None:
        self.part, self.here, self.message = part, here, message

    @cached_property
    def share(self) -> float:
        """Of its own 3-grams, those found."""
        own = int(self.part.own.sum())
        return int(self.here.sum()) / own if own else 0.0

    @cached_property
    def whole(self) -> float:
        """Of its 5-grams (but those that are all template), those found."""
        if len(self.here) < _ACROSS:
            return float(self.here.all() and len(self.here) > 0)
        own = self.part.own
        count = len(own) - _ACROSS + 1
        held, some = np.ones(count, np.bool_), np.zeros(count, np.bool_)
        for step in range(_ACROSS):
            held &= (self.here | ~own)[step : step + count]
            some |= own[step : step + count]
        return int((held & some).sum()) / max(1, int(some.sum()))

    @cached_property
    def places(self) -> I64:
        """Words that stand in a found 3-gram."""
        covered = np.zeros(len(self.here) + GRAM - 1, np.bool_)
        for step in range(GRAM):
            covered[step : step + len(self.here)] |= self.here
        return np.flatnonzero(covered)

    @cached_property
    def stretch(self) -> float:
        """Share of the part's words from the first to the last found, without gaps of more than GAP words."""
        if not len(self.places):
            return 0.0
        steps = self.places[1:] - self.places[:-1]
        return float(1 + np.where(steps <= GAP + 1, steps, 1).sum()) / max(1, self.part.size)

    @cached_property
    def run(self) -> tuple[int, int]:
        """Start and end, in words, of the longest run of found grams."""
        padded = np.zeros(len(self.here) + 2, np.bool_)
        padded[1:-1] = self.here
        edges = np.flatnonzero(padded[1:] != padded[:-1])
        if not len(edges):
            return 0, 0
        best = int((edges[1::2] - edges[::2]).argmax())
        return int(edges[2 * best]), int(edges[2 * best + 1]) + GRAM - 1


class Looker:
    """Finds parts in rows, by marks on the grams of the test's table."""

    def __init__(self, index: TestIndex) -> None:
        self._marks = np.zeros(len(index.table), np.bool_)

    def look(self, part: Part, row: TrainRow) -> Found:
        """Find the part's 3-grams in the row's messages."""
        best, message = -1, 0
        here = np.zeros(len(part.numbers), np.bool_)
        for place, numbers in enumerate(row.numbers):
            self._marks[numbers] = True
            found = self._marks[part.numbers] & part.own
            self._marks[numbers] = False
            if (count := int(found.sum())) > best:
                best, message = count, place
            here |= found
        return Found(part, here, message)
