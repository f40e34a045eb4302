"""The last word on a (train row, test item) pair, from both texts: leak, suspect or nothing, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Literal

from curation.example import Example
from curation.likeness import same_answer
from curation.likeness.leaks.answered import Answered
from curation.likeness.leaks.index import LABEL_WORDS
from curation.likeness.leaks.look import ItemPart, LearntRow, Looker, Overlap
from curation.likeness.leaks.report import Kind, Leak, LeakEvidence
from curation.likeness.leaks.weigh import ANSWER_SHARE, QUESTION_SHARE, CandidatePair

MOST = 0.7
"""Share of the word 5-grams, undiscounted, from which a text is contained."""
STRETCH = 0.5
"""Share of the part's own words (not of a template), small gaps included, over which the found grams must reach."""
LEAST_WORDS = 6
"""Words that must be found before an edited text counts as found."""
SHOWN_WORDS = 60


class _Same:
    """Whether both answers are the same, worked out when it is asked for."""

    def __init__(self, test: Example, row: Example, pair: CandidatePair, threshold: float) -> None:
        self._test, self._row, self._pair, self._threshold = test, row, pair, threshold

    @cached_property
    def same(self) -> bool:
        """The two answers are the same."""
        near = self._pair.answers_near
        return not self._pair.differ and same_answer(self._test.answer, self._row.answer, self._threshold, near=near)


class LeakJudge:
    """Judges pairs of one test item. `parts`: its question and, where it is not a label, its answer."""

    def __init__(
        self, item: int, example: Example, parts: Mapping[str, ItemPart], looker: Looker, threshold: float
    ) -> None:
        self.item = item
        self.example = example
        self.parts = parts
        self.looker = looker
        self.threshold = threshold

    @cached_property
    def _answered(self) -> Answered:
        return Answered(self.example)

    def judge(self, row: LearntRow, pair: CandidatePair) -> tuple[list[Leak], list[Leak]]:
        """Leaks and suspects of this pair, the question's first."""
        same = _Same(self.example, row.example, pair, self.threshold)
        leaks, suspects = self._question(row, pair, same)
        if "answer" in self.parts and (pair.answer is not None or pair.same_words):
            more, also = self._answer(row, pair, same)
            leaks, suspects = leaks + more, suspects + also
        return leaks, [] if leaks else suspects

    def _leak(self, row: LearntRow, kind: Kind, same: _Same, score: float, evidence: LeakEvidence) -> Leak:
        answer: Literal["same", "different"] = "same" if same.same else "different"
        return Leak(self.item, row.index, kind, answer, round(min(score, 1.0), 4), evidence)

    def _evidence(self, part: ItemPart, row: LearntRow, text: int, run: tuple[int, int], why: str = "") -> LeakEvidence:
        run = run[0], min(run[1], run[0] + SHOWN_WORDS)
        message, role = (row.message[text], row.roles[text]) if text >= 0 else (-1, "user")
        return LeakEvidence(part.name, message, role, why, partial(part.words, *run))

    def _question(self, row: LearntRow, pair: CandidatePair, same: _Same) -> tuple[list[Leak], list[Leak]]:
        part = self.parts["question"]
        if (message := self._stands_as(part, row)) is not None:
            exact = self._leak(row, "exact", same, 1.0, self._evidence(part, row, message, (0, part.size)))
            # Of very many that have the same words not all pairs are noted: those stand for the others.
            return [exact] if pair.same_words else [], []
        if not (pair.near or pair.short_near) and pair.question is None:
            return [], []
        leaks, suspects = self._alike(part, row, pair, same)
        if not leaks and (message := self._answered.find(row.spelled)) is not None:
            evidence = self._evidence(part, row, message, (0, part.size))
            return [Leak(self.item, row.index, "contained", "same", 1.0, evidence)], []
        if not leaks and (found := self._beside(part, row)):
            return [self._leak(row, "contained", same, 1.0, self._evidence(part, row, found.text, found.run))], []
        return leaks, suspects

    def _beside(self, part: ItemPart, row: LearntRow) -> Overlap | None:
        """Return where all of a question is in reasoning, a tool call or tools: what the row answers is another one, so
        that its answer says nothing.
        """
        if len(row.roles) == row.said or part.size < LABEL_WORDS:
            return None
        found = self.looker.look(part, row)
        return found if found.text >= row.said and part.whole(found.most) >= 1 else None

    def _alike(self, part: ItemPart, row: LearntRow, pair: CandidatePair, same: _Same) -> tuple[list[Leak], list[Leak]]:
        """What a question that is near, or is contained, is by itself."""
        if pair.near or pair.short_near:
            return self._near(part, row, pair, same)
        if pair.question is None:
            return [], []
        found = self.looker.look(part, row)
        if not _is_found(found, pair.question, QUESTION_SHARE):
            return [], []
        settled = self.example.answer is None or same.same
        why = "a question of fewer than 8 words" if part.size < LABEL_WORDS else "" if settled else "other answer"
        leak = self._leak(row, "contained", same, found.share, self._evidence(part, row, found.text, found.run, why))
        return ([], [leak]) if why else ([leak], [])

    def _near(self, part: ItemPart, row: LearntRow, pair: CandidatePair, same: _Same) -> tuple[list[Leak], list[Leak]]:
        settled = self.example.answer is None or same.same
        run = self.looker.look(part, row).run
        evidence = self._evidence(part, row, -1, run, "" if settled else "a minimal pair: other answer")
        leak = self._leak(row, "near", same, max(pair.near, pair.short_near), evidence)
        return ([leak], []) if settled else ([], [leak])

    def _stands_as(self, part: ItemPart, row: LearntRow) -> int | None:
        """The message that has the same words (-1: the whole question); a short one must be asked, not said."""
        if not part.size:
            return -1 if self.example.question == row.example.question else None
        if part.key == row.question:
            return -1
        for number, key in enumerate(row.keys):
            if key == part.key and (row.counts[number] >= LABEL_WORDS or row.roles[number] == "user"):
                return number
        return None

    def _answer(self, row: LearntRow, pair: CandidatePair, same: _Same) -> tuple[list[Leak], list[Leak]]:
        part = self.parts["answer"]
        found = self.looker.look(part, row)
        if _is_found(found, pair.answer or 0.0, ANSWER_SHARE):
            why, size = "", LABEL_WORDS
        else:
            why, size = "a short shared span", found.run[1] - found.run[0]
        if size < LABEL_WORDS:
            return [], []
        kind: Kind = "answer" if row.message[found.text] != row.last else "near" if same.same else "contained"
        leak = self._leak(row, kind, same, found.share, self._evidence(part, row, found.text, found.run, why))
        return ([], [leak]) if why else ([leak], [])


def _is_found(found: Overlap, share: float, wanted: float) -> bool:
    """Return whether most of it is in the row: word for word, or edited all over."""
    if found.whole >= MOST and (found.count >= LEAST_WORDS or found.part.size < LABEL_WORDS):
        return True
    return share >= wanted and found.stretch >= STRETCH and found.own_count >= LEAST_WORDS
