"""An item as the page shows it: turns, difference of draft and edit; the guideline as HTML."""

import difflib
import re
from collections.abc import Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from rung.report.page import shown
from rung.text.message_text import VERBS as SHORT_VERBS

VERBS = {
    **SHORT_VERBS,
    "edit": "edited and approved",
    "flag": "flagged for the adjudicator",
}


MOST_PAIRS = 4_000_000
"""Pairs of words that are compared at most (about a second); longer texts are compared line by line."""


def difference(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yield parts of both texts, word by word: `same`, `gone` or `came`, with the text."""
    before, after = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (old, new))
    if len(before) * len(after) > MOST_PAIRS:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield "same", "".join(before[a:b])
            continue
        if b > a:
            yield "gone", "".join(before[a:b])
        if d > c:
            yield "came", "".join(after[c:d])


def plain(text: str) -> str:
    """Return a text as a form sends it: line breaks as one character, so that the browser changes nothing."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def short(text: str | None, most: int = 60) -> str:
    """Return the first words of an answer, on one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= most else line[: most - 1] + "…"


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink", "reference"])


def guideline(text: str, find: str = "") -> Markup:
    """Return a guideline's Markdown as HTML: every heading as an h3, no link or picture, its markup as text.

    With `find` only the blocks that hold these words, each with its heading; empty if none does.
    """
    tokens = _markdown().parse(shown(plain(text), limit=len(text)))
    blocks: list[list[Token]] = []
    for token in tokens:
        token.attrs.pop("style", None)  # the page's own styles are the only ones
        if token.type.startswith("heading"):
            token.tag = "h3"
        if token.level == 0 and token.nesting >= 0:
            blocks.append([])
        blocks[-1].append(token)
    kept = [token for block in _holding(blocks, " ".join(find.lower().split())) for token in block]
    return Markup(_markdown().renderer.render(kept, _markdown().options, {}))


def _holding(blocks: list[list[Token]], words: str) -> list[list[Token]]:
    kept: list[list[Token]] = []
    heading: list[Token] | None = None
    for block in blocks:
        is_heading = block[0].type == "heading_open"
        heading = block if is_heading else heading
        if words in " ".join(" ".join(token.content for token in block).lower().split()):
            if heading is not None and not is_heading:
                kept.append(heading)
                heading = None
            kept.append(block)
            heading = None if is_heading else heading
    return kept
