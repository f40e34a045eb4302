"""A question of the test with its answer behind it, word for word or lightly edited, in one message of a train row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from curation.example import Example, said_in
from curation.likeness.leaks.index import GAP, GRAM_WORDS, LABEL_WORDS
from curation.likeness.words import critical, negations, word_pattern, words

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
