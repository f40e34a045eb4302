"""Rows that do not fit into the model's context, counted with its own tokenizer where there is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from curation.checks.base import Options, SingleRowCheck, Subject
from curation.example import all_texts
from workspace.extras import installed
from workspace.folder import folder_named
from workspace.settings import Settings

CHARACTERS_A_TOKEN = 3.5
"""Used without a tokenizer: English prose has about four characters a token, codes and other scripts fewer."""
TURN_TOKENS = 5
"""Tokens that a chat template adds to each message."""


class OverLong(SingleRowCheck):
    """Rows over the context length, counted by the model's own tokenizer if there is one, else estimated."""

    name = "over_long"
    title = "Over-long rows"
    reason = "What is longer than the context is cut in training: the end of the answer is never learnt."
    action = "queue"

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.context = options.context or 2048
        self.count = options.count_tokens

    def fault(self, subject: Subject) -> str | None:
        """Return the number of tokens, and the number that fits."""
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


def context_of(folder: Path | None) -> tuple[int, Callable[[str], int] | None]:
    """Return tokens that fit (0: unknown) and a counter (None: none at hand) of a local model's folder."""
    if folder is None or not (folder / "config.json").is_file():
        return 0, None
    try:
        config = json.loads((folder / "config.json").read_text())
        fits = config.get("max_position_embeddings") or config.get("n_positions") or 0
    except (OSError, ValueError, AttributeError):
        return 0, None
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file() or not installed("tokenizers"):
        return int(fits), None
    return int(fits), _counter(tokenizer)


def own_context(settings: Settings) -> tuple[int, Callable[[str], int] | None]:
    """Return the same of the model that a project's settings name, where it lies on this machine."""
    return context_of(folder_named(settings.model.base) if settings.model.provider == "local" else None)


def _counter(path: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    made = Tokenizer.from_file(str(path))
    return lambda text: len(made.encode(text, add_special_tokens=False).ids)
