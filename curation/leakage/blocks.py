"""Train rows as blocks of texts: every message, and the whole question where it is not one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from curation.codes import BLOCK_CHARS, Encoded, encoded
from curation.columns import Columns
from curation.example import Example, text_of
from curation.lineform import Scanned, Texts
from curation.rowfiles import RowFiles
from curation.sets import I64
from curation.similarity.template import SAMPLE, SEED


class Block:
    """Texts of consecutive rows, `rows` of them. `owner` is the row of each text; `question` and `answer` are, for
    each row, the places of the two among the texts (-1: no answer).
    """

    def __init__(self, texts: list[str] | Texts, owner: I64, question: I64, answer: I64) -> None:
        self._texts, self.owner, self.question, self.answer = texts, owner, question, answer

    @cached_property
    def size(self) -> int:
        """Characters, or bytes where it was read as such."""
        return len(self._texts.code.data) if isinstance(self._texts, Texts) else sum(map(len, self._texts))

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.question)

    @cached_property
    def texts(self) -> list[str]:
        """All texts."""
        return self.take(range(len(self.owner))) if isinstance(self._texts, Texts) else self._texts

    def take(self, places: Sequence[int]) -> list[str]:
        """The texts at `places`."""
        return self._texts.take(places) if isinstance(self._texts, Texts) else [self._texts[at] for at in places]

    def encoded(self) -> Encoded:
        """The texts for compiled code."""
        return self._texts.code if isinstance(self._texts, Texts) else encoded(self._texts)


class _Gathered:
    """A block in the making, row by row."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.texts: list[str] = []
        self.owner: list[int] = []
        self.question: list[int] = []
        self.answer: list[int] = []
        self.size = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row's messages and, where it is not one of them, its whole question."""
        example = Example(row)
        texts = [text_of(m.get("content")) for m in example.messages]
        begin, last = len(self.texts), len(texts) - 1
        if example.question not in texts[: last + (not example.is_answered)]:
            texts.append(example.question)
        self.owner += [self.first + len(self.question)] * len(texts)
        self.question.append(begin + texts.index(example.question))
        self.answer.append(begin + last if example.is_answered else -1)
        self.texts += texts
        self.size += sum(map(len, texts))

    def finish(self) -> Block:
        """The block."""
        owner, question, answer = (np.array(c, np.int64) for c in (self.owner, self.question, self.answer))
        return Block(self.texts, owner, question, answer)


def blocks_of(train: Iterable[Example], compiled: Callable[[], bool]) -> Iterator[Block]:
    """All rows in blocks of about a million characters, or as many as a chunk of a file holds; as bytes from where
    `compiled` says that compiled code is in use.
    """
    rows = 0
    for part in _parts(train, compiled):
        if isinstance(part, Scanned):
            some: Iterable[Block] = [_of_scanned(part, rows)]
        else:
            some = [_of_columns(part, rows)] if isinstance(part, Columns) else _of_rows(part, rows)
        for block in some:
            rows += block.rows
            yield block


def _parts(
    train: Iterable[Example], compiled: Callable[[], bool]
) -> Iterator[Scanned | Columns | Iterable[Mapping[str, Any]]]:
    if isinstance(train, RowFiles):
        yield from train.scanned(compiled)
    else:
        yield (example.row for example in train)


def _of_scanned(part: Scanned, first: int) -> Block:
    return _placed(part.texts, first, len(part.lines), part.width, part.question, part.answered)


def _of_columns(columns: Columns, first: int) -> Block:
    """Texts stand row by row; a text row has its question only."""
    each = [c for c in (columns.system, columns.question, columns.answer) if c is not None]
    count, width = len(columns.question), len(each)
    texts = [""] * (count * width)
    for place, column in enumerate(each):
        texts[place::width] = column
    return _placed(texts, first, count, width, int(columns.system is not None), columns.answer is not None)


def _placed(texts: list[str] | Texts, first: int, count: int, width: int, place: int, answered: bool) -> Block:
    """Of `count` rows with `width` texts each, the question at `place`, an answer behind it."""
    question = np.arange(0, count * width, width) + place
    answer = question + 1 if answered else np.full(count, -1)
    return Block(texts, np.repeat(np.arange(first, first + count), width), question, answer)


def _of_rows(rows: Iterable[Mapping[str, Any]], first: int) -> Iterator[Block]:
    block = _Gathered(first)
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

    def add(self, block: Block) -> None:
        """Each question seen so far has the same chance to stand among the drawn."""
        places = block.question[block.answer >= 0]
        fresh = max(0, min(len(places), SAMPLE - self._seen))
        self.texts += block.take(places[:fresh].tolist())
        drawn = self._draw.random(len(places) - fresh) * np.arange(self._seen + fresh, self._seen + len(places))
        lucky = np.flatnonzero(drawn < SAMPLE)
        texts = block.take(places[fresh + lucky].tolist())
        for place, text in zip(drawn[lucky].astype(np.int64).tolist(), texts, strict=True):
            self.texts[place] = text
        self._seen += len(places)
