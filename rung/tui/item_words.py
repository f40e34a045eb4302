"""What the Review screen says of an item: the conversation, its answer or answers, what to look at, its origin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from curation.example import Example, text_of
from curation.review import Item
from curation.review.repair import edited_text
from rung.symbols import drawn
from rung.tui.text import row_text, shown
from rung.tui.widgets.marked import folded
from rung.tui.widgets.passage import Part

ROLES = {"system": "System", "user": "Question", "assistant": "Answer", "tool": "Tool"}
VERBS = {
    "approve": "approved",
    "edit": "edited",
    "reject": "rejected",
    "skip": "skipped",
    "unsure": "not sure",
    "flag": "flagged",
}
FINDINGS = 4
"""Findings shown beside an item; the rest is counted."""


def asked(item: Item) -> list[Part]:
    """All messages up to the answer, each under its role; where it is a conversation, with the number of its turn."""
    parts = [Part(Text(""))]
    messages = Example(item.row).asked
    turns = sum(message.get("role") == "user" for message in messages)
    turn = 0
    for message in messages:
        role = str(message.get("role"))
        turn += role == "user"
        place = f"  turn {turn} of {turns}" if turns > 1 and role == "user" else ""
        name = ROLES.get(role, shown(role))
        title = f"{name} before" if role == "assistant" else name
        parts += [Part(Text(f"{title}{place}", style="bold")), Part(row_text(said(message)), 2), Part(Text(""))]
    return parts


def said(message: Mapping[str, Any]) -> str:
    """A message's text and the tools that it calls."""
    calls = message.get("tool_calls")
    text = text_of(message.get("content"))
    return "\n".join(part for part in (text, json.dumps(calls, ensure_ascii=False) if calls else "") if part)


def label(item: Item) -> str:
    """What the text under the question is."""
    if "rejected" in item.row:
        return "Is the better answer better?"
    return "Proposed answer" if item.messages else "Text"


def answer(item: Item) -> str | None:
    """The text that is decided on; None where there is none yet."""
    return edited_text(item.row) or None


def worse(item: Item) -> str | None:
    """The worse answer of a preference pair."""
    found = item.row.get("rejected")
    if found is None:
        return None
    return found if isinstance(found, str) else "\n".join(said(message) for message in found)


def behind(item: Item, width: int, hidden: str = "") -> Iterator[Text]:
    """What to look at (`hidden`: what is masked), where the row comes from, how far it is."""
    yield Text("")
    notes = [*([f"!   {hidden}"] if hidden else []), *_notes(item)]
    if notes:
        yield Text("Look at this", style="bold")
        for note in notes:
            yield from _lines(f"  {note}", width)
        yield Text("")
    yield Text("Where it comes from", style="bold")
    yield from _lines(f"  {origin(item)}", width)
    yield Text("")
    count = f"  {item.decided:,} of {item.total:,}"
    room = max(width - len(count) - 2, 8)
    filled = round(room * item.decided / max(item.total, 1))
    yield Text(drawn("━" * filled + "─" * (room - filled) + count), no_wrap=True)


def _notes(item: Item) -> Iterator[str]:
    if item.draft is not None:
        yield "!   You began an edit of this row: e goes on with it"
    for side in item.sides:
        what = VERBS.get(side.verdict, side.verdict)
        yield f"!   {shown(side.reviewer)} {what}   {shown(one_line(side.answer), limit=100)}"
    for finding in item.findings[:FINDINGS]:
        yield f"!   {shown(str(finding.get('text', finding)), limit=200)}"
    if len(item.findings) > FINDINGS:
        yield f"    {len(item.findings) - FINDINGS} more: w shows them"


def origin(item: Item) -> str:
    """Who drafted it from which row, or its file and line."""
    meta = item.meta or {}
    if not meta.get("model"):
        return shown(item.source) or "unknown (no source was kept)"
    seed = f" from {meta['seed_row']}" if meta.get("seed_row") else ""
    day = f", {str(meta['at'])[:10]}" if meta.get("at") else ""
    return shown(f"Drafted by {meta['model']}{seed}{day}")


def one_line(text: str | None) -> str:
    """A text without its line breaks; `-` where there is none."""
    return " ".join((text or "-").split())


def _lines(text: str, width: int) -> Iterator[Text]:
    yield from (Text(drawn(line)) for line in folded(text, max(width - 2, 20)))


def clock_of(until: str) -> str:
    """The local time of day of an ISO time, as of a lease's end."""
    from datetime import datetime

    return datetime.fromisoformat(until).astimezone().strftime("%H:%M") if until else "-"
