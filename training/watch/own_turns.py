"""The user's own turns out of a request: without the released prompt's system message, examples and passages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.example import Example, text_of
from curation.quality.mask import mask

PASSAGES = "Passages:\n[1] "
"""How the arm `rag` begins the message that holds its passages (evaluation/arms/rag.py)."""


class OwnTurns:
    """Takes from a request what the release put there; `system` is the message that all train rows share, or empty."""

    def __init__(self, train: Sequence[Example], release: Path | None) -> None:
        systems = {row.system for row in train}
        self.system: str | None = systems.pop() if len(systems) == 1 else None
        self.shown = {_pair(row.asked, row.answer) for row in shown_examples(release)}

    def of(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The turns as a train row would have them. The system message is the rows' own where all share one."""
        turns = [dict(turn) for turn in messages if turn.get("role") != "system"]
        turns = self._without_examples(turns)
        if turns and turns[-1].get("role") == "user":
            turns[-1]["content"] = _without_passages(text_of(turns[-1].get("content")))
        if self.system is None:
            return [*(dict(turn) for turn in messages if turn.get("role") == "system"), *turns]
        return [*([{"role": "system", "content": self.system}] if self.system else []), *turns]

    def question(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The question of those turns."""
        return Example({"messages": self.of(messages)}).question

    def _without_examples(self, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
        while len(turns) > 2 and _pair(turns[:1], text_of(turns[1].get("content"))) in self.shown:
            turns = turns[2:]
        return turns


def shown_examples(release: Path | None) -> Iterable[Example]:
    """The rows that a released prompt shows to the model; none where there is no such release."""
    path = release / "prompt" / "prompt.json" if release else None
    if path is None or not path.is_file():
        return []
    return [Example(row) for row in json.loads(path.read_text(encoding="utf-8"))["examples"]]


def _pair(asked: Sequence[Mapping[str, Any]], answer: str | None) -> tuple[str, str]:
    """Question and answer of an exchange, masked as the log's are."""
    said = "\n".join(text_of(turn.get("content")) for turn in asked if turn.get("role") != "system")
    return mask(said), mask(answer or "")


def _without_passages(text: str) -> str:
    return text.partition("\n\n")[2] if text.startswith(PASSAGES) and "\n\n" in text else text
