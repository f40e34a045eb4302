"""The last word on a (train row, test item) pair, from both texts: leak, suspect or nothing, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

from curation.likeness.leaks.answered import Answered
from curation.likeness.leaks.index import LABEL_WORDS
from curation.likeness.leaks.look import AskedRow, ItemPart, LearntRow, Overlap, look
from curation.likeness.leaks.report import Kind, Leak, LeakEvidence
from curation.likeness.leaks.weigh import ANSWER_SHARE, QUESTION_SHARE
from curation.likeness.words import jaccard, same_answer

MOST = 0.7
"""Share of the word 5-grams, undiscounted, from which a text is contained."""
STRETCH = 0.5
"""Share of the part's own words (not of a template), small gaps included, over which the found grams must reach."""
LEAST_WORDS = 6
"""Words that must be found before an edited text counts as found."""
SHOWN_WORDS = 60


@dataclass
class CandidatePair:
    """A test item and a train row that is to be judged. `question` and `answer` are the discounted shares of the parts
    that are worth a look, -1 for others; `same_words` where texts with the same words were met.
    """

    test: AskedRow
    row: LearntRow
    threshold: float
    question: float
    answer: float
    same_words: bool

    @cached_property
    def near(self) -> float:
        """Similarity of the questions, 0 where they are not near."""
        return self.test.near(self.row, self.threshold, share_words=self.question >= 0)

    @cached_property
    def same(self) -> bool:
        """True if both answers are the same."""
        one, other = self.test.example.answer, self.row.example.answer
        if one == other:
            return True
        return same_answer(one, other, near=jaccard(self.test.answer, self.row.answer) >= self.threshold)


Found = tuple[list[Leak], list[Leak]]
"""Leaks and suspects."""


class LeakJudge:
    """Judges pairs of one test item. `parts`: its question and, where it is not a label, its answer."""

    def __init__(self, item: int, asked: AskedRow, parts: Mapping[str, ItemPart]) -> None:
        self.item, self.asked, self.example, self.parts = item, asked, asked.example, parts

    @cached_property
    def _answered(self) -> Answered:
        return Answered(self.example)

    def judge(self, pair: CandidatePair) -> Found:
        """Return leaks and suspects of this pair, the question's first."""
        leaks, suspects = self._question(pair)
        if "answer" in self.parts and (pair.answer >= 0 or pair.same_words):
            more, also = self._answer(pair)
            leaks, suspects = leaks + more, suspects + also
        return leaks, [] if leaks else suspects

    def _leak(self, pair: CandidatePair, kind: Kind, score: float, evidence: LeakEvidence) -> Leak:
        answer: Literal["same", "different"] = "same" if pair.same else "different"
        return Leak(self.item, pair.row.index, kind, answer, round(min(score, 1.0), 4), evidence)

    def _evidence(self, part: ItemPart, row: LearntRow, text: int, run: tuple[int, int], why: str = "") -> LeakEvidence:
        run = run[0], min(run[1], run[0] + SHOWN_WORDS)
        message, role = (row.message[text], row.roles[text]) if text >= 0 else (-1, "user")
        return LeakEvidence(part.name, message, role, why, partial(part.words, *run))

    def _question(self, pair: CandidatePair) -> Found:
        part, row = self.parts["question"], pair.row
        if (message := self._stands_as(part, row)) is not None:
            exact = self._leak(pair, "exact", 1.0, self._evidence(part, row, message, (0, part.size)))
            # Of very many that have the same words not all pairs are noted: those stand for the others.
            return [exact] if pair.same_words else [], []
        if not pair.near and pair.question < 0:
            return [], []
        leaks, suspects = self._alike(part, pair)
        if not leaks and (message := self._answered.find(row.texts)) is not None:
            evidence = self._evidence(part, row, message, (0, part.size))
            return [Leak(self.item, row.index, "contained", "same", 1.0, evidence)], []
        if not leaks and (found := self._beside(part, row)):
            return [self._leak(pair, "contained", 1.0, self._evidence(part, row, found.text, found.run))], []
        return leaks, suspects

    def _beside(self, part: ItemPart, row: LearntRow) -> Overlap | None:
        """Return an overlap if all of a question is in reasoning, a tool call or tools: the row answers another one."""
        if len(row.roles) == row.said or part.size < LABEL_WORDS:
            return None
        found = look(part, row)
        return found if found.text >= row.said and part.whole(found.most) >= 1 else None

    def _alike(self, part: ItemPart, pair: CandidatePair) -> Found:
        """Judge a question that is near, or is contained, by itself."""
        found, near = look(part, pair.row), pair.near
        if not near and not _is_found(found, pair.question, QUESTION_SHARE):
            return [], []
        settled = self.example.answer is None or pair.same
        if near:
            evidence = self._evidence(part, pair.row, -1, found.run, "" if settled else "a minimal pair: other answer")
            leak = self._leak(pair, "near", near, evidence)
        else:
            short = part.size < LABEL_WORDS
            why = "a question of fewer than 8 words" if short else "" if settled else "other answer"
            evidence = self._evidence(part, pair.row, found.text, found.run, why)
            leak = self._leak(pair, "contained", found.share, evidence)
        return ([], [leak]) if leak.evidence.why else ([leak], [])

    def _stands_as(self, part: ItemPart, row: LearntRow) -> int | None:
        """Return the message that has the same words (-1: the whole question); a short one must be asked, not said."""
        if not part.size:
            return -1 if self.example.question == row.example.question else None
        if part.said == row.question:
            return -1
        for number, text in enumerate(row.texts):
            if text.words == part.said and (part.size >= LABEL_WORDS or row.roles[number] == "user"):
                return number
        return None

    def _answer(self, pair: CandidatePair) -> Found:
        part, row = self.parts["answer"], pair.row
        found = look(part, row)
        if _is_found(found, pair.answer, ANSWER_SHARE):
            why, size = "", LABEL_WORDS
        else:
            why, size = "a short shared span", found.run[1] - found.run[0]
        if size < LABEL_WORDS:
            return [], []
        kind: Kind = "answer" if row.message[found.text] != row.last else "near" if pair.same else "contained"
        leak = self._leak(pair, kind, found.share, self._evidence(part, row, found.text, found.run, why))
        return ([], [leak]) if why else ([leak], [])


def _is_found(found: Overlap, share: float, wanted: float) -> bool:
    """True if most of it is in the row: word for word, or edited all over."""
    if found.whole >= MOST and (found.count >= LEAST_WORDS or found.part.size < LABEL_WORDS):
        return True
    return share >= wanted and found.stretch >= STRETCH and found.own_count >= LEAST_WORDS
