"""Chat rows: the canonical form itself."""

from __future__ import annotations

from typing import Any

from curation.example import Example
from curation.rows.names import need, others, rest, turns_of, with_system
from curation.rows.turns import read_turns


def read(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """Return the row with canonical messages, a `system` beside them as the first. Raises Malformed."""
    messages, used = with_system(row, read_turns(need(row, "messages"), unanswered=unanswered))
    return row if messages is row["messages"] else {**rest(row, *used), "messages": messages}


def write(example: Example) -> dict[str, Any]:
    """The canonical row; of a preference row the chosen answer, with `rejected` kept beside."""
    if "messages" in example.row:
        return dict(example.row)
    turns = turns_of(example, "chat")
    return {"messages": [dict(turn) for turn in turns], **others(example)}
