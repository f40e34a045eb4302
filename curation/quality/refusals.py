"""Answers that refuse, or speak of being a model."""

from __future__ import annotations

from curation.quality.base import RowCheck, Subject, assistant_texts
from curation.quality.rules import patterns


class Refusals(RowCheck):
    """Refusals and "as an AI" in answers: right in a few sets, an accident in most."""

    name = "refusals"
    title = "Refusals"
    reason = "Answers that refuse, or speak of being a model, teach a tuned model to do so."
    action = "queue"

    def fault(self, subject: Subject) -> str | None:
        """The words found."""
        for text in assistant_texts(subject.example):
            if found := patterns("refusals").search(text):
                return f"says {' '.join(found[0].split())[:60]!r}"
        return None
