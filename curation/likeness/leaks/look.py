"""Overlap of a test item with a train row: its parts as runs of numbered 3-grams.

Runs of found grams are the bits of one whole number, place 0 the lowest: Python's integers are a quicker kind of array
of flags where there are hundreds of short ones, and no slower for one of millions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, reduce
from itertools import groupby, islice
from operator import or_

import numpy as np
import numpy.typing as npt

from curation.example import Example, all_messages, aside_texts, every_text
from curation.likeness.hashing import with_bytes, words_of
from curation.likeness.leaks.answered import Spelled, spelled
from curation.likeness.leaks.index import GAP, GRAM_WORDS, TestIndex
from curation.likeness.leaks.report import Part
from curation.likeness.sets import I64, U64
from curation.likeness.words import SHINGLE, word_pattern
from curation.mask import mask


def bits_of(flags: npt.NDArray[np.bool_]) -> int:
    """Return the flags as bits."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def runs_of(bits: int, length: int) -> int:
    """Return the places from which `length` bits in a row are set."""
    have = 1
    while bits and have < length:
        step = min(have, length - have)
        bits &= bits >> step
        have += step
    return bits


def spread(bits: int, length: int) -> int:
    """Return each bit, and the `length` - 1 after it."""
    have = 1
    while have < length:
        step = min(have, length - have)
        bits |= bits << step
        have += step
    return bits


def closed(bits: int, gap: int) -> int:
    """Fill gaps of up to `gap` places between two bits."""
    return runs_of(spread(bits, gap + 1), gap + 1)


def longest_run(bits: int) -> tuple[int, int]:
    """First place of the first longest run of bits, and its length; 0, 0 if no bit is set."""
    if not bits:
        return 0, 0
    steps = [bits]
    while longer := steps[-1] & steps[-1] >> (1 << len(steps) - 1):
        steps.append(longer)
    best, length = steps[-1], 1 << len(steps) - 1
    for power in range(len(steps) - 2, -1, -1):
        if longer := best & steps[power] >> length:
            best, length = longer, length + (1 << power)
    return (best & -best).bit_length() - 1, length


Bools = npt.NDArray[np.bool_]
ROWS_AT_ONCE = 512
_ACROSS = SHINGLE - GRAM_WORDS + 1
"""3-grams that make a 5-gram."""


class LearntRow:
    """A train row. By text (its messages, then what is beside them): its role, the numbers (in the test's table) of
    its 3-grams, the key of its words and their number; `message` is the number of the message that it is of. The role
    of what is beside a message is its place. `question` is the key of the whole question. Text -1 is that, where it is
    several messages.
    """

    def __init__(self, index: int, example: Example, numbers: list[I64], keys: U64, counts: I64) -> None:
        self.index, self.example = index, example
        self.numbers, self.keys, self.counts = numbers[:-1], keys[:-1].tolist(), counts[:-1].tolist()
        self.question = int(keys[-1])
        self.roles = [str(m.get("role")) for m in all_messages(example)] or ["text"]
        self.message = list(range(len(self.roles)))
        self.said = len(self.roles)
        for aside in aside_texts(example):
            self.roles.append(aside.place)
            self.message.append(aside.message)
        self.last = len(example.messages) - 1 if example.answer is not None else -1

    @cached_property
    def spelled(self) -> list[Spelled]:
        """Return its messages, word by word."""
        return spelled(self.example)


def train_rows(
    rows: Sequence[int], examples: Sequence[Example], index: TestIndex, compiled: bool
) -> Iterator[LearntRow]:
    """These rows of train, their texts hashed some hundreds of rows at once."""
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        some = examples[begin : begin + ROWS_AT_ONCE]
        texts = [[*every_text(example), example.question] for example in some]  # the whole question last
        line = [text for each in texts for text in each]
        words = words_of(line, compiled=compiled)
        keys, counts = with_bytes(words.sequence_keys(), line), words.counts
        owner, hashes = words.grams(GRAM_WORDS)
        found, numbers = index.lookup(hashes)
        at = np.searchsorted(owner[found], np.arange(len(line) + 1))
        place = 0
        for row, example, each in zip(rows[begin : begin + ROWS_AT_ONCE], some, texts, strict=True):
            end = place + len(each)
            mine = [numbers[at[k] : at[k + 1]] for k in range(place, end)]
            yield LearntRow(row, example, mine, keys[place:end], counts[place:end])
            place = end


class ItemPart:
    """A question or an answer of the test. `common` says of each gram of the table whether it is template."""

    def __init__(self, name: Part, text: str, index: TestIndex, part: int, common: Bools) -> None:
        self.name, self.text = name, text
        self.size = int(index.words[part])
        self.key = int(index.sequence[part])
        self.numbers = index.part_grams(part) if self.size >= GRAM_WORDS else np.zeros(0, np.int64)
        self.grams = len(self.numbers)
        self.own = bits_of(~common[self.numbers]) or (1 << self.grams) - 1
        """The 3-grams that count, as bits: all where everything is template."""

    @cached_property
    def own_words(self) -> int:
        """The words that are in no template 3-gram, as bits: all where there is none."""
        every = (1 << self.size) - 1
        template = ((1 << self.grams) - 1) ^ self.own
        return every & ~spread(template, GRAM_WORDS) or every

    @cached_property
    def _fives(self) -> int:
        """The 5-grams that are not all template, as bits."""
        mask = (1 << max(0, self.grams - _ACROSS + 1)) - 1
        return reduce(or_, (self.own >> step for step in range(_ACROSS))) & mask

    def whole(self, here: int) -> float:
        """Return the share of its 5-grams (except all-template ones) whose 3-grams are all among the bits `here`."""
        if self.grams < _ACROSS:
            return float(here.bit_count() == self.grams > 0)
        every = (1 << self.grams) - 1
        found = runs_of(here | (every ^ self.own), _ACROSS) & self._fives
        return found.bit_count() / max(1, self._fives.bit_count())

    def words(self, begin: int, end: int) -> str:
        """Return its words from `begin` to `end`, joined by a space for display, without the words of masked text."""
        lower = self.text.lower()
        found = [match.group() for match in islice(word_pattern(lower).finditer(lower), begin, end)]
        kept = self._kept
        runs = groupby(found if kept is None else [word if word in kept else "…" for word in found])
        return " ".join(word for run, same in runs for word in (["…"] if run == "…" else same))

    @cached_property
    def _kept(self) -> set[str] | None:
        """The words that are left once the text is masked; None if nothing is masked."""
        masked = mask(self.text)
        lower = masked.lower()
        return None if masked == self.text else set(word_pattern(lower).findall(lower))


class Overlap:
    """Overlap of a part with a row: `here`, its 3-grams as bits; `text` holds the most of them, `most` which."""

    def __init__(self, part: ItemPart, here: int, text: int, most: int) -> None:
        self.part, self.here, self.text, self.most = part, here, text, most

    @property
    def share(self) -> float:
        """Return the found share of its own 3-grams."""
        own = self.part.own.bit_count()
        return self.here.bit_count() / own if own else 0.0

    @cached_property
    def whole(self) -> float:
        """Return the found share of its 5-grams (except all-template ones)."""
        return self.part.whole(self.here)

    @cached_property
    def _covered(self) -> int:
        """Words that are in a found 3-gram, as bits."""
        return spread(self.here, GRAM_WORDS)

    @property
    def count(self) -> int:
        """Number of words in a found 3-gram."""
        return self._covered.bit_count()

    @property
    def stretch(self) -> float:
        """Share of the part's own words from the first to the last found, without gaps of more than GAP words."""
        own = self.part.own_words
        return (closed(self._covered, GAP) & own).bit_count() / max(1, own.bit_count())

    @property
    def own_count(self) -> int:
        """Number of the part's own words in a found 3-gram."""
        return (self._covered & self.part.own_words).bit_count()

    @cached_property
    def run(self) -> tuple[int, int]:
        """Start and end, in words, of the longest run of found grams."""
        begin, grams = longest_run(self.here)
        return (begin, begin + grams + GRAM_WORDS - 1) if grams else (0, 0)


class Looker:
    """Finds parts in rows, by marks on the grams of the test's table."""

    def __init__(self, index: TestIndex) -> None:
        self._marks = np.zeros(len(index.table), np.bool_)

    def look(self, part: ItemPart, row: LearntRow) -> Overlap:
        """Find the part's 3-grams in the row's texts. Of two that hold as much what is beside a message wins."""
        most, text, here = 0, 0, 0
        for place, numbers in enumerate(row.numbers):
            self._marks[numbers] = True
            found = bits_of(self._marks[part.numbers]) & part.own
            self._marks[numbers] = False
            if found.bit_count() >= most.bit_count() + (place < row.said) and found:
                most, text = found, place
            here |= found
        return Overlap(part, here, text, most)
