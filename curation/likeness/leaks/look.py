"""A test item beside a train row: the words that they share, and a question with its answer behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice
from typing import Literal

import numpy as np

from curation.example import Example, all_messages, all_texts, aside_texts, said_in
from curation.likeness.leaks.index import GAP, GRAM_WORDS, LABEL_WORDS
from curation.likeness.sets import I64, SLACK, Bools
from curation.likeness.words import (
    SHINGLE,
    SHORT_THRESHOLD,
    Shingles,
    critical,
    grams_of,
    jaccard,
    negations,
    shingles_of,
    word_pattern,
    words,
)
from curation.mask import mask

Part = Literal["question", "answer"]
SHARE = 0.7
"""Share of a question's word 3-grams, close to one another, from which an edited question is found in a message."""
_BEFORE, _BEHIND = re.compile(r"\w['’/-]$"), re.compile(r"[+#%^]|['’/-]\w")
_BEFORE_DIGIT, _BEHIND_DIGIT = re.compile(r"[-+\u2212.,*/^]$"), re.compile(r"[.,:*]\d")
"""Signs that make an answer part of something else: `left-handed`, `C++`; beside a digit, `-1`."""


class Spelled:
    """A text in lower case: its words, and where each of them is."""

    def __init__(self, text: str) -> None:
        self.text = text.lower()

    @cached_property
    def _found(self) -> list[re.Match[str]]:
        return list(word_pattern(self.text).finditer(self.text))

    @cached_property
    def words(self) -> list[str]:
        """The words."""
        return word_pattern(self.text).findall(self.text)

    def places(self, wanted: Sequence[str], begin: int = 0) -> Iterator[int]:
        """Yield the places where the run of `wanted` words begins, from the word `begin` on."""
        here = self.words
        for place in range(begin, len(here) - len(wanted) + 1):
            if here[place] == wanted[0] and here[place : place + len(wanted)] == wanted:
                yield place

    def start(self, word: int) -> int:
        """Return the start of a word in the text."""
        return self._found[word].start()

    def end(self, word: int) -> int:
        """Return the end of a word in the text."""
        return self._found[word].end()


def grams_of_words(said: Sequence[str]) -> list[int]:
    """Return hashes of the word 3-grams, in their order."""
    return list(map(hash, zip(*(said[step:] for step in range(GRAM_WORDS)), strict=False)))


class Answered:
    """A question of the test and its answer, to be found in this order in one message, or as messages of their own."""

    def __init__(self, example: Example) -> None:
        self.said = [words(said_in(message)) for message in example.messages if message.get("role") != "system"]
        self.question = words(example.question)
        self.answer = Spelled((example.answer or "").strip())
        self.critical = critical(self.answer.text)
        self.reach = None if len(self.question) >= LABEL_WORDS else LABEL_WORDS
        """Words from question to answer: a short question and a label may both be in a long text by chance."""

    def find(self, messages: Sequence[Spelled]) -> int | None:
        """Return the first message that holds both, or that begins the whole conversation; None if none does."""
        if not self.question or not self.answer.text:
            return None
        size = len(self.said)
        for number in range(len(messages) - size + 1):
            if all(each.words == said for each, said in zip(messages[number:], self.said, strict=False)):
                return number
        likely = self.answer.words or [self.answer.text]
        for number, message in enumerate(messages):
            may_be = all(word in message.text for word in likely)
            if may_be and any(self._follows(message, end) for end in self._asked(message)):
                return number
        return None

    def _asked(self, message: Spelled) -> list[int]:
        """Return the words of a message at which the question has ended: word for word, or else lightly edited."""
        ends = [place + len(self.question) for place in message.places(self.question)]
        return ends or ([] if self.reach else self._edited(message))

    def _edited(self, message: Spelled) -> list[int]:
        grams, here = set(grams_of_words(self.question)), grams_of_words(message.words)
        runs: list[list[int]] = []
        for place in (place for place, gram in enumerate(here) if gram in grams):
            if not runs or place - runs[-1][-1] > GAP + GRAM_WORDS:
                runs.append([])
            runs[-1].append(place)
        found = [run for run in runs if len({here[k] for k in run}) >= SHARE * len(grams)]
        return [run[-1] + GRAM_WORDS for run in found]

    def _follows(self, message: Spelled, end: int) -> bool:
        """True if the answer is behind the first `end` words, as words of their own and not negated."""
        size = len(self.answer.words)
        if not size:
            rest = message.text[message.end(end - 1) :]
            return self.answer.text in rest.split() or rest.strip().endswith(self.answer.text)
        for place in message.places(self.answer.words, end):
            if self.reach is not None and place - end > self.reach:
                return False
            if self._is_whole(message, place, place + size) and (
                place == end or message.words[place - 1] not in negations()
            ):
                return True
        return False

    def _is_whole(self, message: Spelled, begin: int, end: int) -> bool:
        """True if what is written at these words is the answer, no part of something else."""
        own, text = self.answer, message.text
        first = max(0, message.start(begin) - own.start(0))
        last = message.end(end - 1) + len(own.text) - own.end(-1)
        if critical(text[first:last]) != self.critical:
            return False
        before = text[max(0, first - 2) : first]
        whole = not _BEFORE.search(before) and not _BEHIND.match(text, last)
        if own.text[0].isdigit():
            whole = whole and not _BEFORE_DIGIT.search(before)
        return whole and not (own.text[-1].isdigit() and _BEHIND_DIGIT.match(text, last))


_ACROSS = SHINGLE - GRAM_WORDS + 1
"""3-grams that make a 5-gram."""


def counted(flags: Bools) -> int:
    """Return the number of True flags."""
    return int(np.count_nonzero(flags))


def covered(grams: Bools, length: int = GRAM_WORDS) -> Bools:
    """Return the words that are in one of these grams of `length` words."""
    out = np.zeros(len(grams) + length - 1, np.bool_)
    for step in range(length):
        out[step : step + len(grams)] |= grams
    return out


def all_of(grams: Bools, length: int = _ACROSS) -> Bools:
    """Mark the places from which `length` in a row are True."""
    out = grams[: max(0, len(grams) - length + 1)].copy()
    for step in range(1, length):
        out &= grams[step : step + len(out)]
    return out


class AskedRow:
    """A row, and its question as the sets by which two are near. Where it is answered the template is no part of it."""

    def __init__(self, example: Example, template: Shingles) -> None:
        self.example, self._template = example, template

    @cached_property
    def question(self) -> list[str]:
        """The words of the whole question, which may be several messages."""
        return words(self.example.question)

    @cached_property
    def _shingles(self) -> Shingles:
        found = shingles_of(self.question)
        return found if self.example.answer is None else (found - self._template) or found

    @cached_property
    def _grams(self) -> frozenset[str]:
        return grams_of(self.question)

    @cached_property
    def answer(self) -> Shingles:
        """The shingles of its answer."""
        return shingles_of(words(self.example.answer or ""))

    @cached_property
    def answer_grams(self) -> list[int]:
        """The word 3-grams of its answer, in their order."""
        return grams_of_words(words(self.example.answer or ""))

    def near(self, other: AskedRow, threshold: float, *, share_words: bool) -> float:
        """Return the higher similarity to another question, by words (if they `share_words`) or, of short ones, by
        characters; 0 if not near.
        """
        by_words = jaccard(self._shingles, other._shingles) if share_words else 0
        by_grams = jaccard(self._grams, other._grams)
        return max(by_words if by_words >= threshold - SLACK else 0, by_grams if by_grams >= SHORT_THRESHOLD else 0)


class LearntRow(AskedRow):
    """A train row: its texts (its messages, then what is beside them), with the role of each and the number of the
    message that it is of. The role of what is beside a message is its place. `said` is how many are messages.
    """

    def __init__(self, index: int, example: Example, template: Shingles) -> None:
        super().__init__(example, template)
        self.index = index
        self.roles = [str(m.get("role")) for m in all_messages(example)] or ["text"]
        self.message = list(range(len(self.roles)))
        self.said = len(self.roles)
        asides = aside_texts(example)
        self.roles += [aside.place for aside in asides]
        self.message += [aside.message for aside in asides]
        self.texts = [Spelled(text) for text in (*all_texts(example), *(aside.text for aside in asides))]
        """The texts, word by word."""
        self.last = len(example.messages) - 1 if example.answer is not None else -1

    @cached_property
    def grams(self) -> list[frozenset[int]]:
        """The 3-grams of each text."""
        return [frozenset(grams_of_words(text.words)) for text in self.texts]

    @cached_property
    def answer(self) -> Shingles:
        """The shingles of its answer."""
        return shingles_of(self.texts[self.last].words if self.last >= 0 else ())


class ItemPart:
    """A question or an answer of the test: the words `said` as they are compared, and the text as it was given
    (`shown`). `template` says of each of its grams whether it is template.
    """

    def __init__(self, name: Part, said: list[str], shown: str, template: Bools) -> None:
        self.name, self.shown, self.said, self.size = name, shown, said, len(said)
        self.grams = grams_of_words(self.said)
        own = ~template[: len(self.grams)]
        self.own: Bools = own if own.any() else ~own
        """True for each 3-gram that counts: those that are no template, or all where everything is."""

    @cached_property
    def own_words(self) -> Bools:
        """The words that are in no template 3-gram, or all where there is none."""
        own = ~covered(~self.own) if len(self.own) else np.ones(self.size, np.bool_)
        return own if own.any() else ~own

    @cached_property
    def _fives(self) -> Bools:
        """The 5-grams that are not all template."""
        return ~all_of(~self.own)

    def whole(self, here: Bools) -> float:
        """Return the share of its 5-grams (but those that are all template) whose 3-grams are all `here`."""
        if len(here) < _ACROSS:
            return float(here.all() and len(here) > 0)
        return counted(all_of(here | ~self.own) & self._fives) / max(1, counted(self._fives))

    def words(self, begin: int, end: int) -> str:
        """Return the words from `begin` to `end`, joined by a space, to be shown. Words of masked text are left out."""
        lower = self.shown.lower()
        found = [match.group() for match in islice(word_pattern(lower).finditer(lower), begin, end)]
        kept = self._kept
        runs = groupby(found if kept is None else [word if word in kept else "…" for word in found])
        return " ".join(word for run, same in runs for word in (["…"] if run == "…" else same))

    @cached_property
    def _kept(self) -> set[str] | None:
        """The words that are left once the text is masked; None where nothing is masked."""
        masked = mask(self.shown)
        lower = masked.lower()
        return None if masked == self.shown else set(word_pattern(lower).findall(lower))


class Overlap:
    """Share of a part that is in a row: `here` is True for each 3-gram that is in it, `most` for those of the text
    `text`, which holds most of them.
    """

    def __init__(self, part: ItemPart, here: Bools, text: int, most: Bools) -> None:
        self.part, self.here, self.text, self.most = part, here, text, most

    @property
    def share(self) -> float:
        """Of its own 3-grams, those found."""
        return counted(self.here) / max(1, counted(self.part.own))

    @cached_property
    def whole(self) -> float:
        """Return the found share of its 5-grams (except all-template ones)."""
        return self.part.whole(self.here)

    @cached_property
    def _words(self) -> I64:
        """Words that are in a found 3-gram."""
        return np.flatnonzero(covered(self.here)) if len(self.here) else np.zeros(0, np.int64)

    @property
    def count(self) -> int:
        """Number of words in a found 3-gram."""
        return len(self._words)

    @property
    def stretch(self) -> float:
        """Share of the part's own words from the first to the last found, without gaps of more than GAP words."""
        own, at = self.part.own_words, self._words
        before = np.concatenate(([0], np.cumsum(own)))
        gaps = (before[at[1:]] - before[at[:-1] + 1])[np.diff(at) <= GAP + 1]
        return float((own[at].sum() + gaps.sum()) / max(1, before[-1]))

    @property
    def own_count(self) -> int:
        """Number of the part's own words in a found 3-gram."""
        return counted(self.part.own_words[self._words])

    @cached_property
    def run(self) -> tuple[int, int]:
        """Start and end, in words, of the first longest run of found grams."""
        here = self.here.tobytes()
        longest = max(here.split(b"\0"), key=len)
        begin = here.find(longest)
        return (begin, begin + len(longest) + GRAM_WORDS - 1) if longest else (0, 0)


def look(part: ItemPart, row: LearntRow) -> Overlap:
    """Find the part's 3-grams in the row's texts. Of two that hold as much what is beside a message wins."""
    most = here = np.zeros(len(part.grams), np.bool_)
    text = best = 0
    for place, held in enumerate(row.grams):
        found = np.fromiter(map(held.__contains__, part.grams), np.bool_, len(part.grams)) & part.own
        count = counted(found)
        if count and count >= best + (place < row.said):
            best, most, text = count, found, place
        here = here | found
    return Overlap(part, here, text, most)
