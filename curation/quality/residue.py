"""Marks of templates and prompts left in answers."""

from __future__ import annotations

from curation.quality.base import RowCheck, Subject, assistant_texts
from curation.quality.rules import patterns


class Residue(RowCheck):
    """Chat template tokens, unfilled placeholders, "Human:" lines and the like, in what the model is to write."""

    name = "residue"
    title = "Template residue"
    reason = "What stands in answers is what a tuned model writes: template marks and placeholders too."
    action = "queue"

    def fault(self, subject: Subject) -> str | None:
        """The first mark found."""
        for text in assistant_texts(subject.example):
            if found := patterns("residue").search(text):
                return f"holds {' '.join(found[0].split())[:40]!r}"
        return None
