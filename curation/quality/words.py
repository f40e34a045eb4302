"""Words that a team does not want in its rows. Off unless a list is given."""

from __future__ import annotations

import re

from curation.quality.base import RowCheck, Subject, all_texts


class Words(RowCheck):
    """Whole words of the user's own list (toxic words, competitors, code names), any case."""

    name = "words"
    title = "Listed words"
    reason = "These rows hold words of your list."
    action = "queue"

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        forms = (r"\s+".join(map(re.escape, word.split())) for word in words)
        self.pattern = re.compile(r"(?i)(?<!\w)(?:" + "|".join(forms) + r")(?!\w)")

    def fault(self, subject: Subject) -> str | None:
        """The first word found."""
        for text in all_texts(subject.example):
            if found := self.pattern.search(text):
                return f"holds {found[0]!r}"
        return None
