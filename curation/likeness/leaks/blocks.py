"""Train rows as blocks of folded texts: every message, and the whole question where it is not one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.example import Example, all_texts, aside_texts
from curation.likeness.hashing import BLOCK_CHARS
from curation.likeness.leaks.folded import folded
from curation.likeness.sets import I64
from curation.likeness.template import SAMPLE, SEED
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
    """All rows in blocks of about a million characters."""
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
        """Each question seen so far has the same chance to be drawn."""
        places = block.question[block.answer >= 0]
        fresh = max(0, min(len(places), SAMPLE - self._seen))
        self.texts += [block.texts[at] for at in places[:fresh].tolist()]
        drawn = self._draw.random(len(places) - fresh) * np.arange(self._seen + fresh, self._seen + len(places))
        for lucky in np.flatnonzero(drawn < SAMPLE).tolist():
            self.texts[int(drawn[lucky])] = block.texts[int(places[fresh + lucky])]
        self._seen += len(places)
