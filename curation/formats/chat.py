"""Chat rows: the canonical form itself."""

from __future__ import annotations

from typing import Any

from curation.example import Example
from curation.formats.names import need, others, turns_of
from curation.formats.turns import are_sound, check_turns


def read(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """The row itself, when its messages keep the rules."""
    if not are_sound(row.get("messages"), unanswered):
        check_turns(need(row, "messages"), unanswered=unanswered)
    return row


def write(example: Example) -> dict[str, Any]:
    """The canonical row; of a preference row the chosen answer, with `rejected` kept beside."""
    if "messages" in example.row:
        return dict(example.row)
    turns = turns_of(example, "chat")
    return {"messages": [dict(turn) for turn in turns], **others(example)}
