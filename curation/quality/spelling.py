"""One label in several spellings."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from curation.quality.base import Check, Evidence, Finding, Pile, Subject, Survey, evidence_of

LONGEST = 6
"""Words of an answer that may be a label."""


class Spelling(Check):
    """Labels that differ only in case, white space, `-`, `_` or a full stop: `Card lost`, `card_lost`."""

    name = "spelling"
    title = "One label, two spellings"
    reason = "Labels that differ only in case or punctuation are two classes to a metric and to a model."
    action = "queue"

    def __init__(self) -> None:
        super().__init__()
        self.spellings: dict[str, Counter[str]] = defaultdict(Counter)

    def see(self, subject: Subject) -> None:
        """Count a short answer's spelling."""
        answer = subject.example.answer
        if answer and len(answer) <= 80 and len(answer.split()) <= LONGEST and len(self.spellings) < 20_000:
            self.spellings[_plain(answer)][answer] += 1

    def end(self, survey: Survey) -> Finding | None:
        """Rows with the rarer spelling of a label that stands in five rows or more."""
        several = {k: c for k, c in self.spellings.items() if k and len(c) > 1 and c.total() >= 5}
        if not several:
            return None
        pile = Pile()
        evidence: list[Evidence] = []
        for subject in survey.sample:
            answer = subject.example.answer or ""
            counts = several.get(_plain(answer)) if len(answer) <= 80 else None
            if counts and answer != (usual := counts.most_common(1)[0][0]):
                pile.add(evidence_of(f"{answer!r}, {counts[usual]:,} rows write {usual!r}", subject))
        rows = sum(c.total() - c.most_common(1)[0][1] for c in several.values())
        evidence = pile.evidence
        return self.finding(evidence, rows=rows, ids=pile.ids)


def _plain(text: str) -> str:
    """Without case, white space, hyphens, underscores and a full stop at the end; signs that carry meaning stay."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)|\s+|\.$", "", text.casefold().strip())
