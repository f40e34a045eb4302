"""Answers and questions without a word."""

from __future__ import annotations

from curation.quality.base import RowCheck, Subject


class Empty(RowCheck):
    """A text of white space only teaches silence; a malformed (empty) one never comes this far."""

    name = "empty"
    title = "Empty texts"
    severity = "blocks"
    reason = "An answer without a word teaches to say nothing."
    action = "exclude"

    def fault(self, subject: Subject) -> str | None:
        """Which text has no visible character."""
        example = subject.example
        if not example.question.strip():
            return "the question is white space"
        if example.answer is not None and not example.answer.strip() and not example.messages[-1].get("tool_calls"):
            return "the answer is white space"
        return None
