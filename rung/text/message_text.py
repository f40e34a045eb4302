"""A message of a row as people read it: its text, and each tool call as a small table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chat.tool_calls import call_table, calls_of
from curation.example import text_of


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a message, and its calls below."""
    parts = [text_of(message.get("content")), *map(call_table, calls_of(message))]
    return "\n".join(part for part in parts if part)


def marked(pieces: Sequence[tuple[str, bool]]) -> str:
    """A text whose marked pieces are between `[[` and `]]`."""
    return "".join(f"[[{text}]]" if is_marked else text for text, is_marked in pieces)
