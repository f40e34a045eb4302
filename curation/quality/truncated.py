"""Answers that break off."""

from __future__ import annotations

import re

from curation.quality.base import Check, Evidence, Finding, Pile, Subject, Survey, evidence_of

_END = re.compile(r"[.!?:;。！？।…\"”’')\]}>`*|_\d%]\s*$|[\U0001F300-\U0001FAFF]\s*$")
_SENTENCE = re.compile(r"[.!?。！？]\s+\S")
LONG = 20
"""Words from which an answer is expected to end like a sentence."""


class Truncated(Check):
    """An open code fence or bracket; the middle of a sentence, where the other answers end like sentences."""

    name = "truncated"
    title = "Answers that break off"
    reason = "A model that learns from answers that break off learns to break off."
    action = "queue"

    def __init__(self) -> None:
        super().__init__()
        self.open = Pile()
        self.cut = Pile()
        self.prose = 0

    def see(self, subject: Subject) -> None:
        """Put the row on a pile."""
        answer = subject.example.answer
        if not answer:
            return
        if note := _left_open(answer):
            self.open.add(evidence_of(note, subject, texts=[_tail(answer)]))
        elif len(answer.split()) >= LONG and _SENTENCE.search(answer):
            self.prose += 1
            if not _END.search(answer):
                self.cut.add(evidence_of("ends in the middle of a sentence", subject, texts=[_tail(answer)]))

    def end(self, survey: Survey) -> Finding | None:
        """The open ones; the cut ones too where fewer than one in five long answers ends so."""
        cut = self.cut if self.cut.count * 5 < self.prose else Pile()
        evidence: list[Evidence] = self.open.evidence + cut.evidence
        if not evidence:
            return None
        return self.finding(evidence, rows=self.open.count + cut.count, ids=self.open.ids + cut.ids)


def _left_open(answer: str) -> str:
    if answer.count("```") % 2:
        return "a code fence is left open"
    start = answer.lstrip()[:1]
    if start in ("{", "[") and answer.count(start) > answer.count("}" if start == "{" else "]"):
        return f"the {start} at its start is never closed"
    if re.search(r"\w(?:\.\.\.|…)$", answer.rstrip()) and len(answer) > 40:
        return "ends in an ellipsis"
    return ""


def _tail(answer: str) -> str:
    return "…" + answer[-80:] if len(answer) > 80 else answer
