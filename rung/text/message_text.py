"""A row in review as people read it, in the terminal and on the page: messages, answers, verdicts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chat.tool_calls import call_table, calls_of
from curation.example import Example, text_of

ROLES = {"system": "System message", "user": "Question", "assistant": "Answer", "tool": "Tool"}
VERBS = {
    "approve": "approved",
    "edit": "edited",
    "reject": "rejected",
    "skip": "skipped",
    "unsure": "not sure",
    "flag": "flagged",
}


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message before the answer; of a conversation the title has the number of its turn."""

    role: str
    title: str
    text: str


def turns(row: Mapping[str, Any]) -> Iterator[ChatTurn]:
    """Yield the messages before the last answer; nothing for a text row."""
    asked = Example(row).asked
    many = sum(message.get("role") == "user" for message in asked) > 1
    number = 0
    for message in asked:
        role = str(message.get("role"))
        number += role == "user"
        place = f" {number}" if many and role in ("user", "assistant") else ""
        yield ChatTurn(role, ROLES.get(role, role) + place, message_text(message))


def worse_answer(row: Mapping[str, Any]) -> str | None:
    """Return the worse answer of a preference pair."""
    found = row.get("rejected")
    return found if found is None or isinstance(found, str) else "\n".join(map(message_text, found))


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message, and its calls below."""
    parts = [text_of(message.get("content")), *map(call_table, calls_of(message))]
    return "\n".join(part for part in parts if part)


def marked(pieces: Sequence[tuple[str, bool]]) -> str:
    """Return a text whose marked pieces are between `[[` and `]]`."""
    return "".join(f"[[{text}]]" if is_marked else text for text, is_marked in pieces)


def visible(line: str) -> str:
    """Return a line with its control characters as numbers."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)


def clock_of(stamp: str) -> str:
    """Return the local time of day of an ISO time, as of a lease's end."""
    return datetime.fromisoformat(stamp).astimezone().strftime("%H:%M") if stamp else "-"
