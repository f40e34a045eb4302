"""Lengths, and rows that come from one source above all."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from curation.quality.base import Check, Finding, Subject, Survey

FEWEST = 100
LOPSIDED = 0.9
BINS = 16


class Spread(Check):
    """Words of questions and answers as they spread; a finding where one of several sources holds nearly all rows."""

    name = "spread"
    title = "One-sided rows"
    reason = "One source holds nearly all rows."

    def __init__(self) -> None:
        super().__init__()
        self.questions: Counter[int] = Counter()
        self.answers: Counter[int] = Counter()
        self.turns: Counter[int] = Counter()
        self.sources: Counter[str] = Counter()

    def see(self, subject: Subject) -> None:
        """Count words, turns and source."""
        example = subject.example
        self.questions[_bin(example.question)] += 1
        if example.answer is not None:
            self.answers[_bin(example.answer)] += 1
        self.turns[len(example.messages)] += 1
        source = example.row.get("source")
        if len(self.sources) < 1000:
            self.sources[source if isinstance(source, str) else subject.source or subject.file] += 1

    def end(self, survey: Survey) -> Finding | None:
        """The spread as a measure; lopsided sources as a finding."""
        self.measures = {
            "question_words": _table(self.questions),
            "answer_words": _table(self.answers),
            "messages": dict(sorted(self.turns.items())),
            "sources": dict(self.sources.most_common(20)),
        }
        if survey.rows < FEWEST or len(self.sources) < 2:
            return None
        name, count = self.sources.most_common(1)[0]
        if count < LOPSIDED * survey.rows:
            return None
        others = len(self.sources) - 1
        reason = f"{count:,} of {survey.rows:,} rows come from {name}; the other {others} sources hardly count."
        return self.finding([], rows=count, reason=reason)


def _bin(text: str) -> int:
    """Bins that double: 0, 1, 2-3, 4-7 ... words."""
    words = len(text.split())
    return min(BINS, int(math.log2(words)) + 1) if words else 0


def _table(counts: Counter[int]) -> list[dict[str, Any]]:
    return [{"from": 2 ** (b - 1) if b else 0, "to": 2**b - 1 if b else 0, "rows": counts[b]} for b in sorted(counts)]
