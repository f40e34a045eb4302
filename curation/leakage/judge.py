"""The last word on a (train row, test item) pair, from both texts: leak, suspect or nothing, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from curation.example import Example, text_of
from curation.leakage.grams import GRAM
from curation.leakage.index import LABEL_WORDS
from curation.leakage.report import Evidence, Kind, Leak
from curation.leakage.weigh import ANSWER_SHARE, QUESTION_SHARE
from curation.similarity import same_answer, words
from curation.similarity.words import SHINGLE

MOST = 0.7
"""Share of the word 5-grams, undiscounted, from which a text is contained."""
STRETCH = 0.5
"""Share of the part's words, gaps of up to 8 words included, over which the found grams must reach."""
GAP = 8
LEAST_WORDS = 6
"""Words that must be found before an edited text counts as found."""
SHOWN_WORDS = 60


class TrainRow:
    """A train row with its messages as words. Message -1 is the whole question, where it is several messages."""

    def __init__(self, index: int, example: Example) -> None:
        self.index = index
        self.example = example
        self.tokens = [words(text_of(m.get("content"))) for m in example.messages]
        self.roles = [str(m.get("role")) for m in example.messages]
        if not self.tokens:
            self.tokens, self.roles = [words(example.question)], ["text"]
        self.last = len(self.tokens) - 1 if example.answer is not None else -1

    @cached_property
    def question(self) -> list[str]:
        """Words of the whole question."""
        return words(self.example.question)

    @cached_property
    def grams(self) -> list[set[tuple[str, ...]]]:
        """The 3-grams of each message."""
        return [set(zip(*(t[k:] for k in range(GRAM)), strict=False)) for t in self.tokens]


@dataclass
class Part:
    """A question or an answer of the test, in words; `template` says of each of its 3-grams whether it is one that
    very many train rows hold.
    """

    name: str
    tokens: list[str]
    template: Sequence[bool]

    @cached_property
    def grams(self) -> list[tuple[str, ...]]:
        """The 3-grams in order."""
        return list(zip(*(self.tokens[k:] for k in range(GRAM)), strict=False))

    @cached_property
    def own(self) -> list[bool]:
        """For each 3-gram whether it counts: all where everything is template."""
        own = [not common for common in self.template][: len(self.grams)]
        return own if any(own) else [True] * len(self.grams)


@dataclass(frozen=True)
class Found:
    """How much of a part stands in a row: `share` of its own 3-grams, `whole` of its own 5-grams, `words` and
    `stretch` as STRETCH and LEAST_WORDS have it, the longest run, and the message that holds most.
    """

    share: float
    whole: float
    words: int
    stretch: float
    run: tuple[int, int]
    message: int


def look(part: Part, row: TrainRow) -> Found:
    """Find the part's 3-grams in the row's messages."""
    each = [[own and g in grams for g, own in zip(part.grams, part.own, strict=True)] for grams in row.grams]
    here = [any(column) for column in zip(*each, strict=True)]
    message = max(range(len(each)), key=lambda m: sum(each[m]))
    own = sum(part.own)
    fives = [k for k in range(len(here) - (SHINGLE - GRAM)) if any(part.own[k : k + SHINGLE - GRAM + 1])]
    whole = sum(all(h or not o for h, o in zip(here[k : k + 3], part.own[k : k + 3], strict=True)) for k in fives)
    covered = {k + step for k, found in enumerate(here) if found for step in range(GRAM)}
    return Found(
        sum(here) / own if own else 0.0,
        whole / len(fives) if fives else float(all(here) and bool(here)),
        len(covered),
        _stretch(sorted(covered)) / max(1, len(part.tokens)),
        _longest(here),
        message,
    )


def _stretch(places: list[int]) -> int:
    """Words from first to last found, without gaps of more than GAP words."""
    if not places:
        return 0
    return 1 + sum(b - a if b - a <= GAP + 1 else 1 for a, b in pairwise(places))


def _longest(here: list[bool]) -> tuple[int, int]:
    """Start and end, in words, of the longest run of found grams."""
    best, start = (0, 0), None
    for place, found in enumerate([*here, False]):
        if found and start is None:
            start = place
        elif not found and start is not None:
            if place - start > best[1] - GRAM + 1 - best[0] or best == (0, 0):
                best = (start, place + GRAM - 1)
            start = None
    return best


@dataclass
class Pair:
    """What the pass knows of a test item and a train row: similarity of the questions by words and by characters,
    where it reaches the threshold; the discounted share of each part that is worth a look; whether texts with the
    same words were met; whether the answers are known to differ.
    """

    near: float = 0.0
    short_near: float = 0.0
    share: dict[str, float] = field(default_factory=dict)
    same_words: bool = False
    differ: bool = False


class Judge:
    """Judges pairs of one test item. `parts`: its question and, where it is not a label, its answer."""

    def __init__(self, item: int, example: Example, parts: Mapping[str, Part], threshold: float) -> None:
        self.item = item
        self.example = example
        self.parts = parts
        self.threshold = threshold

    def judge(self, row: TrainRow, pair: Pair) -> tuple[list[Leak], list[Leak]]:
        """Leaks and suspects of this pair, the question's first."""
        same = not pair.differ and same_answer(self.example.answer, row.example.answer, self.threshold)
        leaks, suspects = self._question(row, pair, same)
        if "answer" in self.parts and ("answer" in pair.share or pair.same_words):
            more, also = self._answer(row, pair, same)
            leaks, suspects = leaks + more, suspects + also
        return leaks, [] if leaks else suspects

    def _leak(self, row: TrainRow, kind: Kind, same: bool, score: float, evidence: Evidence) -> Leak:
        return Leak(self.item, row.index, kind, "same" if same else "different", round(min(score, 1.0), 4), evidence)

    def _evidence(self, part: Part, row: TrainRow, message: int, run: tuple[int, int], why: str = "") -> Evidence:
        shared = " ".join(part.tokens[run[0] : min(run[1], run[0] + SHOWN_WORDS)])
        role = row.roles[message] if message >= 0 else "user"
        return Evidence("answer" if part.name == "answer" else "question", message, role, shared, why)

    def _question(self, row: TrainRow, pair: Pair, same: bool) -> tuple[list[Leak], list[Leak]]:
        part = self.parts["question"]
        size = len(part.tokens)
        if pair.same_words and (message := self._stands_as(part, row)) is not None:
            return [self._leak(row, "exact", same, 1.0, self._evidence(part, row, message, (0, size)))], []
        if not (pair.near or pair.short_near or "question" in pair.share):
            return [], []
        settled = same or self.example.answer is None
        found = look(part, row)
        if pair.near or pair.short_near:
            score = max(pair.near, pair.short_near)
            evidence = self._evidence(part, row, -1, found.run, "" if settled else "a minimal pair: other answer")
            leak = self._leak(row, "near", same, score, evidence)
            return ([leak], []) if settled else ([], [leak])
        if not self._is_found(found, pair.share.get("question", 0.0), QUESTION_SHARE, size):
            return [], []
        why = "a question of fewer than 8 words" if size < LABEL_WORDS else "" if settled else "other answer"
        leak = self._leak(row, "contained", same, found.share, self._evidence(part, row, found.message, found.run, why))
        return ([], [leak]) if why else ([leak], [])

    def _stands_as(self, part: Part, row: TrainRow) -> int | None:
        """The message that has the same words (-1: the whole question); a short one must be asked, not said."""
        if not part.tokens:
            return -1 if self.example.question == row.example.question else None
        if part.tokens == row.question:
            return -1
        for number, tokens in enumerate(row.tokens):
            if tokens == part.tokens and (len(tokens) >= LABEL_WORDS or row.roles[number] == "user"):
                return number
        return None

    @staticmethod
    def _is_found(found: Found, share: float, wanted: float, size: int) -> bool:
        """Most of it stands in the row: word for word, or edited all over."""
        if found.whole >= MOST and (found.words >= LEAST_WORDS or size < LABEL_WORDS):
            return True
        return share >= wanted and found.stretch >= STRETCH and found.words >= LEAST_WORDS

    def _answer(self, row: TrainRow, pair: Pair, same: bool) -> tuple[list[Leak], list[Leak]]:
        part = self.parts["answer"]
        found = look(part, row)
        said = found.message == row.last
        kind: Kind = "answer" if not said else "near" if same else "contained"
        if self._is_found(found, pair.share.get("answer", 0.0), ANSWER_SHARE, len(part.tokens)):
            return [self._leak(row, kind, same, found.share, self._evidence(part, row, found.message, found.run))], []
        if found.run[1] - found.run[0] < LABEL_WORDS:
            return [], []
        evidence = self._evidence(part, row, found.message, found.run, "a short shared span")
        return [], [self._leak(row, kind, same, found.share, evidence)]
