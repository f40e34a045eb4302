"""Rows that do not fit into the model's context."""

from __future__ import annotations

from curation.quality.base import Options, RowCheck, Subject, all_texts

CHARACTERS_A_TOKEN = 3.5
"""For want of a tokenizer; English prose has about four characters a token, codes and other scripts fewer."""
TURN_TOKENS = 5
"""What a chat template adds to each message."""


class OverLong(RowCheck):
    """Counted by the model's own tokenizer where there is one, else estimated and called so."""

    name = "over_long"
    title = "Over-long rows"
    reason = "What is longer than the context is cut in training: the end of the answer is never learnt."
    action = "queue"

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.context = options.context or 2048
        self.count = options.count_tokens

    def fault(self, subject: Subject) -> str | None:
        """How many tokens, of how many that fit."""
        texts = all_texts(subject.example)
        extra = TURN_TOKENS * len(texts)
        most = sum(len(text.encode()) for text in texts) + extra
        if most <= self.context:
            return None
        if self.count is None:
            tokens = int(sum(map(len, texts)) / CHARACTERS_A_TOKEN) + extra
            return f"about {tokens:,} tokens (estimated), {self.context:,} fit" if tokens > self.context else None
        tokens = sum(map(self.count, texts)) + extra
        return f"{tokens:,} tokens, {self.context:,} fit" if tokens > self.context else None
