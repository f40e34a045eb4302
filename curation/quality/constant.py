"""Nearly all answers the same."""

from __future__ import annotations

from collections import Counter

from curation.quality.base import Check, Finding, Subject, Survey
from curation.quality.rules import limit

FEWEST = 20
KEPT = 50_000


class Constant(Check):
    """One answer for 95% of the rows: a model learns to say it always."""

    name = "constant"
    title = "Nearly one answer"
    reason = "A model that always gives this answer would score as well."

    def __init__(self) -> None:
        super().__init__()
        self.answers: Counter[int] = Counter()
        self.first: dict[int, str] = {}

    def see(self, subject: Subject) -> None:
        """Count the answer."""
        answer = subject.example.answer
        if answer is None:
            return
        key = hash(answer.strip())
        if key in self.answers or len(self.answers) < KEPT:
            self.answers[key] += 1
            self.first.setdefault(key, answer[:80])

    def end(self, survey: Survey) -> Finding | None:
        """The answer and its share."""
        total = self.answers.total()
        if total < FEWEST:
            return None
        key, count = self.answers.most_common(1)[0]
        if count < limit("constant_answer") * total:
            return None
        reason = f"{count:,} of {total:,} answers are {self.first[key]!r}: always giving it would score as well."
        return self.finding([], rows=count, reason=reason)
