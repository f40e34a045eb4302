"""A tokenizer that is enough for a plan."""

from collections.abc import Mapping, Sequence
from typing import Any


class Words:
    """Counts words."""

    def count(self, text: str) -> int:
        return len(text.split())

    def render(self, turns: Sequence[Mapping[str, Any]]) -> str:
        return " ".join(str(turn["content"]) for turn in turns)
