"""Train rows as blocks of folded texts: every message, and the whole question where it is not one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np

from curation.example import Example, all_texts
from curation.likeness.codes import BLOCK_CHARS, Encoded, encoded
from curation.likeness.leaks.folded import folded, folded_example
from curation.likeness.sets import I64
from curation.likeness.template import SAMPLE, SEED
from curation.rows.row import Said
from curation.rows.rowfile import RowFile


class TextBlock:
    """Texts of consecutive rows, `rows` of them. `owner` is the row of each text; `question` and `answer` are, for
    each row, the places of the two among the texts (-1: no answer).
    """

    def __init__(self, texts: list[str], owner: I64, question: I64, answer: I64) -> None:
        self.texts, self.owner, self.question, self.answer = texts, owner, question, answer

    @cached_property
    def size(self) -> int:
        """Characters."""
        return sum(map(len, self.texts))

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.question)

    def take(self, places: Sequence[int]) -> list[str]:
        """The texts at `places`."""
        return [self.texts[at] for at in places]

    def encoded(self) -> Encoded:
        """The texts for compiled code."""
        return encoded(self.texts)


class _Gathered:
    """A block in the making, row by row."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.texts: list[str] = []
        self.owner: list[int] = []
        self.question: list[int] = []
        self.answer: list[int] = []
        self.size = 0

    def add(self, said: Said) -> None:
        """Take a row's messages and, where it is not one of them, its whole question."""
        if type(said) is not tuple:
            return self._add(folded_example(said))  # type: ignore[arg-type]
        system, question, answer = said
        begin, before = len(self.texts), bool(system)
        for text in said if before else said[1:]:
            if text is not None:
                self.texts.append(text if text.isascii() else folded(text))
        owner = self.first + len(self.question)
        self.owner += [owner] * (len(self.texts) - begin)
        self.question.append(begin + before)
        self.answer.append(-1 if answer is None else begin + before + 1)
        self.size += len(system) + len(question) + len(answer or "")
        return None

    def _add(self, example: Example) -> None:
        texts = all_texts(example) if example.messages else []
        begin, last = len(self.texts), len(example.messages) - 1
        if example.question not in texts[: last + (not example.is_answered)]:
            texts.append(example.question)
        self.owner += [self.first + len(self.question)] * len(texts)
        self.question.append(begin + texts.index(example.question))
        self.answer.append(begin + last if example.is_answered else -1)
        self.texts += texts
        self.size += sum(map(len, texts))

    def finish(self) -> TextBlock:
        """The block."""
        owner, question, answer = (np.array(c, np.int64) for c in (self.owner, self.question, self.answer))
        return TextBlock(self.texts, owner, question, answer)


def blocks_of(train: Iterable[Example]) -> Iterator[TextBlock]:
    """All rows in blocks of about a million characters."""
    rows: Iterable[Said] = train.said() if isinstance(train, RowFile) else train
    block = _Gathered(0)
    for row in rows:
        block.add(row)
        if block.size >= BLOCK_CHARS:
            yield block.finish()
            block = _Gathered(block.first + len(block.question))
    yield block.finish()


class Sample:
    """Up to 10,000 questions of rows with an answer, drawn by a fixed seed, however the rows come in."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._draw = np.random.default_rng(SEED)
        self._seen = 0

    def add(self, block: TextBlock) -> None:
        """Each question seen so far has the same chance to be drawn."""
        places = block.question[block.answer >= 0]
        fresh = max(0, min(len(places), SAMPLE - self._seen))
        self.texts += block.take(places[:fresh].tolist())
        drawn = self._draw.random(len(places) - fresh) * np.arange(self._seen + fresh, self._seen + len(places))
        lucky = np.flatnonzero(drawn < SAMPLE)
        texts = block.take(places[fresh + lucky].tolist())
        for place, text in zip(drawn[lucky].astype(np.int64).tolist(), texts, strict=True):
            self.texts[place] = text
        self._seen += len(places)
