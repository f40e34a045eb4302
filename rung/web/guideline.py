"""guideline.md as headings, paragraphs and lists of plain text: no markup of it reaches the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

from rung.report.page import shown

OPEN, CLOSE = "\ue000", "\ue001"
"""Where a mark begins and ends, until the text is escaped."""
LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Block:
    """`kind`: heading, text, list (one line an entry) or code."""

    kind: str
    lines: tuple[str, ...]


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a Markdown text, read roughly; what is not understood stays as it is written."""
    for part in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        lines = [line for line in part.split("\n") if line.strip()]
        while lines and (heading := re.match(r"#{1,6}\s+(.*)", lines[0])):
            yield Block("heading", (heading[1].strip(" #"),))
            lines = lines[1:]
        if not lines:
            continue
        if lines[0].startswith(("```", "    ", "|")):
            yield Block("code", tuple(line for line in lines if not line.startswith("```")))
        elif all(re.match(r"\s*([-*+]|\d+[.)])\s|\s{2,}\S", line) for line in lines):
            yield Block("list", tuple(re.sub(r"^\s*[-*+]\s+", "", line).strip() for line in lines))
        else:
            yield Block("text", (" ".join(line.strip() for line in lines),))


def found(parts: list[Block], words: str) -> list[Block]:
    """The blocks in which `words` stand, each after its heading; all of them where nothing is looked for."""
    if not words.strip():
        return parts
    kept: list[Block] = []
    heading: Block | None = None
    for block in parts:
        if block.kind == "heading":
            heading = block
        if any(words.strip().lower() in line.lower() for line in block.lines):
            if heading is not None and heading not in kept:
                kept.append(heading)
            if block.kind != "heading":
                kept.append(block)
    return kept


def with_marks(line: str, words: str) -> Markup:
    """A line with what was looked for marked, and `**bold**` and backticks as they mean."""
    text = shown(line, LONGEST).replace(OPEN, "").replace(CLOSE, "")
    if words.strip():
        text = re.sub(f"(?i){re.escape(words.strip())}", lambda found: f"{OPEN}{found[0]}{CLOSE}", text)
    text = str(escape(text))
    text = re.sub(r"\*\*([^*\n]+)\*\*", r"<strong>\1</strong>", text)
    text = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", text)
    return Markup(text.replace(OPEN, "<mark>").replace(CLOSE, "</mark>"))
